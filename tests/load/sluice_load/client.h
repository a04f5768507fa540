/* One connection of a load and the request on it, one after the other. Private to worker and client.
 * Refuses to know when requests are due. */
#ifndef SLUICE_LOAD_CLIENT_H
#define SLUICE_LOAD_CLIENT_H

#include "sluice_load/load.h"
#include "sluice_load/response.h"

struct worker;

enum client_state {
    CLIENT_IDLE,    /* no request; the connection may be open */
    CLIENT_RESTING, /* after a failure, for a moment */
    CLIENT_CONNECT,
    CLIENT_HANDSHAKE,
    CLIENT_EXCHANGE,
};

enum client_phase { CLIENT_HEAD, CLIENT_BODY };

struct client {
    struct worker *worker;
    struct client *next_idle, *next_ready;
    struct stream stream;
    enum client_state state;
    enum client_phase phase;
    bool queued;   /* on the worker's ready list */
    bool readable; /* more may be there than was read */
    bool hung_up;  /* the peer has finished, so no further event will come */
    size_t request, target;
    uint64_t intended_ns, started_ns, rest_until_ns;
    uint64_t sent, to_send;

    struct response_head head;
    struct response_chunks chunks;
    char *partial; /* of a head that came in pieces */
    size_t partial_size;
    uint64_t received; /* of the body */
    EVP_MD_CTX *digest;
};

void client_init(struct client *client, struct worker *worker);
void client_free(struct client *client);

/* Begins a request, on the open connection if it can be, and goes on with it as far as that is possible. */
void client_begin(struct client *client, uint64_t intended_ns);

/* Goes on after an event. epoll's bits; 0: none, it was on the ready list. */
void client_turn(struct client *client, uint32_t events);

/* The request has failed. The connection is closed, and the client rests. */
void client_fail(struct client *client, enum load_failure failure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For the receivers: the answer has come, whole and right. */
void client_complete(struct client *client, bool keep_alive);

enum client_step { CLIENT_GO, CLIENT_WAIT };

/* Reads what there is; CLIENT_GO if it is worth another look at once. (receive.c) */
enum client_step client_receive(struct client *client);

/* Before the first byte of an answer. -1: no memory. (receive.c) */
int client_expect(struct client *client) __attribute__((warn_unused_result));

#endif
