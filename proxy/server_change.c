/* Changing a server over to a configuration, the first one or a reload: everything that can fail is done
 * before anything is changed. Refuses to know signals and how a server ends. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/admin/admin.h"
#include "proxy/errlog.h"
#include "proxy/health/checker.h"
#include "proxy/server_internal.h"
#include "proxy/tcp_options.h"

/* --- All workers at once --- */

struct round {
    worker_fn *fn;
    void **args;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    unsigned pending;
};

static void on_round(struct worker *worker, void *arg)
{
    struct round *round = arg;

    round->fn(worker, round->args != NULL ? round->args[worker_index(worker)] : NULL);
    pthread_mutex_lock(&round->mutex);
    if (--round->pending == 0)
        pthread_cond_signal(&round->done);
    pthread_mutex_unlock(&round->mutex);
}

void server_call_workers(struct server *server, worker_fn *fn, void **args)
{
    struct round round = {.fn = fn,
                          .args = args,
                          .mutex = PTHREAD_MUTEX_INITIALIZER,
                          .done = PTHREAD_COND_INITIALIZER,
                          .pending = server->worker_count};

    for (unsigned i = 0; i < server->worker_count; i++) {
        if (server->state == SERVER_BUILT)
            fn(server->workers[i], args != NULL ? args[i] : NULL);
        else
            /* Refused only for want of memory. All or none: asked again. */
            while (!worker_post(server->workers[i], on_round, &round))
                usleep(1000);
    }
    if (server->state == SERVER_BUILT)
        return;
    pthread_mutex_lock(&round.mutex);
    while (round.pending > 0)
        pthread_cond_wait(&round.done, &round.mutex);
    pthread_mutex_unlock(&round.mutex);
    pthread_cond_destroy(&round.done);
    pthread_mutex_destroy(&round.mutex);
}

/* --- Listening --- */

/* All listeners of the generation, or admin's alone. */
static bool prepare_listening(struct server *server, const struct generation *generation, bool only_admin,
                              struct conf_problems *problems)
{
    struct listen_want *wants = calloc(generation->listener_count + 1, sizeof(*wants));
    char(*keys)[128] = calloc(generation->listener_count + 1, sizeof(*keys));
    bool good = wants != NULL && keys != NULL;
    size_t count = 0;

    if (!good)
        conf_problem_add(problems, (struct conf_place){0}, NULL, "out of memory");
    for (size_t i = 0; good && i < generation->listener_count; i++) {
        const struct generation_listener *listener = &generation->listeners[i];
        const bool is_admin = listener->is_admin;

        if (only_admin && !is_admin)
            continue;
        if (is_admin)
            snprintf(keys[count], sizeof(keys[count]), "admin.listen");
        else
            snprintf(keys[count], sizeof(keys[count]), "listeners.%s.address", listener->name);
        wants[count] = (struct listen_want){.name = listener->name,
                                            .key = keys[count],
                                            .address = listener->wanted,
                                            .listening = listener->listening,
                                            .single = is_admin};
        count++;
    }
    good = good && listen_set_prepare(server->listening, wants, count, problems);
    free(wants);
    free(keys);
    return good;
}

void server_close_listeners(struct server *server)
{
    struct conf_problems ignored = {0};

    /* Opens nothing, so it can only fail for want of memory: then they are closed with everything else. */
    if (prepare_listening(server, server->generation, true, &ignored))
        listen_set_commit(server->listening);
    conf_problems_clear(&ignored);
}

static bool prepare_workers(struct server *server, struct server_change *change)
{
    const struct generation *generation = change->generation;
    int *fds = calloc(generation->listener_count + 1, sizeof(*fds));

    change->workers = calloc(server->worker_count, sizeof(struct worker_change *));
    change->calls = calloc(server->worker_count, sizeof(void *));
    if (fds == NULL || change->workers == NULL || change->calls == NULL)
        goto failed;
    for (unsigned i = 0; i < server->worker_count; i++) {
        for (size_t j = 0; j < generation->listener_count; j++)
            fds[j] = listen_set_fd(server->listening, j, i);
        change->workers[i] = worker_change_new(change->generation, fds);
        if (change->workers[i] == NULL)
            goto failed;
        change->calls[i] = change->workers[i];
    }
    free(fds);
    return true;

failed:
    free(fds);
    return false;
}

/* --- The log --- */

static enum log_target log_target_of(const struct conf *conf)
{
    switch (conf->log.access) {
    case CONF_LOG_OFF:
        break;
    case CONF_LOG_STDERR:
        return LOG_STDERR;
    case CONF_LOG_STDOUT:
        return LOG_STDOUT;
    case CONF_LOG_FILE:
        return LOG_FILE;
    }
    return LOG_OFF;
}

static enum log_format log_format_of(const struct conf *conf)
{
    switch (conf->log.format) {
    case CONF_LOG_JSON:
        break;
    case CONF_LOG_COMBINED:
        return LOG_COMBINED;
    }
    return LOG_JSON;
}

static bool log_differs(const struct conf *old, const struct conf *fresh)
{
    if (old->log.access != fresh->log.access || old->log.format != fresh->log.format)
        return true;
    return fresh->log.access == CONF_LOG_FILE && strcmp(old->log.path, fresh->log.path) != 0;
}

static bool prepare_log(struct server *server, const struct conf *conf, struct server_change *change,
                        struct conf_problems *problems)
{
    const uid_t uid = server->privileges.change ? server->privileges.uid : (uid_t)-1;

    change->log_fd = -2;
    change->log_changed = server->generation == NULL || log_differs(server->generation->conf, conf);
    if (!change->log_changed)
        return true;
    change->log_fd = log_open_target(log_target_of(conf), conf->log.path, uid, server->privileges.gid);
    if (change->log_fd == -1)
        conf_problem_add(problems, conf->log.place, "log.access", "can't open %s: %s", conf->log.path,
                         strerror(errno));
    return change->log_fd != -1;
}

static void switch_log(struct server *server, const struct server_change *change)
{
    const struct conf *conf = change->generation->conf;
    const struct log_sink sink = {.target = log_target_of(conf),
                                  .format = log_format_of(conf),
                                  .fd = change->log_fd,
                                  .path = conf->log.path};

    if (log_switch(server->log, &sink) == -1)
        errlog("access log: not changed: %s", strerror(errno));
}

/* --- The change --- */

static void free_change(struct server *server, struct server_change *change)
{
    /* A generation that comes to nothing may be discarded only when nobody refers to it any more. */
    for (unsigned i = 0; change->workers != NULL && i < server->worker_count; i++)
        worker_change_free(change->workers[i]);
    free(change->workers);
    free(change->calls);
    *change = (struct server_change){.log_fd = -2};
}

bool server_change_prepare(struct server *server, struct conf *conf, struct server_change *change,
                           struct conf_problems *problems)
{
    const struct http_handler admin = admin_handler(server);
    const bool change_user = server->privileges.change;
    struct conf_problems warnings = {0};
    const struct generation_options options = {
        .conf = conf,
        .number = server->generation != NULL ? server->generation->number + 1 : 1,
        .worker_count = server->worker_count,
        .registry = server->registry,
        .backends = server->backends,
        .resolver = server->resolver,
        .checker = server->checker,
        .tickets = server->tickets,
        .admin = &admin,
        .file_uid = change_user ? server->privileges.uid : (uid_t)-1,
        .file_gid = change_user ? server->privileges.gid : (gid_t)-1,
        .warnings = &warnings,
        .require_ktls = true,
    };

    struct generation *generation;

    *change = (struct server_change){.log_fd = -2};
    change->generation = generation_new(&options, problems);
    conf_problems_print(&warnings, stderr);
    conf_problems_clear(&warnings);
    if (change->generation == NULL)
        return false;
    if (!prepare_log(server, conf, change, problems))
        goto free_generation;
    if (!prepare_listening(server, change->generation, false, problems))
        goto close_log;
    for (size_t i = 0; i < change->generation->listener_count; i++)
        snprintf(change->generation->listeners[i].address, GENERATION_ADDRESS_MAX, "%s",
                 listen_set_address(server->listening, i));
    if (prepare_workers(server, change))
        return true;
    conf_problem_add(problems, (struct conf_place){0}, NULL, "out of memory");
    listen_set_abort(server->listening);
close_log:
    if (change->log_fd >= 0)
        close(change->log_fd);
free_generation:
    generation = change->generation;
    free_change(server, change);
    generation_discard(generation);
    return false;
}

static void on_adopt(struct worker *worker, void *arg)
{
    worker_adopt(worker, arg);
}

void server_change_commit(struct server *server, struct server_change *change)
{
    struct generation *old = server->generation;
    const struct conf *conf = change->generation->conf;

    if (old != NULL)
        server_names_await(server, change->generation);
    server_call_workers(server, on_adopt, change->calls);
    memset(change->workers, 0, server->worker_count * sizeof(struct worker_change *)); /* taken */
    server->generation = change->generation;
    if (change->log_changed)
        switch_log(server, change);
    if (old != NULL)
        server_announce(server, false);
    listen_set_commit(server->listening);
    for (size_t i = 0; i < conf->backend_count && tcp_options_fast_open_problem(false) != NULL; i++)
        if (conf->backends[i].outgoing.tcp.fast_open)
            errlog("backend %s: tcp.fast_open %s", conf->backends[i].name,
                   tcp_options_fast_open_problem(false));
    checker_adopt(server->checker, server->generation);
    free_change(server, change);
    if (old != NULL)
        generation_retire(old);
    generation_unref(old);
}

void server_change_abort(struct server *server, struct server_change *change)
{
    struct generation *generation = change->generation;

    listen_set_abort(server->listening);
    if (change->log_fd >= 0)
        close(change->log_fd);
    free_change(server, change);
    generation_discard(generation);
}

bool server_reload(struct server *server, struct conf_problems *problems)
{
    struct server_change change;
    struct conf *conf;
    struct stat status;

    if (server->options.conf_path == NULL || server->state != SERVER_RUNNING) {
        conf_problem_add(problems, (struct conf_place){0}, NULL, "%s",
                         server->options.conf_path == NULL ? "there is no file to load again"
                                                           : "the server is not running");
        return false;
    }
    /* A pipe was read when the program started and will not be written again: waiting for it would be for
     * ever. */
    if (stat(server->options.conf_path, &status) == 0 && !S_ISREG(status.st_mode)) {
        conf_problem_add(problems, (struct conf_place){.file = server->options.conf_path}, NULL,
                         "not a regular file: it can't be loaded again");
        return false;
    }
    conf = conf_load(server->options.conf_path, problems);
    if (conf == NULL)
        return false;
    if (!conf_reloadable(server->generation->conf, conf, problems) ||
        !server_change_prepare(server, conf, &change, problems)) {
        conf_free(conf);
        return false;
    }
    server_change_commit(server, &change);
    if (server->options.announce != NULL) {
        fprintf(server->options.announce, "sluice: reloaded, generation %llu\n",
                (unsigned long long)server->generation->number);
        fflush(server->options.announce);
    }
    return true;
}
