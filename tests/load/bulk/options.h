/* What bulk is asked to fetch, and how it judges it. */
#pragma once

#include <openssl/types.h>
#include <stdint.h>
#include <sys/socket.h>

#define LENGTH_UNKNOWN UINT64_MAX

enum scheme { SCHEME_HTTP, SCHEME_HTTPS, SCHEME_TCP };
enum drain {
    DRAIN_VERIFY, /* compare with the file, or hash */
    DRAIN_TRUNC,  /* the kernel throws it away: the cheapest receiver there is */
    DRAIN_COPY,   /* into memory, unseen */
};

struct options {
    enum scheme scheme;
    enum drain drain;
    struct sockaddr_storage address; /* loopback */
    socklen_t address_size;
    char host[256];     /* as in the URL, for Host and SNI */
    char request[1024]; /* all but Connection and the empty line */
    const char *sha256, *file, *ca;
    const uint8_t *content; /* of file; NULL: hash instead */
    uint64_t length; /* expected of each body; LENGTH_UNKNOWN: what the server says, or until the end */
    int connections, requests, timeout_s, tls_version;
    SSL_CTX *tls; /* for https */
};

/* Ends the program with status 2 and a sentence if the command line is wrong or a file can't be read. */
void options_parse(struct options *options, int argc, char **argv);

/* A sentence on stderr, and exit status 2. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
