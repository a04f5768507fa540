/* See resolver.h. Names are made and dropped by the owner; their timers, lookups and sets are the thread's;
 * what both see (targets, status) is under one mutex.
 * Refuses to know backends and what targets are for. */
#include "proxy/names/resolver.h"

#include <ares.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "proxy/mailbox.h"

/* Many hosts that start together shouldn't ask together for ever after: each wait is up to a tenth shorter.
 */
#define JITTER_SHARE 10u

struct resolver_name {
    LIST_ENTRY(resolver_name) link;
    struct resolver *resolver;
    struct resolver_spec spec;
    char *text, *host, *servers;
    unsigned wanted;             /* the owner's: times got and not retired */
    _Atomic unsigned references; /* one for each of these, until put, and the thread's own */

    /* The thread's. */
    struct event *timer;
    struct lookup *lookup;
    struct name_set set;
    enum name_outcome told; /* what the last note was about */
    bool told_incomplete;

    /* Under the resolver's mutex. */
    struct name_targets *targets;
    struct resolver_status status;
};
LIST_HEAD(name_list, resolver_name);

struct resolver {
    struct resolver_options options;
    struct event_base *base;
    struct mailbox *mailbox;
    struct name_list names; /* the owner's */
    pthread_t thread;
    bool is_running;
    unsigned seed;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    unsigned unanswered; /* under mutex: names without an answer of any kind */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- Notes --- */

static void __attribute__((format(printf, 2, 3)))
note(const struct resolver_name *name, const char *format, ...)
{
    const struct resolver_options *options = &name->resolver->options;
    va_list arguments;
    char *text;
    int length;

    va_start(arguments, format);
    length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length == -1)
        return;
    options->on_note(options->arg, text);
    free(text);
}

static void note_change(const struct resolver_name *name, const struct name_targets *old)
{
    const struct name_targets *fresh = name->set.targets;
    const struct name_difference difference = name_targets_compare(old, fresh);

    note(name, "%s: %zu address%s: %zu new, %zu gone, %zu altered", name->text,
         fresh != NULL ? fresh->count : 0, fresh != NULL && fresh->count == 1 ? "" : "es", difference.added,
         difference.removed, difference.altered);
}

/* Troubles are told as they begin and as they end, not at every question. */
static void note_outcome(struct resolver_name *name, const struct name_answer *answer)
{
    const size_t kept = name->set.targets != NULL ? name->set.targets->count : 0;
    const bool incomplete = answer->outcome == NAME_FOUND && !answer->complete;

    if (answer->outcome == name->told && incomplete == name->told_incomplete)
        return;
    if (answer->outcome == NAME_FAILED)
        note(name, "%s: can't be looked up: %s; the last answer serves on (%zu address%s)", name->text,
             answer->detail != NULL ? answer->detail : "no answer", kept, kept == 1 ? "" : "es");
    else if (answer->outcome == NAME_ABSENT)
        note(name, "%s: no such name, or no address of it; %s", name->text,
             kept > 0 ? "its last addresses serve on for the time of `hold`"
                      : "it has no servers until it has one");
    else if (incomplete)
        note(name, "%s: only in part: %s; what it can't tell serves on", name->text,
             answer->detail != NULL ? answer->detail : "no answer");
    else if (name->told != NAME_FOUND || name->told_incomplete)
        note(name, "%s: can be looked up again", name->text);
    if (answer->cut)
        note(name, "%s: more than %u addresses: the others are left out", name->text, NAME_TARGETS_MAX);
    name->told = answer->outcome;
    name->told_incomplete = incomplete;
}

/* --- The thread --- */

static void ask_after(struct resolver_name *name, uint32_t wait_ms)
{
    const struct timeval after = {.tv_sec = wait_ms / 1000, .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};

    event_add(name->timer, &after);
}

static uint32_t shorten(struct resolver *resolver, uint32_t wait_ms)
{
    return wait_ms - (uint32_t)((uint64_t)rand_r(&resolver->seed) % (wait_ms / JITTER_SHARE + 1));
}

static void publish(struct resolver_name *name, enum name_outcome outcome, bool changed)
{
    struct resolver *resolver = name->resolver;
    struct name_targets *old = NULL;

    pthread_mutex_lock(&resolver->mutex);
    if (changed) {
        old = name->targets;
        name->targets = name_targets_ref(name->set.targets);
    }
    name->status.asked++;
    name->status.failed += outcome == NAME_FAILED;
    name->status.outcome = outcome;
    if (!name->status.is_known) {
        name->status.is_known = true;
        if (--resolver->unanswered == 0)
            pthread_cond_broadcast(&resolver->answered);
    }
    pthread_mutex_unlock(&resolver->mutex);
    name_targets_unref(old);
}

static void on_answer(void *arg, const struct name_answer *answer)
{
    struct resolver_name *name = arg;
    struct resolver *resolver = name->resolver;
    struct name_targets *old = name_targets_ref(name->set.targets);
    uint32_t next_ms = 0;
    const bool changed = name_set_update(&name->set, answer, now_ms(), &next_ms) == NAME_CHANGED;

    note_outcome(name, answer);
    if (changed)
        note_change(name, old);
    publish(name, answer->outcome, changed);
    name_targets_unref(old);
    lookup_free(name->lookup);
    name->lookup = NULL;
    ask_after(name, shorten(resolver, next_ms));
    if (changed)
        resolver->options.on_change(resolver->options.arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct resolver_name *name = arg;

    (void)fd;
    (void)what;
    name->lookup = lookup_start(&(struct lookup_options){
        .base = name->resolver->base, .question = &name->spec.question, .on_end = on_answer, .arg = name});
    if (name->lookup == NULL) {
        publish(name, NAME_FAILED, false);
        ask_after(name, name->spec.limits.interval_max_ms);
    }
}

static void stop_asking(struct resolver_name *name)
{
    lookup_free(name->lookup);
    name->lookup = NULL;
    if (name->timer != NULL)
        event_free(name->timer);
    name->timer = NULL;
}

static void free_name(struct resolver_name *name)
{
    name_set_clear(&name->set);
    name_targets_unref(name->targets);
    free(name->text);
    free(name->host);
    free(name->servers);
    free(name);
}

static void on_added(void *owner, void *arg)
{
    (void)owner;
    ask_after(arg, 0);
}

static void on_retired(void *owner, void *arg)
{
    (void)owner;
    stop_asking(arg);
    resolver_put(arg);
}

static void on_stop(void *owner, void *arg)
{
    struct resolver *resolver = owner;

    (void)arg;
    event_base_loopbreak(resolver->base);
}

static void *resolver_main(void *arg)
{
    struct resolver *resolver = arg;

    pthread_setname_np(pthread_self(), "sluice-names");
    event_base_loop(resolver->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

/* --- The owner --- */

/* Refused only for want of memory: asked again. */
static void post(struct resolver *resolver, mailbox_fn *fn, void *arg)
{
    while (!mailbox_post(resolver->mailbox, fn, arg))
        usleep(1000);
}

struct resolver *resolver_new(const struct resolver_options *options)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    struct event_config *config;

    if (resolver == NULL)
        return NULL;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(resolver);
        errno = ENOMEM;
        return NULL;
    }
    resolver->options = *options;
    resolver->seed = (unsigned)now_ms() ^ (unsigned)getpid();
    LIST_INIT(&resolver->names);
    pthread_mutex_init(&resolver->mutex, NULL);
    pthread_cond_init(&resolver->answered, NULL);
    config = event_config_new();
    if (config != NULL) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        resolver->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (resolver->base != NULL)
        resolver->mailbox = mailbox_new(resolver->base, resolver);
    if (resolver->mailbox != NULL)
        return resolver;
    resolver_free(resolver);
    errno = ENOMEM;
    return NULL;
}

int resolver_start(struct resolver *resolver)
{
    const int error = pthread_create(&resolver->thread, NULL, resolver_main, resolver);

    if (error != 0) {
        errno = error;
        return -1;
    }
    resolver->is_running = true;
    return 0;
}

void resolver_stop(struct resolver *resolver)
{
    if (!resolver->is_running)
        return;
    post(resolver, on_stop, NULL);
    pthread_join(resolver->thread, NULL);
    resolver->is_running = false;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    resolver_stop(resolver);
    if (resolver->mailbox != NULL)
        mailbox_close(resolver->mailbox); /* names retired meanwhile are freed */
    mailbox_free(resolver->mailbox);
    if (resolver->base != NULL)
        event_base_free(resolver->base);
    pthread_cond_destroy(&resolver->answered);
    pthread_mutex_destroy(&resolver->mutex);
    ares_library_cleanup();
    free(resolver);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Names differ in case only: DNS and /etc/hosts don't mind. */
static bool is_same_name(const struct resolver_name *name, const struct resolver_spec *spec)
{
    const struct name_question *a = &name->spec.question, *b = &spec->question;

    return strcasecmp(a->host, b->host) == 0 && a->port == b->port && a->srv == b->srv &&
           a->family == b->family;
}

static bool is_same(const struct resolver_name *name, const struct resolver_spec *spec)
{
    const struct name_limits *a = &name->spec.limits, *b = &spec->limits;

    return is_same_name(name, spec) && same_text(name->spec.question.servers, spec->question.servers) &&
           name->spec.question.timeout_ms == spec->question.timeout_ms &&
           a->interval_min_ms == b->interval_min_ms && a->interval_max_ms == b->interval_max_ms &&
           a->hold_ms == b->hold_ms;
}

static struct resolver_name *make_name(struct resolver *resolver, const struct resolver_spec *spec)
{
    const char *servers = spec->question.servers;
    struct resolver_name *name = calloc(1, sizeof(*name));

    if (name == NULL)
        return NULL;
    name->resolver = resolver;
    name->wanted = 1;
    atomic_init(&name->references, 2);
    name->told = NAME_FOUND;
    name->text = strdup(spec->text);
    name->host = strdup(spec->question.host);
    name->servers = servers != NULL ? strdup(servers) : NULL;
    name->timer = event_new(resolver->base, -1, 0, on_timer, name);
    name->spec = *spec;
    name->spec.text = name->text;
    name->spec.question.host = name->host;
    name->spec.question.servers = name->servers;
    name_set_init(&name->set, &spec->limits);
    if (name->text != NULL && name->host != NULL && name->timer != NULL &&
        (servers == NULL || name->servers != NULL))
        return name;
    stop_asking(name);
    free_name(name);
    return NULL;
}

/* What an older name that stands for the same is known to be, so that a reload forgets nothing. */
static void inherit(struct resolver_name *name, struct resolver_name *older)
{
    name->targets = resolver_name_targets(older);
    name->set.targets = name_targets_ref(name->targets);
    name->status.is_known = name->targets != NULL;
}

struct resolver_name *resolver_get(struct resolver *resolver, const struct resolver_spec *spec)
{
    struct resolver_name *name, *older = NULL;

    LIST_FOREACH(name, &resolver->names, link)
    {
        if (is_same(name, spec)) {
            name->wanted++;
            atomic_fetch_add_explicit(&name->references, 1, memory_order_relaxed);
            return name;
        }
        if (is_same_name(name, spec))
            older = name;
    }
    name = make_name(resolver, spec);
    if (name == NULL)
        return NULL;
    if (older != NULL)
        inherit(name, older);
    LIST_INSERT_HEAD(&resolver->names, name, link);
    if (!name->status.is_known) {
        pthread_mutex_lock(&resolver->mutex);
        resolver->unanswered++;
        pthread_mutex_unlock(&resolver->mutex);
    }
    post(resolver, on_added, name);
    return name;
}

void resolver_retire(struct resolver_name *name)
{
    struct resolver *resolver = name->resolver;

    if (--name->wanted > 0)
        return;
    LIST_REMOVE(name, link);
    pthread_mutex_lock(&resolver->mutex);
    if (!name->status.is_known) {
        name->status.is_known = true;
        resolver->unanswered--;
    }
    pthread_mutex_unlock(&resolver->mutex);
    post(resolver, on_retired, name);
}

void resolver_put(struct resolver_name *name)
{
    if (name != NULL && atomic_fetch_sub_explicit(&name->references, 1, memory_order_acq_rel) == 1)
        free_name(name);
}

struct name_targets *resolver_name_targets(struct resolver_name *name)
{
    struct name_targets *targets;

    pthread_mutex_lock(&name->resolver->mutex);
    targets = name_targets_ref(name->targets);
    pthread_mutex_unlock(&name->resolver->mutex);
    return targets;
}

struct resolver_status resolver_name_status(struct resolver_name *name)
{
    struct resolver_status status;

    pthread_mutex_lock(&name->resolver->mutex);
    status = name->status;
    pthread_mutex_unlock(&name->resolver->mutex);
    return status;
}

bool resolver_wait(struct resolver *resolver, uint32_t wait_ms)
{
    struct timespec until;
    bool good;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&resolver->mutex);
    while (resolver->unanswered > 0 && error == 0)
        error = pthread_cond_timedwait(&resolver->answered, &resolver->mutex, &until);
    good = resolver->unanswered == 0;
    pthread_mutex_unlock(&resolver->mutex);
    return good;
}
