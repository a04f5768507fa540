/* The modes that there are, and Sluice with a listener for each.
 * Refuses to know what is sent through them. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sluice_load/modes_internal.h"

const struct mode modes_all[] = {
    {"relay",
     "copy",
     "relay_copy",
     false,
     false,
     false,
     {"copy", "none", "none"},
     "proxy = \"origin\"; relay = \"copy\";"},
    {"relay",
     "splice",
     "relay_splice",
     false,
     false,
     false,
     {"splice", "none", "none"},
     "proxy = \"origin\"; relay = \"splice\";"},
    {"relay",
     "auto",
     "relay_auto",
     false,
     false,
     false,
     {NULL, "none", "none"},
     "proxy = \"origin\"; relay = \"auto\";"},
    {"files",
     "copy",
     "files_copy",
     false,
     true,
     false,
     {"copy", "none", "none"},
     "files = \"www\"; relay = \"copy\";"},
    {"files",
     "mmap",
     "files_mmap",
     false,
     true,
     false,
     {"mmap", "none", "none"},
     "files = \"www\"; relay = \"mmap\";"},
    {"files",
     "sendfile",
     "files_sendfile",
     false,
     true,
     false,
     {"sendfile", "none", "none"},
     "files = \"www\"; relay = \"sendfile\";"},
    {"files-tls",
     "user",
     "files_tls_user",
     true,
     true,
     false,
     {"copy", "none", "user"},
     "files = \"www\"; tls = \"user\";"},
    {"files-tls",
     "ktls",
     "files_tls_ktls",
     true,
     true,
     true,
     {"sendfile", "none", "ktls"},
     "files = \"www\"; tls = \"ktls\";"},
    {"relay-tls",
     "user",
     "relay_tls_user",
     true,
     false,
     false,
     {"copy", "none", "user"},
     "proxy = \"origin\"; tls = \"user\";"},
    {"relay-tls",
     "ktls",
     "relay_tls_ktls",
     true,
     false,
     true,
     {"splice", "none", "ktls"},
     "proxy = \"origin\"; tls = \"ktls\"; relay = \"splice\";"},
};

const size_t modes_count = sizeof(modes_all) / sizeof(modes_all[0]);

static_assert(sizeof(modes_all) / sizeof(modes_all[0]) <= MODES_MAX, "addresses for every mode");

bool modes_wanted(const struct modes_options *options, const struct mode *mode, bool ktls)
{
    return bench_is_listed(options->only, mode->group) && (!mode->ktls || ktls);
}

/* By Sluice's own probe: one cipher and version that the kernel takes over is enough. */
bool modes_kernel_has_ktls(const struct bench *bench)
{
    const char *argv[] = {bench->sluice, "probe", "--json", NULL};
    json_t *probe = server_run_json(&bench->workspace, argv), *ciphers, *cipher;
    const char *version, *name;
    bool found = false;

    json_object_foreach(json_object_get(probe, "ktls"), version, ciphers)
    {
        json_object_foreach(ciphers, name, cipher)
        {
            found = found || json_is_true(json_object_get(cipher, "tx"));
        }
    }
    json_decref(probe);
    return found;
}

static int write_conf(const struct bench *bench, const struct modes_options *options, bool ktls)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int status;

    if (out == NULL)
        return -1;
    fputs("workers = 1;\nlog = { access = \"off\"; };\nadmin = { listen = \"127.0.0.1:0\"; };\n", out);
    if (options->pipe_size != NULL)
        fprintf(out, "pipe_size = \"%s\";\n", options->pipe_size);
    fputs("tls = {\n", out);
    for (int i = 0; i < 2; i++)
        fprintf(out, "  %s = { certs = ( { cert = \"cert.pem\"; key = \"key.pem\"; } ); ktls = \"%s\"; };\n",
                i == 0 ? "user" : "ktls", i == 0 ? "off" : "auto");
    fprintf(
        out,
        "};\nfiles = { www = { root = \"www\"; }; };\nbackends = { origin = { servers = ( \"%s\" ); }; };\n",
        bench->origin_http);
    fputs("listeners = {\n", out);
    for (size_t i = 0; i < modes_count; i++) {
        if (modes_wanted(options, &modes_all[i], ktls))
            fprintf(out, "  %s = { address = \"127.0.0.1:0\"; %s };\n", modes_all[i].listener,
                    modes_all[i].definition);
    }
    fputs("};\n", out);
    status = fclose(out) == 0 ? workspace_write(&bench->workspace, "sluice.conf", text) : -1;
    free(text);
    return status;
}

static int write_files(const struct bench *bench, const struct modes_options *options)
{
    char name[WORKSPACE_PATH];

    if (mkdir(workspace_path(&bench->workspace, "www", name), 0755) == -1)
        return -1;
    for (size_t i = 0; i < options->size_count; i++) {
        snprintf(name, sizeof(name), "www/%" PRIu64, options->sizes[i]);
        if (workspace_write_content(&bench->workspace, name, options->sizes[i]) == -1)
            return -1;
    }
    return 0;
}

int modes_sluice_start(const struct bench *bench, const struct modes_options *options, bool ktls,
                       struct modes_sluice *sluice)
{
    char conf[WORKSPACE_PATH];
    const char *argv[] = {bench->sluice, "run", "-c", workspace_path(&bench->workspace, "sluice.conf", conf),
                          NULL};
    struct server_start start = {
        .name = "sluice", .argv = argv, .cpus = bench->pinned ? &bench->server_cpus : NULL};

    if (write_files(bench, options) == -1 || write_conf(bench, options, ktls) == -1)
        return -1;
    if (server_start(&sluice->server, &bench->workspace, &start) == -1 ||
        server_wait_address(&sluice->server, "admin", sluice->admin) == -1)
        return -1;
    for (size_t i = 0; i < modes_count; i++) {
        if (modes_wanted(options, &modes_all[i], ktls) &&
            server_wait_address(&sluice->server, modes_all[i].listener, sluice->addresses[i]) == -1)
            return -1;
    }
    return 0;
}
