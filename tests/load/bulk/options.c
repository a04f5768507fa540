/* Reads bulk's command line, and opens what it names. Ends the program where it makes no sense.
 * Refuses to know how the fetching is done. */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTIONS_MAX 20000

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bulk: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void parse_port(struct options *options, const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || port == 0 || port > 65535) {
        die("bad port: %s", text);
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)&options->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&options->address;
    const char *host = strcmp(options->host, "localhost") == 0 ? "127.0.0.1" : options->host;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1 && ntohl(v4->sin_addr.s_addr) >> 24 == 127) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        options->address_size = sizeof(*v4);
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        options->address_size = sizeof(*v6);
    } else {
        die("%s is not a loopback address; no other is fetched from", options->host);
    }
}

static void parse_url(struct options *options, const char *url)
{
    static const char *const schemes[] = {"http://", "https://", "tcp://"};
    size_t i = 0;
    while (i < 3 && strncmp(url, schemes[i], strlen(schemes[i])) != 0) {
        i++;
    }
    if (i == 3) {
        die("not an http://, https:// or tcp:// URL: %s", url);
    }
    options->scheme = (enum scheme)i;
    const char *host = url + strlen(schemes[i]);
    size_t authority = strcspn(host, "/");
    const char *path = host[authority] == '/' ? host + authority : "/";
    bool bracket = host[0] == '[';
    size_t length = bracket ? strcspn(++host, "]") : strcspn(host, ":/");
    const char *port = host + length + (bracket ? 1 : 0);
    char port_text[8] = "";
    if (length >= sizeof(options->host) || *port != ':') {
        die("an address and a port are needed: %s", url);
    }
    memcpy(options->host, host, length);
    snprintf(port_text, sizeof(port_text), "%.*s", (int)strcspn(port + 1, "/"), port + 1);
    parse_port(options, port_text);
    snprintf(options->request, sizeof(options->request), "GET %.700s HTTP/1.1\r\nHost: %s\r\n", path,
             options->host);
}

static long number(const char *text, long minimum, long maximum)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < minimum || value > maximum) {
        die("%s is not a number from %ld to %ld", text, minimum, maximum);
    }
    return value;
}

static enum drain parse_drain(const char *name)
{
    static const char *const names[] = {"verify", "trunc", "copy"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum drain)i;
        }
    }
    die("--drain is verify, trunc or copy");
}

static void usage(void)
{
    fputs("usage: bulk [options] http://ADDRESS:PORT/PATH | https://... | tcp://ADDRESS:PORT\n"
          "  -c, --connections N           at the same time (1)\n"
          "      --requests-per-connection N  one after the other (1)\n"
          "      --drain verify|trunc|copy compare every body, discard it in the kernel, or only read it "
          "(verify)\n"
          "      --file FILE               what every body must be\n"
          "      --sha256 HEX              its hash; without either, all bodies must have the same\n"
          "      --length BYTES            its length (tcp: stop there instead of at the end)\n"
          "      --ca FILE                 verify the server with this CA\n"
          "      --tls1.2, --tls1.3        this version only\n"
          "      --timeout SECONDS         for everything (300)\n"
          "Prints one line of JSON. Exit status: 0 every byte was right, 1 not so, 2 usage.\n",
          stderr);
    exit(2);
}

enum {
    OPTION_REQUESTS = 256,
    OPTION_DRAIN,
    OPTION_FILE,
    OPTION_SHA256,
    OPTION_LENGTH,
    OPTION_CA,
    OPTION_TLS12,
    OPTION_TLS13,
    OPTION_TIMEOUT
};

static void parse_option(struct options *options, int option)
{
    switch (option) {
    case 'c':
        options->connections = (int)number(optarg, 1, CONNECTIONS_MAX);
        break;
    case OPTION_REQUESTS:
        options->requests = (int)number(optarg, 1, 1000000);
        break;
    case OPTION_DRAIN:
        options->drain = parse_drain(optarg);
        break;
    case OPTION_FILE:
        options->file = optarg;
        break;
    case OPTION_SHA256:
        options->sha256 = optarg;
        break;
    case OPTION_LENGTH:
        options->length = (uint64_t)number(optarg, 0, INT64_MAX);
        break;
    case OPTION_CA:
        options->ca = optarg;
        break;
    case OPTION_TLS12:
        options->tls_version = TLS1_2_VERSION;
        break;
    case OPTION_TLS13:
        options->tls_version = TLS1_3_VERSION;
        break;
    case OPTION_TIMEOUT:
        options->timeout_s = (int)number(optarg, 1, 3600);
        break;
    default:
        usage();
    }
}

static void open_content(struct options *options)
{
    struct stat status;
    int fd = open(options->file, O_RDONLY | O_CLOEXEC);
    if (fd == -1 || fstat(fd, &status) == -1) {
        die("%s: %s", options->file, strerror(errno));
    }
    options->length = (uint64_t)status.st_size;
    void *content = mmap(NULL, status.st_size > 0 ? (size_t)status.st_size : 1, PROT_READ, MAP_SHARED, fd, 0);
    if (content == MAP_FAILED) {
        die("%s: mmap: %s", options->file, strerror(errno));
    }
    options->content = content;
    close(fd);
}

static void open_tls(struct options *options)
{
    options->tls = SSL_CTX_new(TLS_client_method());
    if (options->tls == NULL) {
        die("OpenSSL: out of memory");
    }
    if (options->tls_version != 0) {
        SSL_CTX_set_min_proto_version(options->tls, options->tls_version);
        SSL_CTX_set_max_proto_version(options->tls, options->tls_version);
    }
    SSL_CTX_set_session_cache_mode(options->tls, SSL_SESS_CACHE_OFF);
    if (options->ca != NULL) {
        if (SSL_CTX_load_verify_file(options->tls, options->ca) != 1) {
            die("%s: no CA certificate can be read from it", options->ca);
        }
        SSL_CTX_set_verify(options->tls, SSL_VERIFY_PEER, NULL);
    }
}

void options_parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.connections = 1, .requests = 1, .timeout_s = 300, .length = LENGTH_UNKNOWN};
    static const struct option long_options[] = {
        {"connections", required_argument, NULL, 'c'},
        {"requests-per-connection", required_argument, NULL, OPTION_REQUESTS},
        {"drain", required_argument, NULL, OPTION_DRAIN},
        {"file", required_argument, NULL, OPTION_FILE},
        {"sha256", required_argument, NULL, OPTION_SHA256},
        {"length", required_argument, NULL, OPTION_LENGTH},
        {"ca", required_argument, NULL, OPTION_CA},
        {"tls1.2", no_argument, NULL, OPTION_TLS12},
        {"tls1.3", no_argument, NULL, OPTION_TLS13},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1;) {
        parse_option(options, option);
    }
    if (optind != argc - 1) {
        usage();
    }
    parse_url(options, argv[optind]);
    if (options->scheme == SCHEME_HTTPS && options->drain == DRAIN_TRUNC) {
        die("--drain trunc discards what is encrypted; over https use copy");
    }
    if (options->scheme == SCHEME_TCP && options->requests != 1) {
        die("tcp:// has no requests");
    }
    if (options->file != NULL) {
        open_content(options);
    }
    if (options->scheme == SCHEME_HTTPS) {
        open_tls(options);
    }
}
