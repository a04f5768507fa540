/* Passive ejection: a server to which connections fare badly is left out for a while, each further time for
 * twice as long, but never more than a share of the servers at once. Refuses to know how the outcome was
 * found. */
#pragma once

#include <stdint.h>

struct backend;
struct backend_server;

enum ejection_event {
    EJECTION_CONNECT_FAILED, /* refused, or no answer in time */
    EJECTION_EARLY_RESET, /* connected, and reset by the server before it had sent a byte, or no TLS came of
                           * it
                           */
    EJECTION_GOOD,        /* a connection that the server has answered, or that ended cleanly */
};

/* Without `eject` nothing but the count. From any worker. */
void ejection_note(struct backend *backend, struct backend_server *server, enum ejection_event event,
                   uint64_t now_ms);
