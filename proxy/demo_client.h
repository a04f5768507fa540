/* A small HTTP client for `sluice demo --once`: one GET, blocking, over TCP or TLS, hashing what comes.
 * A client of its own on purpose: what it finds must not rest on the server's code.
 * Refuses to know what is fetched and why. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct demo_fetch {
    /* What to fetch. */
    const char *address; /* "127.0.0.1:8081" */
    const char *path;
    const char *ca;  /* PEM file that the certificate for `localhost` must be signed by; NULL: plain HTTP */
    int tls_version; /* TLS1_2_VERSION ...; 0: the best both have */
    bool keep_body;  /* at most DEMO_BODY_MAX bytes */
    const volatile int *stop; /* gives up once it is set; may be NULL */

    /* What came. */
    int status;
    uint64_t bytes, milliseconds;
    unsigned char digest[32]; /* SHA-256 of the body */
    char tls[16], cipher[64]; /* "" for plain HTTP */
    char *body;               /* terminated; free() it; NULL unless keep_body */
    char error[200];
};
#define DEMO_BODY_MAX (4u << 20)

/* false: error says why. A status other than 200 is no error here. */
bool demo_fetch(struct demo_fetch *fetch);
