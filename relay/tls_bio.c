/* A BIO over a socket that gathers writes in memory of the thread.
 * Refuses to know TLS. */
#include "relay/tls_bio.h"

#include <assert.h>
#include <errno.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Filled and emptied within one call of tls_conn, so one a thread is enough, and it stays in the cache. */
static _Thread_local uint8_t gathered[TLS_BIO_ROOM];
static _Thread_local size_t gathered_size;

static int on_write(BIO *handle, const char *data, size_t size, size_t *written)
{
    (void)handle;
    if (size > sizeof(gathered) - gathered_size) {
        BIO_set_retry_write(handle);
        return 0;
    }
    BIO_clear_retry_flags(handle);
    memcpy(gathered + gathered_size, data, size);
    gathered_size += size;
    *written = size;
    return 1;
}

static int on_read(BIO *handle, char *data, size_t size, size_t *got)
{
    struct tls_bio *bio = BIO_get_data(handle);
    ssize_t n;
    BIO_clear_retry_flags(handle);
    if (bio->once && bio->drained) {
        errno = EAGAIN;
        BIO_set_retry_read(handle);
        return 0;
    }
    do {
        n = recv(bio->fd, data, size, 0);
    } while (n == -1 && errno == EINTR);
    bio->drained = n < (ssize_t)size;
    if (n > 0) {
        *got = (size_t)n;
        return 1;
    }
    if (n == 0)
        bio->eof = true;
    else if (errno == EAGAIN)
        BIO_set_retry_read(handle);
    return 0;
}

static long on_control(BIO *handle, int command, long number, void *pointer)
{
    const struct tls_bio *bio = BIO_get_data(handle);
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return bio->eof;
    default:
        return 0;
    }
}

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gathering socket");
    if (method == NULL)
        return;
    BIO_meth_set_write_ex(method, on_write);
    BIO_meth_set_read_ex(method, on_read);
    BIO_meth_set_ctrl(method, on_control);
}

BIO *tls_bio_open(struct tls_bio *bio, int fd)
{
    pthread_once(&method_once, make_method);
    BIO *handle = method != NULL ? BIO_new(method) : NULL;
    if (handle == NULL)
        return NULL;
    *bio = (struct tls_bio){.fd = fd};
    BIO_set_data(handle, bio);
    BIO_set_init(handle, 1);
    return handle;
}

void tls_bio_close(struct tls_bio *bio)
{
    free(bio->unsent);
    bio->unsent = NULL;
    bio->unsent_size = bio->unsent_offset = 0;
}

/* The gathered bytes from `from` on go behind what is unsent. */
static enum tls_bio_flush keep(struct tls_bio *bio, size_t from)
{
    size_t old = tls_bio_unsent(bio), more = gathered_size - from;
    gathered_size = 0;
    if (more == 0)
        return old == 0 ? TLS_BIO_SENT : TLS_BIO_UNSENT;
    uint8_t *unsent = malloc(old + more);
    if (unsent == NULL) {
        errno = ENOMEM;
        return TLS_BIO_BROKEN;
    }
    if (old > 0)
        memcpy(unsent, bio->unsent + bio->unsent_offset, old);
    memcpy(unsent + old, gathered + from, more);
    free(bio->unsent);
    bio->unsent = unsent;
    bio->unsent_size = old + more;
    bio->unsent_offset = 0;
    return TLS_BIO_UNSENT;
}

enum tls_bio_flush tls_bio_put_by(struct tls_bio *bio)
{
    return keep(bio, 0);
}

enum tls_bio_flush tls_bio_flush(struct tls_bio *bio, bool more)
{
    size_t old = tls_bio_unsent(bio);
    if (old + gathered_size == 0)
        return TLS_BIO_SENT;
    struct iovec parts[2] = {
        {.iov_base = bio->unsent != NULL ? bio->unsent + bio->unsent_offset : NULL, .iov_len = old},
        {.iov_base = gathered, .iov_len = gathered_size}};
    struct msghdr message = {.msg_iov = old > 0 ? parts : parts + 1, .msg_iovlen = old > 0 ? 2 : 1};
    ssize_t n;
    do {
        n = sendmsg(bio->fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } while (n == -1 && errno == EINTR);
    if (n == -1 && errno != EAGAIN) {
        gathered_size = 0;
        return TLS_BIO_BROKEN;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent < old) {
        bio->unsent_offset += sent;
        return keep(bio, 0);
    }
    tls_bio_close(bio);
    return keep(bio, sent - old);
}

size_t tls_bio_unsent(const struct tls_bio *bio)
{
    return bio->unsent_size - bio->unsent_offset;
}

bool tls_bio_has_new(void)
{
    return gathered_size > 0;
}
