/* See checker.h. Refuses to know how one check is done and when a server counts as down. */
#include "proxy/health/checker.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "certs/connect.h"
#include "proxy/generation.h"
#include "proxy/hash.h"
#include "proxy/health/probe.h"
#include "proxy/health/state.h"
#include "proxy/mailbox.h"
#include "proxy/proxy_header.h"
#include "relay/loop.h"

/* A PROXY header without addresses: 16 bytes, and a checksum. */
#define CHECK_GREETING_MAX 64

/* One server that is checked. */
struct check {
    TAILQ_ENTRY(check) link;
    struct checker *checker;
    struct backend_server *server;  /* a reference */
    const struct conf_health *conf; /* the checker's generation's, as are the next two */
    struct cert_connect *secure;    /* NULL: its connections are plain, whatever the checks are */
    const char *tls_name;           /* what its certificate has to be for; NULL: the server's own name */
    struct health_state state;
    struct health_probe probe;
    struct event timer;
    uint64_t began_ms;
    char greeting[CHECK_GREETING_MAX]; /* where the backend's servers want a PROXY header: one of ours */
    size_t greeting_length;
    char *request;
    size_t request_length;
    bool wanted; /* while looking who is to be checked */
};
TAILQ_HEAD(check_list, check);

struct checker {
    void (*note)(void *arg, const char *line);
    void *arg;
    struct event_base *base;
    struct mailbox *mailbox;
    SSL_CTX *tls;
    pthread_t thread;
    bool has_thread;
    /* The thread's own from here on. */
    struct generation *generation; /* a reference; NULL: none yet */
    struct check_list checks;
    uint64_t lots;
};

/* --- One check after the other --- */

static bool is_good_status(void *arg, unsigned status)
{
    const struct check *check = arg;
    unsigned low, high;

    for (size_t i = 0; i < check->conf->status_count; i++)
        if (conf_status_range_parse(check->conf->status[i], &low, &high) && status >= low && status <= high)
            return true;
    return false;
}

static bool speaks_tls(const struct conf_health *conf)
{
    return conf->type == CONF_HEALTH_TLS || conf->type == CONF_HEALTH_HTTPS;
}

static bool speaks_http(const struct conf_health *conf)
{
    return conf->type == CONF_HEALTH_HTTP || conf->type == CONF_HEALTH_HTTPS;
}

/* In [0, range]. */
static uint64_t draw(struct checker *checker, uint64_t range)
{
    checker->lots += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    return hash_mix(checker->lots) % (range + 1);
}

static void schedule(struct check *check, uint64_t ms)
{
    const struct timeval delay = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    evtimer_add(&check->timer, &delay);
}

static void schedule_next(struct check *check)
{
    const uint64_t interval = check->conf->interval_ms, spread = interval * check->conf->jitter / 100;
    const uint64_t due = check->began_ms + interval - spread + draw(check->checker, 2 * spread);
    const uint64_t now = loop_now_ms();

    schedule(check, due > now ? due - now : 0);
}

static void tell_change(const struct check *check, const char *why)
{
    const struct backend_server *server = check->server;
    char line[512];

    if (check->state.down)
        snprintf(line, sizeof(line), "backend %s: server %s is down: %s", server->backend->name, server->name,
                 why);
    else
        snprintf(line, sizeof(line), "backend %s: server %s is up", server->backend->name, server->name);
    check->checker->note(check->checker->arg, line);
}

static void on_probe_end(void *arg, struct health_result result)
{
    struct check *check = arg;
    char why[160];

    schedule_next(check);
    atomic_store_explicit(&check->server->check_result, health_result_pack(result), memory_order_relaxed);
    atomic_store_explicit(&check->server->checked_ms, loop_now_ms(), memory_order_relaxed);
    if (result.cause == HEALTH_SHORT) /* says nothing of the server */
        return;
    if (!health_note(&check->state, result.cause == HEALTH_GOOD, check->conf->rise, check->conf->fall))
        return;
    backend_server_checked(check->server, check->state.down, loop_now_ms());
    health_result_text(result, why, sizeof(why));
    tell_change(check, why);
}

/* Where connections speak TLS a check does it as they do: one that none could be made to is down. But it
 * resumes no session, so that the certificate is looked at anew each time. */
static bool prepare_as_connections(const struct check *check, SSL *ssl)
{
    static const unsigned char http[] = "\x08http/1.1";
    char name[256];

    /* With kTLS SSL_write keeps the pointer it was given (kernel.md 4): not worth that care here. */
    SSL_clear_options(ssl, SSL_OP_ENABLE_KTLS);
    if (speaks_http(check->conf) && SSL_set_alpn_protos(ssl, http, sizeof(http) - 1) != 0)
        return false;
    backend_server_tls_name(check->server, check->tls_name, name, sizeof(name));
    return name[0] == '\0' || cert_connect_set_name(ssl, name) == 0;
}

/* As configured, else the name by which the server was found. NULL: neither. */
static const char *name_of(const struct check *check)
{
    return check->conf->host != NULL ? check->conf->host : check->server->host;
}

static bool on_prepare(void *arg, SSL *ssl)
{
    const struct check *check = arg;
    const char *name = name_of(check);

    if (check->secure != NULL)
        return prepare_as_connections(check, ssl);
    return name == NULL || SSL_set_tlsext_host_name(ssl, name) == 1;
}

static SSL_CTX *tls_of(const struct check *check)
{
    if (!speaks_tls(check->conf))
        return NULL;
    return check->secure != NULL ? cert_connect_context(check->secure) : check->checker->tls;
}

static const char *host_of(const struct check *check)
{
    const char *name = name_of(check);

    if (name != NULL)
        return name;
    return check->server->address.addr.ss_family == AF_UNIX ? "localhost" : check->server->name;
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct check *check = arg;

    (void)fd;
    (void)what;
    check->began_ms = loop_now_ms();
    health_probe_start(&check->probe,
                       &(struct health_probe_options){.base = check->checker->base,
                                                      .address = &check->server->address,
                                                      .timeout_ms = check->conf->timeout_ms,
                                                      .tls = tls_of(check),
                                                      .prepare = on_prepare,
                                                      .greeting = check->greeting,
                                                      .greeting_length = check->greeting_length,
                                                      .request = check->request,
                                                      .request_length = check->request_length,
                                                      .is_good = is_good_status,
                                                      .on_end = on_probe_end,
                                                      .arg = check});
}

/* --- Who is checked --- */

static char *make_request(const struct check *check, size_t *length)
{
    const struct conf_health *conf = check->conf;
    const char *host = host_of(check);
    char *request;
    int n = asprintf(&request,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice-health\r\nConnection: close\r\n\r\n",
                     conf->path, host);

    if (n == -1)
        return NULL;
    *length = (size_t)n;
    return request;
}

static void write_greeting(struct check *check, enum conf_proxy_header version)
{
    uint8_t header[PROXY_HEADER_WRITE_MAX] = {0};
    size_t length = 0;

    if (version != CONF_PROXY_HEADER_OFF)
        length = proxy_header_write_local(version == CONF_PROXY_HEADER_V1 ? PROXY_HEADER_V1 : PROXY_HEADER_V2,
                                          header);
    check->greeting_length = length < sizeof(check->greeting) ? length : 0;
    memcpy(check->greeting, header, check->greeting_length);
}

/* By the configuration that holds now: at once, a little spread. false: no memory, and it is as before. */
static bool configure(struct check *check, const struct conf_backend *backend)
{
    const struct generation *generation = check->checker->generation;
    const struct conf_health *old = check->conf, *conf = &backend->health;
    char *request = NULL;
    size_t length = 0;

    check->conf = conf;
    if (speaks_http(conf)) {
        request = make_request(check, &length);
        if (request == NULL) {
            check->conf = old;
            return false;
        }
    }
    health_probe_stop(&check->probe);
    check->secure = generation->connects[backend - generation->conf->backends];
    check->tls_name = backend->tls.server_name;
    free(check->request);
    check->request = request;
    check->request_length = length;
    write_greeting(check, backend->proxy_header);
    schedule(check, draw(check->checker, (uint64_t)conf->interval_ms * conf->jitter / 100));
    return true;
}

static void stop_check(struct check *check)
{
    TAILQ_REMOVE(&check->checker->checks, check, link);
    health_probe_stop(&check->probe);
    event_del(&check->timer);
    /* Nobody looks any more: nothing is known against it. */
    atomic_store_explicit(&check->server->check_result, 0, memory_order_relaxed);
    atomic_store_explicit(&check->server->is_checked, false, memory_order_relaxed);
    backend_server_checked(check->server, false, loop_now_ms());
    backend_server_unref(check->server);
    free(check->request);
    free(check);
}

static struct check *start_check(struct checker *checker, struct backend_server *server,
                                 const struct conf_backend *backend)
{
    struct check *check = calloc(1, sizeof(*check));

    if (check == NULL)
        return NULL;
    check->checker = checker;
    check->server = backend_server_ref(server);
    evtimer_assign(&check->timer, checker->base, on_due, check);
    TAILQ_INSERT_TAIL(&checker->checks, check, link);
    atomic_store_explicit(&server->is_checked, true, memory_order_relaxed);
    if (!configure(check, backend)) {
        stop_check(check);
        return NULL;
    }
    return check;
}

static struct check *find_check(struct checker *checker, const struct backend_server *server)
{
    struct check *check;

    TAILQ_FOREACH(check, &checker->checks, link)
    if (check->server == server)
        break;
    return check;
}

/* fresh: the configuration may be another one, and its strings certainly are. */
static void watch_backend(struct checker *checker, struct backend *backend, const struct conf_backend *conf,
                          bool fresh)
{
    struct server_set *set = backend_set(backend);

    for (size_t i = 0; i < set->count; i++) {
        struct check *check = find_check(checker, set->slots[i].server);

        if (check == NULL)
            check = start_check(checker, set->slots[i].server, conf);
        else if (fresh && !configure(check, conf))
            check = NULL;
        if (check != NULL)
            check->wanted = true;
    }
    server_set_unref(set);
}

static void look(struct checker *checker, bool fresh)
{
    const struct conf *conf = checker->generation->conf;
    struct check *check, *next;

    TAILQ_FOREACH(check, &checker->checks, link)
    check->wanted = false;
    for (size_t i = 0; i < conf->backend_count; i++)
        if (conf->backends[i].has_health)
            watch_backend(checker, &checker->generation->backends[i], &conf->backends[i], fresh);
    for (check = TAILQ_FIRST(&checker->checks); check != NULL; check = next) {
        next = TAILQ_NEXT(check, link);
        if (!check->wanted)
            stop_check(check);
    }
}

/* --- Messages --- */

static void on_adopt(void *owner, void *arg)
{
    struct checker *checker = owner;
    struct generation *old = checker->generation;

    checker->generation = arg;
    look(checker, true);
    generation_unref(old);
}

static void on_look(void *owner, void *arg)
{
    struct checker *checker = owner;

    (void)arg;
    if (checker->generation != NULL)
        look(checker, false);
}

static void on_stop(void *owner, void *arg)
{
    const struct checker *checker = owner;

    (void)arg;
    event_base_loopbreak(checker->base);
}

/* Refused only for want of memory: asked again. */
static void post(struct checker *checker, mailbox_fn *fn, void *arg)
{
    while (!mailbox_post(checker->mailbox, fn, arg))
        usleep(1000);
}

void checker_adopt(struct checker *checker, struct generation *generation)
{
    post(checker, on_adopt, generation_ref(generation));
}

void checker_look(struct checker *checker)
{
    if (checker != NULL)
        post(checker, on_look, NULL);
}

/* --- Life --- */

struct checker *checker_new(void (*note)(void *arg, const char *line), void *arg)
{
    struct checker *checker = calloc(1, sizeof(*checker));
    struct event_config *config = event_config_new();

    if (checker == NULL || config == NULL)
        goto failed;
    checker->note = note;
    checker->arg = arg;
    TAILQ_INIT(&checker->checks);
    checker->lots = loop_now_ms() ^ (uint64_t)getpid() << 32;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    checker->base = event_base_new_with_config(config);
    if (checker->base == NULL)
        goto failed;
    checker->mailbox = mailbox_new(checker->base, checker);
    checker->tls = SSL_CTX_new(TLS_client_method()); /* verifies nothing: so do plain connections */
    if (checker->mailbox == NULL || checker->tls == NULL)
        goto failed;
    event_config_free(config);
    return checker;

failed:
    if (config != NULL)
        event_config_free(config);
    checker_free(checker);
    errno = ENOMEM;
    return NULL;
}

static void *checker_main(void *arg)
{
    struct checker *checker = arg;

    pthread_setname_np(pthread_self(), "sluice-health");
    event_base_loop(checker->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

int checker_start(struct checker *checker)
{
    const int error = pthread_create(&checker->thread, NULL, checker_main, checker);

    errno = error;
    checker->has_thread = error == 0;
    return error == 0 ? 0 : -1;
}

void checker_free(struct checker *checker)
{
    if (checker == NULL)
        return;
    if (checker->has_thread) {
        post(checker, on_stop, NULL);
        pthread_join(checker->thread, NULL);
    }
    mailbox_free(checker->mailbox); /* what still waits in it may begin checks */
    while (!TAILQ_EMPTY(&checker->checks))
        stop_check(TAILQ_FIRST(&checker->checks));
    generation_unref(checker->generation);
    SSL_CTX_free(checker->tls);
    if (checker->base != NULL)
        event_base_free(checker->base);
    free(checker);
}
