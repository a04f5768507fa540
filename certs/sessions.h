/* TLS sessions to be resumed, kept by the client's side: a bounded number for each server, and in all. The
 * oldest goes where there is no room, and what has served its time; so those of servers that are never
 * connected to again go as well. Refuses to know servers: a key is a text. Thread-safe.
 * A session is a secret: it is never told, and freed when it goes. */
#pragma once

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

struct cert_sessions;

#define SESSIONS_PER_KEY 4 /* as many connections can begin at once with a ticket each (RFC 8446 C.4) */
#define SESSIONS_MAX 512
#define SESSIONS_SECONDS 7200

/* NULL: out of memory. */
struct cert_sessions *cert_sessions_new(void);
void cert_sessions_free(struct cert_sessions *sessions); /* NULL: nothing */

/* Keeps a copy. now: seconds, monotonic. Without memory it is dropped. */
void cert_sessions_put(struct cert_sessions *sessions, const char *key, SSL_SESSION *session, uint64_t now);

/* The newest for this key, as a reference of the caller's; or NULL. One of TLS 1.3 is given out once, one of
 * TLS 1.2 again and again. */
SSL_SESSION *cert_sessions_take(struct cert_sessions *sessions, const char *key, uint64_t now)
    __attribute__((warn_unused_result));

size_t cert_sessions_count(struct cert_sessions *sessions);
