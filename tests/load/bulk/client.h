/* A connection that fetches and judges what it gets, and the run that all of them belong to.
 * Refuses to know who watches the sockets (main.c does). */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options;

#define HEAD_SIZE 8192
#define BUFFER_SIZE (1u << 20) /* one read; the buffer is shared, so it stays in the cache */

/* What all connections share. */
struct run {
    const struct options *options;
    int epoll;
    int active, ok, failed; /* connections */
    uint64_t bytes;         /* of bodies */
    char sha256[65];        /* of the first whole body, where one was hashed */
    uint8_t *buffer;        /* BUFFER_SIZE */
};

enum state { STATE_CONNECT, STATE_HANDSHAKE, STATE_REQUEST, STATE_HEAD, STATE_BODY, STATE_END, STATE_DONE };

/* Zeros before client_start(). */
struct client {
    struct run *run;
    enum state state;
    int fd;
    int requests_left;
    uint32_t events; /* what epoll watches for */
    SSL *ssl;
    EVP_MD_CTX *digest;
    uint64_t received, length; /* of this body */
    size_t head_used, request_sent;
    char head[HEAD_SIZE];
};

/* Connects and adds itself to the run's epoll. */
void client_start(struct client *client, struct run *run);
/* Goes on, after an event: a bounded number of steps. */
void client_turn(struct client *client);
/* Counts it as failed, tells the first few reasons on stderr, and closes it. */
void client_fail(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
