/* Sets the demo up: a site, five ports, a configuration written here, an embedded server; says what runs
 * where. Refuses to know how any of it works. */
#include "proxy/demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/server.h"

/* For --port 0: how often to look for a port that is still free when the server binds it. */
#define PORT_TRIES 20

static const char *const names[DEMO_PORT_COUNT] = {"proxy", "http", "https", "backend", "admin"};

const char *demo_listener_name(enum demo_listener listener)
{
    return names[listener];
}

/* Whether 127.0.0.1:*port can be bound; port 0: any, and which it was. errno otherwise. */
static bool port_free(unsigned *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)*port)};
    socklen_t length = sizeof(address);
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error;
    bool bound;

    if (fd == -1)
        return false;
    /* As the server does: a connection of the last demo in TIME_WAIT is no hindrance. */
    bound = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
            bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0 &&
            getsockname(fd, (struct sockaddr *)&address, &length) == 0;
    error = errno;
    close(fd);
    errno = error;
    *port = ntohs(address.sin_port);
    return bound;
}

/* Whether all five ports from `first` are free; stderr knows those that aren't. */
static bool ports_free(unsigned first)
{
    bool good = true;

    for (unsigned i = 0; i < DEMO_PORT_COUNT; i++) {
        unsigned port = first + i;

        if (port_free(&port))
            continue;
        fprintf(stderr, "sluice: demo: 127.0.0.1:%u (%s): %s\n", first + i, names[i], strerror(errno));
        good = false;
    }
    if (!good)
        fprintf(stderr,
                "sluice: demo: choose the first of five other ports with --port N, or any with --port 0\n");
    return good;
}

/* The port of each listener. Without a first one the kernel chooses as the server binds; but the backend's
 * must be known before, since the proxy's configuration names it. */
struct ports {
    unsigned of[DEMO_PORT_COUNT];
};

static bool choose_ports(unsigned first, struct ports *ports)
{
    for (unsigned i = 0; i < DEMO_PORT_COUNT; i++)
        ports->of[i] = first == 0 ? 0 : first + i;
    return first != 0 || port_free(&ports->of[DEMO_BACKEND]);
}

static struct conf *make_conf(const struct demo_site *site, const struct ports *ports,
                              struct conf_problems *problems)
{
    struct conf *conf;
    char *text;

    if (asprintf(&text,
                 "log = { access = \"off\"; };\n"
                 "admin = { listen = \"127.0.0.1:%u\"; };\n"
                 "tls = { demo = { certs = ( { cert = \"certs/localhost.pem\"; key = "
                 "\"certs/localhost.key\"; } ); };"
                 " };\n"
                 "backends = { demo = { servers = ( \"127.0.0.1:%u\" ); }; };\n"
                 "files = { demo = { root = \"site\"; index = [ \"index.html\" ]; }; };\n"
                 "listeners = {\n"
                 "  proxy = { address = \"127.0.0.1:%u\"; proxy = \"demo\"; };\n"
                 "  http = { address = \"127.0.0.1:%u\"; files = \"demo\"; };\n"
                 "  https = { address = \"127.0.0.1:%u\"; files = \"demo\"; tls = \"demo\"; };\n"
                 "  backend = { address = \"127.0.0.1:%u\"; files = \"demo\"; };\n"
                 "};\n",
                 ports->of[DEMO_ADMIN], ports->of[DEMO_BACKEND], ports->of[DEMO_PROXY], ports->of[DEMO_HTTP],
                 ports->of[DEMO_HTTPS], ports->of[DEMO_BACKEND]) == -1)
        return NULL;
    conf = conf_load_text(text, "demo", site->directory, problems);
    free(text);
    return conf;
}

static struct server *make_server(const struct demo_site *site, const struct ports *ports,
                                  bool handle_signals, struct conf_problems *problems)
{
    struct conf *conf = make_conf(site, ports, problems);
    struct server *server;

    if (conf == NULL)
        return NULL;
    server = server_new(
        &(struct server_options){.conf = conf, .announce = stdout, .handle_signals = handle_signals},
        problems);
    if (server == NULL)
        conf_free(conf);
    return server;
}

/* Any port that was free may be another's by now: with --port 0 that is no reason to give up. */
static struct server *start_server(const struct demo_site *site, const struct demo_options *options)
{
    struct conf_problems problems = {0};
    struct server *server = NULL;
    struct ports ports;

    for (int try = 0; server == NULL && try < (options->port == 0 ? PORT_TRIES : 1); try++) {
        conf_problems_clear(&problems);
        if (choose_ports(options->port, &ports))
            server = make_server(site, &ports, !options->once, &problems);
    }
    if (server == NULL && problems.count == 0)
        fprintf(stderr, "sluice: demo: no free port or no memory\n");
    else if (server == NULL)
        conf_problems_print(&problems, stderr);
    conf_problems_clear(&problems);
    if (server != NULL && server_start(server) == -1) {
        fprintf(stderr, "sluice: demo: can't start: %s\n", strerror(errno));
        server_free(server);
        return NULL;
    }
    return server;
}

/* The path as it can be typed here: relative, if it lies beneath the working directory. */
static const char *typed(const char *path)
{
    static char here[512];
    size_t length;

    if (getcwd(here, sizeof(here)) == NULL)
        return path;
    length = strlen(here);
    return strncmp(path, here, length) == 0 && path[length] == '/' ? path + length + 1 : path;
}

static void introduce(const struct server *server, const struct demo_site *site)
{
    static const char *const what[DEMO_PORT_COUNT] = {
        "a TCP proxy in front of the backend",
        "files",
        "files over TLS",
        "the backend: files once more",
        "what is going on, live",
    };
    const char *ca = typed(site->ca);
    const char *const *address = (const char *[]){
        server_address(server, names[DEMO_PROXY]), server_address(server, names[DEMO_HTTP]),
        server_address(server, names[DEMO_HTTPS]), server_address(server, names[DEMO_BACKEND]),
        server_address(server, names[DEMO_ADMIN])};

    printf("\n");
    for (int i = 0; i < (int)DEMO_PORT_COUNT; i++)
        printf("  %-8s %s://%s/   %s\n", names[i], i == DEMO_HTTPS ? "https" : "http", address[i], what[i]);
    printf("\nTry:\n\n"
           "  curl -o /dev/null http://%s/" DEMO_FILE_NAME "\n"
           "  curl -o /dev/null http://%s/" DEMO_FILE_NAME "\n"
           "  curl -o /dev/null --cacert %s https://%s/" DEMO_FILE_NAME "\n"
           "  curl --cacert %s --tls-max 1.2 https://%s/\n"
           "  curl http://%s/connections.json\n"
           "  curl http://%s/metrics\n\n",
           address[DEMO_PROXY], address[DEMO_HTTP], ca, address[DEMO_HTTPS], ca, address[DEMO_HTTPS],
           address[DEMO_ADMIN], address[DEMO_ADMIN]);
}

int demo_run(const struct demo_options *options)
{
    struct demo_site site;
    struct server *server;
    char error[800];
    int status = 1;

    if (options->port != 0 && !ports_free(options->port))
        return 1;
    printf("Making a 100 MB file and development certificates ...\n");
    fflush(stdout);
    if (demo_site_make(&site, options->stop, error, sizeof(error)) == -1) {
        fprintf(stderr, "sluice: demo: %s\n", error);
        return 1;
    }
    server = start_server(&site, options);
    if (server != NULL && options->once) {
        status = demo_check(server, &site, options->stop);
    } else if (server != NULL && *options->stop == 0) {
        introduce(server, &site);
        printf("Ends with ^C.\n");
        fflush(stdout);
        status = server_run(server);
    }
    server_free(server);
    demo_site_remove(&site);
    return status;
}
