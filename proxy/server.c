/* See server.h: made, started, told by signals to reload, drain and stop, and taken apart.
 * Refuses to know what a change of configuration takes (server_change.c). */
#include "proxy/server.h"

#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "certs/tickets.h"
#include "proxy/disk.h"
#include "proxy/errlog.h"
#include "proxy/filters/capture.h"
#include "proxy/health/checker.h"
#include "proxy/mailbox.h"
#include "proxy/names/resolver.h"
#include "proxy/server_internal.h"

/* --- Making --- */

/* Two descriptors a connection and two for its pipe: the default soft limit of 1024 is soon reached. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static unsigned count_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    return 1;
}

static void on_backend_note(void *arg, const char *line)
{
    server_note(arg, "%s", line);
}

static void on_signal(evutil_socket_t fd, short what, void *arg);
static void on_housekeeping(evutil_socket_t fd, short what, void *arg);

/* Blocked before any thread starts, so that none of them is interrupted; read from a descriptor. */
static int take_signals(struct server *server)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGQUIT);
    errno = pthread_sigmask(SIG_BLOCK, &set, &server->old_mask);
    if (errno != 0)
        return -1;
    server->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (server->signal_fd == -1) {
        pthread_sigmask(SIG_SETMASK, &server->old_mask, NULL);
        return -1;
    }
    server->signals = event_new(server->base, server->signal_fd, EV_READ | EV_PERSIST, on_signal, server);
    if (server->signals == NULL || event_add(server->signals, NULL) == -1) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

/* Those that came too late to be minded must not kill us once they are let in again. */
static void give_back_signals(struct server *server)
{
    struct signalfd_siginfo info;

    if (server->signals != NULL)
        event_free(server->signals);
    if (server->signal_fd == -1)
        return;
    while (read(server->signal_fd, &info, sizeof(info)) > 0)
        continue;
    close(server->signal_fd);
    pthread_sigmask(SIG_SETMASK, &server->old_mask, NULL);
}

static int make_parts(struct server *server, const struct conf *conf)
{
    struct event_config *config = event_config_new();

    if (config != NULL) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        server->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    errno = ENOMEM;
    if (server->base == NULL)
        return -1;
    server->worker_count = conf->workers != 0 ? conf->workers : count_cpus();
    server->workers = calloc(server->worker_count, sizeof(struct worker *));
    server->mailbox = mailbox_new(server->base, server);
    server->housekeeping = event_new(server->base, -1, EV_PERSIST, on_housekeeping, server);
    server->registry = stats_registry_new(server->worker_count);
    server->backends = backend_registry_new();
    server->resolver = server_names_new(server);
    server->checker = checker_new(on_backend_note, server);
    server->tickets = ticket_keys_new();
    server->listening = listen_set_new(server->worker_count);
    server->log = log_new(0);
    server->disk = disk_new();
    server->disk_threads = conf->disk_threads;
    if (server->workers == NULL || server->mailbox == NULL || server->housekeeping == NULL ||
        server->registry == NULL || server->backends == NULL || server->resolver == NULL ||
        server->checker == NULL || server->tickets == NULL || server->listening == NULL ||
        server->log == NULL || server->disk == NULL)
        return -1;
    for (unsigned i = 0; i < server->worker_count; i++) {
        server->workers[i] = worker_new(&(struct worker_options){.server = server,
                                                                 .log = server->log,
                                                                 .disk = server->disk,
                                                                 .index = i,
                                                                 .pipe_size = (size_t)conf->pipe_size});
        if (server->workers[i] == NULL)
            return -1;
    }
    backend_registry_on_note(server->backends, on_backend_note, server);
    return server->options.handle_signals ? take_signals(server) : 0;
}

struct server *server_new(const struct server_options *options, struct conf_problems *problems)
{
    struct server *server = calloc(1, sizeof(*server));
    struct server_change change;

    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN); /* sendfile(), splice() and SSL_write() know no MSG_NOSIGNAL */
    if (server == NULL) {
        conf_problem_add(problems, (struct conf_place){0}, NULL, "%s", strerror(errno));
        return NULL;
    }
    server->options = *options;
    server->signal_fd = -1;
    server->started_ms = loop_now_ms();
    if (make_parts(server, options->conf) == -1) {
        conf_problem_add(problems, (struct conf_place){0}, NULL, "can't start: %s", strerror(errno));
        goto free_server;
    }
    /* Certificates and keys are read and ports bound while we still may. */
    if (!privileges_resolve(options->conf, &server->privileges, problems) ||
        !privileges_permitted(&server->privileges, options->conf, problems) ||
        !server_change_prepare(server, options->conf, &change, problems))
        goto free_server;
    if (!privileges_drop(&server->privileges, options->conf, problems)) {
        server_change_abort(server, &change);
        goto free_server;
    }
    server_change_commit(server, &change);
    server->options.conf = NULL;
    return server;

free_server:
    server_free(server);
    return NULL;
}

int server_start(struct server *server)
{
    const struct timeval minute = {.tv_sec = 60};

    if (log_start(server->log) == -1 || resolver_start(server->resolver) == -1 ||
        disk_start(server->disk, server->disk_threads) == -1)
        return -1;
    if (checker_start(server->checker) == -1)
        return -1;
    server_names_await(server, server->generation);
    server->state = SERVER_RUNNING;
    for (unsigned i = 0; i < server->worker_count; i++)
        if (worker_start(server->workers[i]) == -1)
            return -1;
    ticket_keys_rotate(server->tickets, loop_now_ms() / 1000); /* starts their clock */
    event_add(server->housekeeping, &minute);
    server_announce(server, true);
    return 0;
}

static void on_housekeeping(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;

    (void)fd;
    (void)what;
    ticket_keys_rotate(server->tickets, loop_now_ms() / 1000);
}

void server_announce(const struct server *server, bool all)
{
    FILE *stream = server->options.announce;

    for (size_t i = 0; stream != NULL && i < server->generation->listener_count; i++)
        if (all || listen_set_is_fresh(server->listening, i))
            fprintf(stream, "sluice: listening %s %s\n", server->generation->listeners[i].name,
                    server->generation->listeners[i].address);
    if (stream != NULL)
        fflush(stream);
}

/* --- Ending --- */

static void stop_workers(struct server *server)
{
    for (unsigned i = 0; server->workers != NULL && i < server->worker_count; i++)
        if (server->workers[i] != NULL)
            worker_stop(server->workers[i]);
    for (unsigned i = 0; server->workers != NULL && i < server->worker_count; i++)
        if (server->workers[i] != NULL)
            worker_join(server->workers[i]);
}

static void stop_now(struct server *server)
{
    if (server->state == SERVER_STOPPED)
        return;
    stop_workers(server);
    server->state = SERVER_STOPPED;
    atomic_store_explicit(&server->draining, true, memory_order_relaxed);
    event_base_loopbreak(server->base);
}

static void on_worker_drain(struct worker *worker, void *arg)
{
    (void)arg;
    worker_drain(worker);
}

static void begin_drain(struct server *server)
{
    if (server->state != SERVER_RUNNING)
        return;
    server->state = SERVER_DRAINING;
    atomic_store_explicit(&server->draining, true, memory_order_relaxed);
    /* Each connection has the drain deadline of its listener, so this comes to an end. */
    server_call_workers(server, on_worker_drain, NULL);
    server_close_listeners(server);
}

static void on_drained(void *owner, void *arg)
{
    struct server *server = owner;

    (void)arg;
    if (++server->drained == server->worker_count)
        stop_now(server);
}

void server_on_drained(struct server *server)
{
    while (!mailbox_post(server->mailbox, on_drained, NULL))
        usleep(1000);
}

static void on_stop_request(void *owner, void *arg)
{
    if (arg != NULL)
        stop_now(owner);
    else
        begin_drain(owner);
}

void server_stop(struct server *server, enum server_stop how)
{
    while (!mailbox_post(server->mailbox, on_stop_request, how == SERVER_STOP_NOW ? server : NULL))
        usleep(1000);
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    stop_workers(server);
    server->state = SERVER_STOPPED; /* for messages that are still waiting */
    for (unsigned i = 0; server->workers != NULL && i < server->worker_count; i++)
        worker_free(server->workers[i]);
    free(server->workers);
    checker_free(server->checker); /* its last words go to the mailbox */
    if (server->generation != NULL)
        generation_retire(server->generation);
    resolver_free(server->resolver); /* before what its last words would reach */
    generation_unref(server->generation);
    capture_flush_all();
    listen_set_free(server->listening);
    log_free(server->log);
    disk_free(server->disk);
    mailbox_free(server->mailbox);
    stats_registry_free(server->registry);
    backend_registry_free(server->backends);
    ticket_keys_free(server->tickets);
    if (server->housekeeping != NULL)
        event_free(server->housekeeping);
    give_back_signals(server);
    if (server->base != NULL)
        event_base_free(server->base);
    free(server);
}

/* --- Running --- */

static void reload(struct server *server)
{
    struct conf_problems problems = {0};

    if (!server_reload(server, &problems)) {
        conf_problems_print(&problems, stderr);
        errlog("reload refused, generation %llu serves on", (unsigned long long)server->generation->number);
    }
    conf_problems_clear(&problems);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    struct signalfd_siginfo info;

    (void)what;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGHUP:
            reload(server);
            break;
        case SIGUSR1:
            log_reopen(server->log);
            break;
        case SIGQUIT:
            stop_now(server);
            break;
        case SIGINT: /* the second one is impatient */
            if (server->state == SERVER_DRAINING)
                stop_now(server);
            else
                begin_drain(server);
            break;
        default:
            begin_drain(server);
        }
    }
}

int server_run(struct server *server)
{
    while (server->state != SERVER_STOPPED)
        event_base_loop(server->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return 0;
}

static void on_note(void *owner, void *arg)
{
    (void)owner;
    errlog("%s", (const char *)arg);
    free(arg);
}

void server_note(struct server *server, const char *format, ...)
{
    va_list arguments;
    char *text;
    int length;

    va_start(arguments, format);
    length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length != -1 && !mailbox_post(server->mailbox, on_note, text))
        free(text);
}

/* --- What others want to know --- */

const char *server_address(const struct server *server, const char *listener)
{
    const struct generation_listener *found = generation_find(server->generation, listener);

    return found != NULL ? found->address : NULL;
}

unsigned server_worker_count(const struct server *server)
{
    return server->worker_count;
}

struct worker *server_worker(const struct server *server, unsigned index)
{
    return server->workers[index];
}

uint64_t server_uptime_ms(const struct server *server)
{
    return loop_now_ms() - server->started_ms;
}

bool server_draining(const struct server *server)
{
    return atomic_load_explicit(&server->draining, memory_order_relaxed);
}

uint64_t server_disk_jobs(const struct server *server)
{
    return disk_jobs_total(server->disk);
}

uint64_t server_log_dropped(const struct server *server)
{
    return log_dropped(server->log);
}

uint64_t server_log_written(const struct server *server)
{
    return log_written(server->log);
}
