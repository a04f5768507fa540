/* A small table of sessions under one lock: a look through it takes microseconds, a handshake a hundred times
 * that. Refuses to know what the keys stand for. */
#include "certs/sessions.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *key;
    SSL_SESSION *session;
    uint64_t since;
};

struct cert_sessions {
    pthread_mutex_t lock;
    size_t count;
    struct entry entries[SESSIONS_MAX]; /* the oldest first */
};

struct cert_sessions *cert_sessions_new(void)
{
    struct cert_sessions *sessions = calloc(1, sizeof(*sessions));
    if (sessions != NULL && pthread_mutex_init(&sessions->lock, NULL) != 0) {
        free(sessions);
        return NULL;
    }
    return sessions;
}

static void drop(struct cert_sessions *sessions, size_t at)
{
    SSL_SESSION_free(sessions->entries[at].session);
    free(sessions->entries[at].key);
    sessions->count--;
    memmove(&sessions->entries[at], &sessions->entries[at + 1],
            (sessions->count - at) * sizeof(sessions->entries[0]));
}

void cert_sessions_free(struct cert_sessions *sessions)
{
    if (sessions == NULL) {
        return;
    }
    while (sessions->count > 0) {
        drop(sessions, sessions->count - 1);
    }
    pthread_mutex_destroy(&sessions->lock);
    free(sessions);
}

static void drop_old(struct cert_sessions *sessions, uint64_t now)
{
    while (sessions->count > 0 && now - sessions->entries[0].since >= SESSIONS_SECONDS) {
        drop(sessions, 0);
    }
}

static void make_room(struct cert_sessions *sessions, const char *key)
{
    size_t same = 0, oldest = SESSIONS_MAX;
    for (size_t i = sessions->count; i-- > 0;) {
        if (strcmp(sessions->entries[i].key, key) == 0) {
            same++;
            oldest = i;
        }
    }
    if (same >= SESSIONS_PER_KEY) {
        drop(sessions, oldest);
    } else if (sessions->count == SESSIONS_MAX) {
        drop(sessions, 0);
    }
}

/* A copy: OpenSSL marks the session of a connection that ends by a reset as not to be resumed, and a relay
 * ends many like that. */
void cert_sessions_put(struct cert_sessions *sessions, const char *key, SSL_SESSION *session, uint64_t now)
{
    struct entry entry = {.key = strdup(key), .session = SSL_SESSION_dup(session), .since = now};
    if (entry.key == NULL || entry.session == NULL) {
        SSL_SESSION_free(entry.session);
        free(entry.key);
        return;
    }
    pthread_mutex_lock(&sessions->lock);
    drop_old(sessions, now);
    make_room(sessions, key);
    sessions->entries[sessions->count++] = entry;
    pthread_mutex_unlock(&sessions->lock);
}

static bool is_usable(SSL_SESSION *session)
{
    const X509 *peer = SSL_SESSION_get0_peer(session);
    return SSL_SESSION_is_resumable(session) == 1 &&
           (peer == NULL || X509_cmp_current_time(X509_get0_notAfter(peer)) > 0);
}

SSL_SESSION *cert_sessions_take(struct cert_sessions *sessions, const char *key, uint64_t now)
{
    SSL_SESSION *taken = NULL;
    pthread_mutex_lock(&sessions->lock);
    drop_old(sessions, now);
    for (size_t i = sessions->count; i-- > 0 && taken == NULL;) {
        struct entry *entry = &sessions->entries[i];
        if (strcmp(entry->key, key) != 0) {
            continue;
        }
        bool usable = is_usable(entry->session);
        bool single_use = SSL_SESSION_get_protocol_version(entry->session) == TLS1_3_VERSION;
        taken = usable ? SSL_SESSION_dup(entry->session) : NULL;
        if (!usable || single_use) {
            drop(sessions, i);
        }
    }
    pthread_mutex_unlock(&sessions->lock);
    return taken;
}

size_t cert_sessions_count(struct cert_sessions *sessions)
{
    pthread_mutex_lock(&sessions->lock);
    size_t count = sessions->count;
    pthread_mutex_unlock(&sessions->lock);
    return count;
}
