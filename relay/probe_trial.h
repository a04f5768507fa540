/* The trials of one TLS connection that the kernel has taken over, as Sluice will use it. For the two files
 * of the probe. Refuses to know what is concluded from them. */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/tls_conn.h"
#include "relay/tls_keys.h"

/* Each turn of a loop moves at least something or waits for it. */
#define TRIAL_TURNS_MAX 64

/* Both ends of one trial connection, on this thread. The server's is a tls_conn. */
struct trial {
    int pair[2]; /* client, server */
    SSL *client;
    struct tls_conn *server;
    struct tls_secret client_secret; /* TLS 1.3: for records that OpenSSL wouldn't send */
    uint64_t client_records;         /* sent since the handshake */
};

/* Until either end has something to read. */
bool trial_wait(const struct trial *trial);

/* Sending: a plain send, a file by sendfile, a pipe of 64 KiB by splice, half a record held back and its
 * other half, and close_notify behind it all. true: the client got just that. */
bool trial_tx(struct trial *trial);

/* Receiving, before trial_tx: splice of a whole record into an empty pipe of 64 KiB, and of one that comes in
 * halves, the first of which is nothing yet. */
bool trial_rx(struct trial *trial);
/* The last of a connection: an empty record (TLS 1.3: by hand) is not the end, or close_notify is not data.
 */
bool trial_rx_oddities(struct trial *trial, bool empty);

/* Whether a record spliced into a pipe that is nearly full arrives whole. Sluice never does that; others may.
 */
bool trial_full_pipe(struct trial *trial);
/* Whether the kernel takes a second key for a direction. Spoils the connection. */
bool trial_rekey(struct trial *trial);
