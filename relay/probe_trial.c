/* Real bytes through a socket whose TLS is the kernel's, in each of the ways that the movers and tls_conn
 * use. Refuses to know which versions and ciphers there are. */
#include "relay/probe_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_TIMEOUT_MS 1000
#define LOSS_TIMEOUT_MS 50 /* how long bytes that are lost are waited for */
#define RECORD 16384u
#define PIPE_SIZE (64u << 10)

static uint8_t byte_at(size_t position)
{
    return (uint8_t)(position * 31 + (position >> 8));
}

static void fill(uint8_t *data, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(from + i);
}

bool trial_wait(const struct trial *trial)
{
    struct pollfd fds[2] = {{.fd = trial->pair[0], .events = POLLIN},
                            {.fd = trial->pair[1], .events = POLLIN}};
    return poll(fds, 2, TURN_TIMEOUT_MS) > 0;
}

static bool wait_for(int fd, short events)
{
    struct pollfd pollfd = {.fd = fd, .events = events};
    return poll(&pollfd, 1, TURN_TIMEOUT_MS) > 0;
}

/* --- Sending --- */

/* The client reads up to byte `until` of the pattern, from *have on: what is there now, or all. */
static bool client_gets(struct trial *trial, size_t *have, size_t until, bool all)
{
    uint8_t got[4096];
    for (int turn = 0; turn < TRIAL_TURNS_MAX && *have < until;) {
        size_t left = until - *have;
        int n = SSL_read(trial->client, got, (int)(left < sizeof(got) ? left : sizeof(got)));
        if (n <= 0) {
            turn++;
            if (SSL_get_error(trial->client, n) != SSL_ERROR_WANT_READ)
                return false;
            if (!all)
                return true;
            if (!wait_for(trial->pair[0], POLLIN))
                return false;
        }
        for (int i = 0; i < n; i++)
            if (got[i] != byte_at((*have)++))
                return false;
    }
    return *have == until || !all;
}

/* After a send of n bytes that may have been a part: the client makes room for the rest. */
static bool go_on(struct trial *trial, ssize_t n, size_t *have, size_t until)
{
    return client_gets(trial, have, until, false) &&
           (n > 0 || (n == -1 && errno == EAGAIN && wait_for(trial->pair[1], POLLOUT)));
}

static bool send_pattern(const struct trial *trial, size_t from, size_t size, int flags)
{
    uint8_t data[4096];
    fill(data, from, size);
    return send(trial->pair[1], data, size, flags | MSG_NOSIGNAL) == (ssize_t)size;
}

static bool send_file(struct trial *trial, size_t *have)
{
    uint8_t data[RECORD + 1000];
    size_t from = *have;
    off_t offset = 0;
    bool good = false;
    int fd = memfd_create("probe", MFD_CLOEXEC);
    fill(data, *have, sizeof(data));
    if (fd != -1 && write(fd, data, sizeof(data)) == (ssize_t)sizeof(data)) {
        good = true;
        for (int turn = 0; good && turn < TRIAL_TURNS_MAX && offset < (off_t)sizeof(data); turn++) {
            ssize_t n = sendfile(trial->pair[1], fd, &offset, sizeof(data) - (size_t)offset);
            good = go_on(trial, n, have, from + (size_t)offset);
        }
        good = good && client_gets(trial, have, from + sizeof(data), true);
    }
    if (fd != -1)
        close(fd);
    return good;
}

static bool open_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
        return false;
    (void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
    return true;
}

static void close_pipe(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static bool send_pipe(struct trial *trial, size_t *have)
{
    uint8_t data[4096];
    int fds[2];
    size_t from = *have, in = 0, out = 0;
    if (!open_pipe(fds))
        return false;
    bool good = true;
    while (good && in < PIPE_SIZE) {
        fill(data, from + in, sizeof(data));
        good = write(fds[1], data, sizeof(data)) == (ssize_t)sizeof(data);
        in += sizeof(data);
    }
    for (int turn = 0; good && turn < TRIAL_TURNS_MAX && out < in; turn++) {
        ssize_t n = splice(fds[0], NULL, trial->pair[1], NULL, in - out, SPLICE_F_NONBLOCK);
        out += n > 0 ? (size_t)n : 0;
        good = go_on(trial, n, have, from + out);
    }
    close_pipe(fds);
    return good && client_gets(trial, have, from + in, true);
}

static bool client_sees_end(struct trial *trial)
{
    uint8_t byte;
    for (int turn = 0; turn < TRIAL_TURNS_MAX; turn++) {
        int n = SSL_read(trial->client, &byte, 1);
        int error = SSL_get_error(trial->client, n);
        if (error != SSL_ERROR_WANT_READ || !wait_for(trial->pair[0], POLLIN))
            return error == SSL_ERROR_ZERO_RETURN;
    }
    return false;
}

bool trial_tx(struct trial *trial)
{
    size_t have = 0;
    return send_pattern(trial, 0, 4000, 0) && client_gets(trial, &have, 4000, true) &&
           send_file(trial, &have) && send_pipe(trial, &have) && send_pattern(trial, have, 100, MSG_MORE) &&
           send_pattern(trial, have + 100, 100, 0) && client_gets(trial, &have, have + 200, true) &&
           tls_conn_close_notify(trial->server, false) == TLS_DONE && client_sees_end(trial);
}

/* --- Receiving --- */

/* One record of the pattern, as bytes for the wire. Its size, or 0. */
static size_t make_record(struct trial *trial, size_t from, size_t size, uint8_t *wire, size_t room)
{
    uint8_t data[RECORD];
    BIO *memory = BIO_new(BIO_s_mem()), *socket = SSL_get_wbio(trial->client);
    if (memory == NULL || BIO_up_ref(socket) != 1) {
        BIO_free(memory);
        return 0;
    }
    fill(data, from, size);
    SSL_set0_wbio(trial->client, memory);
    int n = SSL_write(trial->client, data, (int)size) == (int)size ? BIO_read(memory, wire, (int)room) : 0;
    SSL_set0_wbio(trial->client, socket);
    trial->client_records++;
    return n > 0 ? (size_t)n : 0;
}

static bool send_wire(const struct trial *trial, const uint8_t *wire, size_t size)
{
    return send(trial->pair[0], wire, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Splices once there is something; -1 and errno as splice has it. */
static ssize_t splice_in(const struct trial *trial, int pipe_fd)
{
    if (!wait_for(trial->pair[1], POLLIN)) {
        errno = ETIMEDOUT;
        return -1;
    }
    return splice(trial->pair[1], NULL, pipe_fd, NULL, PIPE_SIZE, SPLICE_F_NONBLOCK);
}

/* `size` bytes of the pattern from `from` on come out of an empty pipe. The kernel may deliver a record a
 * moment after the poll has told of a part of it. */
static bool splice_pattern(const struct trial *trial, const int fds[2], size_t from, size_t size)
{
    uint8_t got[RECORD];
    size_t have = 0;
    for (int turn = 0; turn < TRIAL_TURNS_MAX && have < size; turn++) {
        ssize_t n = splice_in(trial, fds[1]);
        if (n == -1 && errno == EAGAIN) {
            poll(NULL, 0, 1);
            continue;
        }
        if (n <= 0 || (size_t)n > size - have || read(fds[0], got, (size_t)n) != n)
            return false;
        for (ssize_t i = 0; i < n; i++)
            if (got[i] != byte_at(from + have++))
                return false;
    }
    return have == size;
}

static bool receive_halves(struct trial *trial, const int fds[2])
{
    uint8_t wire[RECORD + 256];
    size_t size = make_record(trial, 7, 9000, wire, sizeof(wire));
    return size > 9000 && send_wire(trial, wire, 5000) &&
           splice(trial->pair[1], NULL, fds[1], NULL, PIPE_SIZE, SPLICE_F_NONBLOCK) == -1 &&
           errno == EAGAIN && send_wire(trial, wire + 5000, size - 5000) &&
           splice_pattern(trial, fds, 7, 9000);
}

/* TLS 1.3: a record without data, sealed by hand. The client's own count is behind after that. */
static bool send_empty(const struct trial *trial)
{
    const SSL_CIPHER *suite = SSL_get_current_cipher(trial->client);
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(suite);
    const EVP_CIPHER *cipher = EVP_get_cipherbynid(SSL_CIPHER_get_cipher_nid(suite));
    uint8_t key[32], nonce[12], wire[5 + 1 + 16] = {23, 3, 3, 0, 17, 23};
    int n;
    if (cipher == NULL || trial->client_secret.size == 0 ||
        tls_expand_label(md, &trial->client_secret, "key", key, (size_t)EVP_CIPHER_get_key_length(cipher)) ==
            -1 ||
        tls_expand_label(md, &trial->client_secret, "iv", nonce, sizeof(nonce)) == -1)
        return false;
    for (int i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(trial->client_records >> (56 - 8 * i));
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool good = ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, key, nonce) == 1 &&
                EVP_EncryptUpdate(ctx, NULL, &n, wire, 5) == 1 &&
                EVP_EncryptUpdate(ctx, wire + 5, &n, wire + 5, 1) == 1 &&
                EVP_EncryptFinal_ex(ctx, wire + 6, &n) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, wire + 6) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return good && send_wire(trial, wire, sizeof(wire));
}

/* To splice an empty record looks like the end: 0. A read must tell that it isn't. */
static bool receive_empty(const struct trial *trial, const int fds[2])
{
    uint8_t byte;
    size_t n;
    if (SSL_version(trial->client) != TLS1_3_VERSION)
        return true;
    if (!send_empty(trial) || splice_in(trial, fds[1]) > 0)
        return false;
    return tls_conn_read(trial->server, &byte, 1, &n) == TLS_WANT_READ;
}

/* To splice it is no data, and it stays. */
static bool receive_end(struct trial *trial, const int fds[2])
{
    uint8_t byte;
    size_t n;
    if (SSL_shutdown(trial->client) < 0 || splice_in(trial, fds[1]) != -1 || errno != EINVAL)
        return false;
    return tls_conn_read(trial->server, &byte, 1, &n) == TLS_CLOSED;
}

bool trial_rx(struct trial *trial)
{
    uint8_t wire[RECORD + 256];
    int fds[2];
    if (!open_pipe(fds))
        return false;
    size_t size = make_record(trial, 3, RECORD, wire, sizeof(wire));
    bool good = size != 0 && send_wire(trial, wire, size) && splice_pattern(trial, fds, 3, RECORD) &&
                receive_halves(trial, fds);
    close_pipe(fds);
    return good;
}

bool trial_rx_oddities(struct trial *trial, bool empty)
{
    int fds[2];
    if (!open_pipe(fds))
        return false;
    bool good = empty ? receive_empty(trial, fds) : receive_end(trial, fds);
    close_pipe(fds);
    return good;
}

/* --- What others may trip over --- */

bool trial_full_pipe(struct trial *trial)
{
    uint8_t wire[RECORD + 256], page[4096];
    int fds[2];
    size_t out = 0;
    if (!open_pipe(fds))
        return false;
    /* One slot: full after each call, in the middle of a record. Which ones lose bytes depends on where the
     * pieces of the record lie, so there are several. */
    (void)fcntl(fds[1], F_SETPIPE_SZ, (int)sizeof(page));
    enum { RECORDS = 3 };
    bool good = true;
    for (int i = 0; good && i < RECORDS; i++) {
        size_t size = make_record(trial, 0, RECORD, wire, sizeof(wire));
        good = size != 0 && send_wire(trial, wire, size);
    }
    while (good && out < RECORDS * RECORD) {
        struct pollfd pollfd = {.fd = trial->pair[1], .events = POLLIN};
        ssize_t n = poll(&pollfd, 1, LOSS_TIMEOUT_MS) > 0
                        ? splice(pollfd.fd, NULL, fds[1], NULL, PIPE_SIZE, SPLICE_F_NONBLOCK)
                        : 0;
        if (n <= 0)
            break; /* what is missing was lost */
        out += (size_t)n;
        while (read(fds[0], page, sizeof(page)) > 0)
            ;
    }
    close_pipe(fds);
    return good && out == RECORDS * RECORD;
}

bool trial_rekey(struct trial *trial)
{
    return tls_keys_receive(trial->pair[1], SSL_get_current_cipher(trial->client), &trial->client_secret,
                            0) == 0;
}
