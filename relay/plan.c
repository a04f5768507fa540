/* Chooses mode and reason. The order of the tests below is the order in which enum relay_reason tells them.
 * Refuses to know anything but its arguments. */
#include "relay/plan.h"

static struct plan_choice refuse(const struct plan_input *in, enum relay_mode mode, enum relay_reason reason)
{
    return (struct plan_choice){.refused = true,
                                .mode = mode,
                                .source_crypto = in->source.crypto,
                                .sink_crypto = in->sink.crypto,
                                .reason = reason};
}

/* `mode` for `reason`, unless require_zero_copy forbids it. Memory was never a kernel's to pass on, and bytes
 * made here can't be moved without this process: DESIGN exempts them as it does an HTTP head. */
static struct plan_choice choose(const struct plan_input *in, enum relay_mode mode, enum relay_reason reason)
{
    if (in->policy.require_zero_copy && in->source.kind != PLAN_MEMORY &&
        relay_is_user(mode, in->source.crypto, in->sink.crypto))
        return refuse(in, mode, reason);
    return (struct plan_choice){
        .mode = mode, .source_crypto = in->source.crypto, .sink_crypto = in->sink.crypto, .reason = reason};
}

/* User-space crypto on either side leaves only copying; its reason, the earlier in the enum if both have one.
 */
static bool user_crypto(const struct plan_input *in, enum relay_reason *reason)
{
    bool source = in->source.crypto == RELAY_CRYPTO_USER, sink = in->sink.crypto == RELAY_CRYPTO_USER;
    if (source && sink)
        *reason =
            in->source.user_reason < in->sink.user_reason ? in->source.user_reason : in->sink.user_reason;
    else if (source)
        *reason = in->source.user_reason;
    else if (sink)
        *reason = in->sink.user_reason;
    return source || sink;
}

/* What stands between two sockets and splice, if anything does. */
static bool splice_obstacle(const struct plan_input *in, enum relay_reason *reason)
{
    const struct plan_facts *facts = &in->facts;
    if (facts->transform)
        *reason = RELAY_REASON_TRANSFORM;
    else if (facts->inspect)
        *reason = RELAY_REASON_INSPECT;
    else if (user_crypto(in, reason))
        return true;
    else if (facts->tls_pending)
        *reason = RELAY_REASON_TLS_PENDING;
    else if (facts->control_record)
        *reason = RELAY_REASON_CONTROL_RECORD;
    else if (facts->urgent_data)
        *reason = RELAY_REASON_URGENT_DATA;
    else if (facts->pipe_limit)
        *reason = RELAY_REASON_PIPE_LIMIT;
    else if (facts->splice_refused)
        *reason = RELAY_REASON_KERNEL_REFUSED;
    else
        return false;
    return true;
}

/* A step aside that ends by itself: a few bytes must be copied before splice can go on. Forced splice takes
 * it too (the alternative is to reset every connection that has an urgent byte), and the segment says why. */
static bool momentary(enum relay_reason reason)
{
    return reason == RELAY_REASON_TLS_PENDING || reason == RELAY_REASON_CONTROL_RECORD ||
           reason == RELAY_REASON_URGENT_DATA;
}

static struct plan_choice choose_sockets(const struct plan_input *in)
{
    enum relay_reason obstacle;
    switch (in->policy.force) {
    case RELAY_FORCE_COPY:
        return choose(in, RELAY_COPY, RELAY_REASON_FORCED);
    case RELAY_FORCE_SPLICE:
        if (!splice_obstacle(in, &obstacle))
            return choose(in, RELAY_SPLICE, RELAY_REASON_FORCED);
        return momentary(obstacle) ? choose(in, RELAY_COPY, obstacle) : refuse(in, RELAY_SPLICE, obstacle);
    case RELAY_FORCE_SENDFILE:
        return refuse(in, RELAY_SENDFILE, RELAY_REASON_NOT_REGULAR_FILE);
    case RELAY_FORCE_MMAP:
        return refuse(in, RELAY_MMAP, RELAY_REASON_NOT_REGULAR_FILE);
    case RELAY_AUTO:
        break;
    }
    if (splice_obstacle(in, &obstacle))
        return choose(in, RELAY_COPY, obstacle);
    if (in->facts.small && !in->policy.require_zero_copy)
        return choose(in, RELAY_COPY, RELAY_REASON_SMALL_TRANSFERS);
    return choose(in, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH);
}

/* What stands between a file and a call that reads it in the kernel, if anything does. */
static bool file_obstacle(const struct plan_input *in, bool refused, enum relay_reason *reason)
{
    if (user_crypto(in, reason))
        return true;
    if (in->facts.not_regular_file)
        *reason = RELAY_REASON_NOT_REGULAR_FILE;
    else if (refused)
        *reason = RELAY_REASON_KERNEL_REFUSED;
    else
        return false;
    return true;
}

static struct plan_choice choose_file(const struct plan_input *in)
{
    enum relay_reason obstacle;
    switch (in->policy.force) {
    case RELAY_FORCE_COPY:
        return choose(in, RELAY_COPY, RELAY_REASON_FORCED);
    case RELAY_FORCE_SPLICE: /* a file has no pipe to go through */
        return refuse(in, RELAY_SPLICE, RELAY_REASON_KERNEL_REFUSED);
    case RELAY_FORCE_SENDFILE:
        return file_obstacle(in, in->facts.sendfile_refused, &obstacle)
                   ? refuse(in, RELAY_SENDFILE, obstacle)
                   : choose(in, RELAY_SENDFILE, RELAY_REASON_FORCED);
    case RELAY_FORCE_MMAP:
        return file_obstacle(in, in->facts.mmap_refused, &obstacle)
                   ? refuse(in, RELAY_MMAP, obstacle)
                   : choose(in, RELAY_MMAP, RELAY_REASON_FORCED);
    case RELAY_AUTO:
        break;
    }
    if (file_obstacle(in, in->facts.sendfile_refused, &obstacle))
        return choose(in, RELAY_COPY, obstacle);
    return choose(in, RELAY_SENDFILE, RELAY_REASON_PASSTHROUGH);
}

/* Whoever offers a stream under a policy that it can't satisfy should have offered the file instead. */
static struct plan_choice choose_stream(const struct plan_input *in)
{
    switch (in->policy.force) {
    case RELAY_FORCE_COPY:
        return choose(in, RELAY_COPY, RELAY_REASON_FORCED);
    case RELAY_FORCE_SPLICE:
        return refuse(in, RELAY_SPLICE, RELAY_REASON_COMPRESSED);
    case RELAY_FORCE_SENDFILE:
        return refuse(in, RELAY_SENDFILE, RELAY_REASON_COMPRESSED);
    case RELAY_FORCE_MMAP:
        return refuse(in, RELAY_MMAP, RELAY_REASON_COMPRESSED);
    case RELAY_AUTO:
        break;
    }
    return choose(in, RELAY_COPY, RELAY_REASON_COMPRESSED);
}

bool plan_allows_stream(const struct relay_policy *policy)
{
    const struct plan_input in = {.source = {.kind = PLAN_STREAM}, .policy = *policy};
    return !plan_choose(&in).refused;
}

struct plan_choice plan_choose(const struct plan_input *in)
{
    switch (in->source.kind) {
    case PLAN_STREAM:
        return choose_stream(in);
    case PLAN_MEMORY:
        return choose(in, RELAY_COPY, RELAY_REASON_GENERATED);
    case PLAN_FILE:
        return choose_file(in);
    case PLAN_SOCKET:
        break;
    }
    return choose_sockets(in);
}

static bool same(const struct plan_choice *a, const struct plan_choice *b)
{
    return a->refused == b->refused && a->mode == b->mode && a->reason == b->reason &&
           a->source_crypto == b->source_crypto && a->sink_crypto == b->sink_crypto;
}

static size_t add(struct plan_choice *choices, size_t count, size_t capacity, const struct plan_choice *fresh)
{
    for (size_t i = 0; i < count; i++)
        if (same(&choices[i], fresh))
            return count;
    if (count < capacity)
        choices[count++] = *fresh;
    return count;
}

size_t plan_enumerate(const struct plan_side *source, const struct plan_side *sink, enum plan_filters filters,
                      const struct relay_policy *policy, struct plan_choice *choices, size_t capacity)
{
    struct plan_input in = {.source = *source, .sink = *sink, .policy = *policy};
    size_t count = 0;
    enum { FACTS = 10 };
    for (unsigned bits = 0; bits < 1u << FACTS; bits++) {
        bool ktls_source = source->crypto == RELAY_CRYPTO_KTLS, file = source->kind == PLAN_FILE;
        in.facts = (struct plan_facts){
            .small = (bits & 1) != 0 && source->kind == PLAN_SOCKET,
            .pipe_limit = (bits & 2) != 0,
            .splice_refused = (bits & 4) != 0,
            .tls_pending = (bits & 8) != 0 && ktls_source,
            .control_record = (bits & 16) != 0 && ktls_source,
            .urgent_data = (bits & 32) != 0 && source->crypto == RELAY_CRYPTO_NONE,
            .sendfile_refused = (bits & 64) != 0 && file,
            .mmap_refused = (bits & 128) != 0 && file,
            .not_regular_file = (bits & 256) != 0 && file,
            .inspect = (bits & 512) != 0 && filters == PLAN_FILTERS_INSPECT,
            .transform = filters == PLAN_FILTERS_TRANSFORM,
        };
        struct plan_choice choice = plan_choose(&in);
        count = add(choices, count, capacity, &choice);
    }
    return count;
}

bool plan_force_possible(enum relay_force force, enum plan_kind source, enum plan_kind sink,
                         enum relay_crypto best_sink_crypto)
{
    struct plan_input in = {
        .source = {.kind = source},
        .sink = {.kind = sink, .crypto = best_sink_crypto},
        .policy = {.force = force},
    };
    return !plan_choose(&in).refused;
}
