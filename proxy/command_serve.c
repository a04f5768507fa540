/* `sluice serve`: one directory over HTTP or HTTPS, from the command line. Writes a configuration and serves
 * by it. Refuses to know what its values mean: the loader says what is wrong with them. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/dev_ca.h"
#include "proxy/command_server.h"
#include "proxy/commands.h"
#include "proxy/errlog.h"

#define SERVE_USAGE "sluice serve DIR [-l ADDR] [--tls] [--relay MODE] [--admin ADDR]"
/* Loopback: what a directory holds is shown to other hosts only when asked for, with -l :8080. */
#define SERVE_DEFAULT_ADDRESS "127.0.0.1:8080"

struct serve_arguments {
    struct command_common common;
    const char *root;
    bool tls;
    char certs[PATH_MAX]; /* where the development certificate is */
    bool certs_are_ours;  /* made for this run: removed at its end */
};

/* A certificate made once is trusted once: kept in $XDG_CACHE_HOME/sluice if that is set, else in a directory
 * of this run's own. false: told on stderr. */
static bool make_certificate(struct serve_arguments *arguments)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *temporary = getenv("TMPDIR");
    char error[256];
    int length;

    if (cache != NULL && cache[0] == '/')
        length = snprintf(arguments->certs, sizeof(arguments->certs), "%s/sluice", cache);
    else
        length = snprintf(arguments->certs, sizeof(arguments->certs), "%s/sluice-XXXXXX",
                          temporary != NULL && temporary[0] == '/' ? temporary : "/tmp");
    if (length < 0 || (size_t)length >= sizeof(arguments->certs)) {
        errlog("serve: --tls: %s", strerror(ENAMETOOLONG));
        return false;
    }
    if (cache != NULL && cache[0] == '/') {
        (void)mkdir(cache, 0700); /* the standard has it so; dev_ca makes the last part */
    } else if (mkdtemp(arguments->certs) == NULL) {
        errlog("serve: --tls: %s: %s", arguments->certs, strerror(errno));
        return false;
    } else {
        arguments->certs_are_ours = true;
    }
    if (dev_ca_ensure(arguments->certs, error, sizeof(error)) == 0)
        return true;
    errlog("serve: --tls: %s", error);
    return false;
}

static void remove_certificate(const struct serve_arguments *arguments)
{
    static const char *const names[] = {"ca.pem", "ca.key", "localhost.pem", "localhost.key"};
    char path[PATH_MAX + 32];

    if (!arguments->certs_are_ours)
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", arguments->certs, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(arguments->certs);
}

static void write_certificate(struct command_text *text, const char *key, const char *directory,
                              const char *name)
{
    char path[PATH_MAX + 32];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    fprintf(text->stream, "%s = ", key);
    command_text_quote(text, path);
    fputs("; ", text->stream);
}

static void write_text(struct command_text *text, const void *arg)
{
    const struct serve_arguments *arguments = arg;

    fputs("log = { access = \"stderr\"; };\n", text->stream);
    if (arguments->common.admin != NULL) {
        fputs("admin = { listen = ", text->stream);
        command_text_quote(text, arguments->common.admin);
        fputs("; };\n", text->stream);
    }
    if (arguments->tls) {
        fputs("tls = { dev = { certs = ( { ", text->stream);
        write_certificate(text, "cert", arguments->certs, "localhost.pem");
        write_certificate(text, "key", arguments->certs, "localhost.key");
        fputs("} ); }; };\n", text->stream);
    }
    fputs("files = { serve = { root = ", text->stream);
    command_text_quote(text, arguments->root);
    fputs("; autoindex = \"html\"; }; };\nlisteners = { serve = { files = \"serve\"; address = ",
          text->stream);
    command_text_quote(text, arguments->common.listen);
    fputs("; relay = ", text->stream);
    command_text_quote(text, arguments->common.mode);
    fprintf(text->stream, "; %s}; };\n", arguments->tls ? "tls = \"dev\"; " : "");
}

static void suggest(const struct server *server, const void *arg)
{
    const struct serve_arguments *arguments = arg;
    const char *port = strrchr(server_address(server, "serve"), ':');

    /* The certificate is for localhost. A UNIX socket has no port. */
    if (!arguments->tls || port == NULL || strchr(port, '/') != NULL)
        return;
    printf("sluice: try: curl --cacert %s/ca.pem https://localhost%s/\n", arguments->certs, port);
    fflush(stdout);
}

static int serve(const struct serve_arguments *arguments)
{
    struct command_server server = {.on_started = suggest, .arg = arguments};

    return command_server_run_text(&server, "serve", write_text, arguments);
}

static int parse(int argc, char **argv, struct serve_arguments *arguments)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"tls", no_argument, NULL, 't'},
                                            {"relay", required_argument, NULL, 'r'},
                                            {"admin", required_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "l:", options, NULL)) != -1) {
        if (option == 'l')
            arguments->common.listen = optarg;
        else if (option == 't')
            arguments->tls = true;
        else if (option == 'r')
            arguments->common.mode = optarg;
        else if (option == 'a')
            arguments->common.admin = optarg;
        else
            return command_usage("serve", SERVE_USAGE, "unknown or incomplete option: %s", argv[optind - 1]);
    }
    if (optind != argc - 1)
        return command_usage("serve", SERVE_USAGE, "exactly one directory is needed");
    arguments->root = argv[optind];
    return command_common_check(&arguments->common, "serve", SERVE_USAGE) ? EXIT_GOOD : EXIT_USAGE;
}

int command_serve(int argc, char **argv)
{
    struct serve_arguments arguments = {.common = {.listen = SERVE_DEFAULT_ADDRESS, .mode = "auto"}};
    int status = parse(argc, argv, &arguments);

    if (status != EXIT_GOOD)
        return status;
    if (arguments.tls && !make_certificate(&arguments))
        status = EXIT_FAILED;
    else
        status = serve(&arguments);
    remove_certificate(&arguments);
    return status;
}
