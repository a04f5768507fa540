/* Starts the participants, each from its template in tests/load/peers.
 * Refuses to know what they are asked to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice_load/clock.h"
#include "sluice_load/peers.h"

static const struct {
    const char *name, *program, *template;
    enum peer_port ports[4];
    size_t port_count;
} participants[PEERS] = {
    [PEER_SLUICE] = {"sluice", NULL, "sluice.conf", {0}, 0},
    [PEER_HAPROXY_SPLICE] = {"haproxy-splice", "haproxy", "haproxy-splice.cfg", {PORT_HTTP, PORT_ECHO}, 2},
    [PEER_HAPROXY_SPLICE_1M] =
        {"haproxy-splice-1m", "haproxy", "haproxy-splice-1m.cfg", {PORT_HTTP, PORT_ECHO}, 2},
    [PEER_HAPROXY_COPY] = {"haproxy-copy", "haproxy", "haproxy-copy.cfg", {PORT_HTTP, PORT_ECHO}, 2},
    [PEER_HAPROXY_TLS] = {"haproxy-tls", "haproxy", "haproxy-tls.cfg", {PORT_HTTP, PORT_ECHO}, 2},
    [PEER_NGINX_FILES] = {"nginx-files", "nginx", "nginx-files.conf", {PORT_HTTP, PORT_HTTPS, PORT_KTLS}, 3},
    [PEER_NGINX_STREAM] = {"nginx-stream", "nginx", "nginx-stream.conf", {PORT_HTTP, PORT_ECHO}, 2},
    [PEER_HITCH] = {"hitch", "hitch", "hitch.conf", {PORT_HTTP}, 1},
};

const char *peer_name(enum peer_id id)
{
    return participants[id].name;
}

const char *peer_listener(enum peer_port port)
{
    static const char *const listeners[PEER_PORTS] = {
        [PORT_HTTP] = "relay",      [PORT_ECHO] = "echo",       [PORT_HTTPS] = "files_tls",
        [PORT_KTLS] = "files_ktls", [PORT_COPY] = "relay_copy", [PORT_TLS] = "relay_tls",
        [PORT_FILES] = "files",
    };

    return listeners[port];
}

static const char *templates_of(const struct peers_options *options)
{
    return options->templates != NULL ? options->templates : SLUICE_SOURCE_DIR "/tests/load/peers";
}

static const char *root_of(const struct peers_options *options)
{
    const char *environment = getenv("SLUICE_PEERS");

    if (options->root != NULL)
        return options->root;
    return environment != NULL ? environment : SLUICE_SOURCE_DIR "/build/peers/root";
}

/* nginx and hitch want to be told what to become, if they are root's; nginx has to read our private
 * directory. */
static int write_configuration(const struct peer *peer, const struct bench *bench,
                               const struct peers_options *options)
{
    char ports[PEER_PORTS][8], template[WORKSPACE_PATH];
    bool root = geteuid() == 0;
    const struct workspace_value values[] = {
        {"DIRECTORY", bench->workspace.directory},
        {"PEERS", root_of(options)},
        {"ORIGIN_HTTP", bench->origin_http},
        {"ORIGIN_ECHO", bench->origin_echo},
        {"ORIGIN_ECHO_PORT", strrchr(bench->origin_echo, ':') + 1},
        {"ORIGIN_HTTP_PORT", strrchr(bench->origin_http, ':') + 1},
        {"USER", root ? "user root;" : ""},
        {"HITCH_USER", root ? "user = \"nobody\"" : ""},
        {"PORT_HTTP", ports[PORT_HTTP]},
        {"PORT_ECHO", ports[PORT_ECHO]},
        {"PORT_HTTPS", ports[PORT_HTTPS]},
        {"PORT_KTLS", ports[PORT_KTLS]},
    };

    for (int i = 0; i < PEER_PORTS; i++) {
        const char *colon = strrchr(peer->addresses[i], ':');

        snprintf(ports[i], sizeof(ports[i]), "%.7s", colon != NULL ? colon + 1 : "");
    }
    snprintf(template, sizeof(template), "%.400s/%s", templates_of(options), participants[peer->id].template);
    return workspace_write_template(&bench->workspace, participants[peer->id].template, template, values,
                                    sizeof(values) / sizeof(values[0]));
}

static int wait_for_sluice(struct peer *peer)
{
    for (int i = 0; i < PEER_PORTS; i++) {
        if (server_wait_address(&peer->server, peer_listener((enum peer_port)i), peer->addresses[i]) == -1)
            return -1;
    }
    peer->pids.pids[peer->pids.count++] = peer->server.pid;
    return server_wait_address(&peer->server, "admin", peer->admin);
}

static int start_program(struct peer *peer, const struct bench *bench, const char *program,
                         const char *const *argv, const char *libraries)
{
    struct server_start start = {.name = participants[peer->id].name,
                                 .argv = argv,
                                 .libraries = libraries,
                                 .cpus = bench->pinned ? &bench->server_cpus : NULL};

    if (access(program, X_OK) == -1) {
        fprintf(stderr, "sluice-load: there is no %s: tests/peers unpacks the peers\n", program);
        return -1;
    }
    return server_start(&peer->server, &bench->workspace, &start);
}

static int start_sluice(struct peer *peer, const struct bench *bench)
{
    char conf[WORKSPACE_PATH];
    const char *argv[] = {bench->sluice, "run", "-c", workspace_path(&bench->workspace, "sluice.conf", conf),
                          NULL};

    return start_program(peer, bench, bench->sluice, argv, NULL) == 0 ? wait_for_sluice(peer) : -1;
}

/* nginx and hitch listen before the process that works is there. */
static int wait_for_worker(struct peer *peer)
{
    uint64_t deadline = clock_ns() + 10 * NS_PER_S;

    do {
        peer->pids.count = 0;
        peer->pids.pids[peer->pids.count++] = peer->server.pid;
        measure_add_children(&peer->pids, peer->server.pid);
        if (peer->pids.count > 1)
            return 0;
        usleep(5000);
    } while (clock_ns() < deadline && !load_interrupted());
    fprintf(stderr, "sluice-load: %s has started no worker\n", peer->server.name);
    return -1;
}

/* HAProxy, in the foreground, is one process; the others are one that watches and one that works. */
static int wait_for_peer(struct peer *peer)
{
    for (size_t i = 0; i < participants[peer->id].port_count; i++) {
        const char *address = peer->addresses[participants[peer->id].ports[i]];

        if (server_wait_port(&peer->server, (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10)) == -1)
            return -1;
    }
    if (strcmp(participants[peer->id].program, "haproxy") != 0)
        return wait_for_worker(peer);
    peer->pids.pids[peer->pids.count++] = peer->server.pid;
    return 0;
}

static int start_peer(struct peer *peer, const struct bench *bench, const struct peers_options *options)
{
    char program[WORKSPACE_PATH], conf[WORKSPACE_PATH], libraries[WORKSPACE_PATH], hitch[WORKSPACE_PATH + 16];
    const char *kind = participants[peer->id].program;
    const char *haproxy[] = {program, "-db", "-f", conf, NULL};
    const char *nginx[] = {program, "-p", bench->workspace.directory, "-e", "stderr", "-c", conf, NULL};
    const char *hitch_argv[] = {program, hitch, NULL};

    snprintf(program, sizeof(program), "%.400s/usr/sbin/%s", root_of(options), kind);
    snprintf(libraries, sizeof(libraries), "%.400s/usr/lib/x86_64-linux-gnu", root_of(options));
    workspace_path(&bench->workspace, participants[peer->id].template, conf);
    snprintf(hitch, sizeof(hitch), "--config=%s", conf);
    if (start_program(peer, bench, program,
                      strcmp(kind, "nginx") == 0   ? nginx
                      : strcmp(kind, "hitch") == 0 ? hitch_argv
                                                   : haproxy,
                      libraries) == -1)
        return -1;
    return wait_for_peer(peer);
}

int peer_start(struct peer *peer, enum peer_id id, const struct bench *bench,
               const struct peers_options *options)
{
    memset(peer, 0, sizeof(*peer));
    peer->id = id;
    for (size_t i = 0; i < participants[id].port_count; i++) {
        unsigned port = server_free_port();

        if (port == 0)
            return -1;
        snprintf(peer->addresses[participants[id].ports[i]], sizeof(peer->addresses[0]), "127.0.0.1:%u",
                 port);
    }
    if (write_configuration(peer, bench, options) == -1)
        return -1;
    return id == PEER_SLUICE ? start_sluice(peer, bench) : start_peer(peer, bench, options);
}

void peer_stop(struct peer *peer)
{
    server_stop(&peer->server);
}
