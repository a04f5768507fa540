/* What plan_enumerate promises is exactly what plan_choose can do, and require_zero_copy is kept, over all
 * ends, policies and facts. Refuses to know single cases (test_relay_plan.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "relay/plan.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#define SOCKET_PLAIN        \
    {                       \
        .kind = PLAN_SOCKET \
    }
#define SOCKET_KTLS                                      \
    {                                                    \
        .kind = PLAN_SOCKET, .crypto = RELAY_CRYPTO_KTLS \
    }
#define SOCKET_USER(why)                                                                    \
    {                                                                                       \
        .kind = PLAN_SOCKET, .crypto = RELAY_CRYPTO_USER, .user_reason = RELAY_REASON_##why \
    }
#define FILE_SIDE         \
    {                     \
        .kind = PLAN_FILE \
    }
#define MEMORY_SIDE         \
    {                       \
        .kind = PLAN_MEMORY \
    }
#define STREAM_SIDE         \
    {                       \
        .kind = PLAN_STREAM \
    }

static const struct plan_side sources[] = {
    SOCKET_PLAIN, SOCKET_KTLS, SOCKET_USER(KTLS_KERNEL), SOCKET_USER(KTLS_RX_TLS13), FILE_SIDE,
    MEMORY_SIDE,  STREAM_SIDE,
};
static const struct plan_side sinks[] = {SOCKET_PLAIN, SOCKET_KTLS, SOCKET_USER(KTLS_OFF)};

/* Facts that can arise: what OpenSSL holds and control records only on a kTLS source, urgent data only on a
 * plain one, a file's facts only of a file. */
static bool possible(const struct plan_side *source, const struct plan_facts *facts)
{
    bool ktls = source->kind == PLAN_SOCKET && source->crypto == RELAY_CRYPTO_KTLS;
    bool plain = source->kind == PLAN_SOCKET && source->crypto == RELAY_CRYPTO_NONE;
    if ((facts->tls_pending || facts->control_record) && !ktls)
        return false;
    if (facts->urgent_data && !plain)
        return false;
    if (source->kind != PLAN_SOCKET && (facts->small || facts->pipe_limit || facts->splice_refused))
        return false;
    return source->kind == PLAN_FILE ||
           !(facts->sendfile_refused || facts->mmap_refused || facts->not_regular_file);
}

static struct plan_facts facts_of(unsigned bits)
{
    return (struct plan_facts){
        .tls_pending = (bits & 1) != 0,
        .control_record = (bits & 2) != 0,
        .urgent_data = (bits & 4) != 0,
        .not_regular_file = (bits & 8) != 0,
        .pipe_limit = (bits & 16) != 0,
        .splice_refused = (bits & 32) != 0,
        .sendfile_refused = (bits & 64) != 0,
        .mmap_refused = (bits & 128) != 0,
        .small = (bits & 256) != 0,
    };
}

static bool same(const struct plan_choice *a, const struct plan_choice *b)
{
    return a->refused == b->refused && a->mode == b->mode && a->reason == b->reason &&
           a->source_crypto == b->source_crypto && a->sink_crypto == b->sink_crypto;
}

static void check_enumeration(const struct plan_input *ends, enum plan_filters filters)
{
    struct plan_choice choices[PLAN_CHOICES_MAX];
    bool met[PLAN_CHOICES_MAX] = {false};
    size_t count =
        plan_enumerate(&ends->source, &ends->sink, filters, &ends->policy, choices, PLAN_CHOICES_MAX);
    assert_in_range(count, 1, PLAN_CHOICES_MAX - 1); /* full would mean cut off */
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(same(&choices[i], &choices[j]));

    for (unsigned bits = 0; bits < 1024; bits++) {
        struct plan_input in = *ends;
        in.facts = facts_of(bits);
        in.facts.inspect = filters == PLAN_FILTERS_INSPECT && (bits & 512) != 0;
        in.facts.transform = filters == PLAN_FILTERS_TRANSFORM;
        if (!possible(&in.source, &in.facts))
            continue;
        struct plan_choice choice = plan_choose(&in);
        size_t at = 0;
        while (at < count && !same(&choices[at], &choice))
            at++;
        if (at == count)
            fail_msg("not enumerated: %s/%s", relay_mode_name(choice.mode), relay_reason_name(choice.reason));
        met[at] = true;
    }
    for (size_t i = 0; i < count; i++)
        assert_true(met[i]); /* nor does it promise what can't be */
    struct plan_input first = *ends;
    first.facts.transform = filters == PLAN_FILTERS_TRANSFORM;
    struct plan_choice best = plan_choose(&first);
    assert_true(same(&choices[0], &best));
}

static void enumeration_is_what_can_be_chosen(void **state)
{
    (void)state;
    for (size_t source = 0; source < LENGTH(sources); source++)
        for (size_t sink = 0; sink < LENGTH(sinks); sink++)
            for (int force = 0; force < RELAY_FORCE_COUNT; force++)
                for (int zero_copy = 0; zero_copy < 2; zero_copy++) {
                    const struct plan_input ends = {
                        .source = sources[source],
                        .sink = sinks[sink],
                        .policy = {(enum relay_force)force, zero_copy != 0},
                    };
                    check_enumeration(&ends, PLAN_FILTERS_NONE);
                    check_enumeration(&ends, PLAN_FILTERS_INSPECT);
                    check_enumeration(&ends, PLAN_FILTERS_TRANSFORM);
                }
}

static void enumeration_keeps_to_its_capacity(void **state)
{
    (void)state;
    const struct plan_side plain = SOCKET_PLAIN;
    const struct relay_policy policy = {0};
    struct plan_choice choices[3] = {{.reason = RELAY_REASON_FORCED}, {0}, {.reason = RELAY_REASON_FORCED}};
    assert_int_equal(plan_enumerate(&plain, &plain, PLAN_FILTERS_NONE, &policy, choices, 2), 2);
    assert_int_equal(choices[0].reason, RELAY_REASON_PASSTHROUGH);
    assert_int_equal(choices[2].reason, RELAY_REASON_FORCED);
}

/* For every policy and every fact: require_zero_copy lets no byte of payload into this process, and a refusal
 * is never of a mode that would not. */
static void zero_copy_is_kept(void **state)
{
    (void)state;
    for (size_t source = 0; source < LENGTH(sources); source++)
        for (size_t sink = 0; sink < LENGTH(sinks); sink++)
            for (unsigned bits = 0; bits < 512 * RELAY_FORCE_COUNT; bits++) {
                struct plan_input in = {.source = sources[source],
                                        .sink = sinks[sink],
                                        .policy = {(enum relay_force)(bits / 512), true},
                                        .facts = facts_of(bits % 512)};
                struct plan_choice choice = plan_choose(&in);
                if (!choice.refused && in.source.kind != PLAN_MEMORY)
                    assert_false(relay_is_user(choice.mode, choice.source_crypto, choice.sink_crypto));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enumeration_is_what_can_be_chosen),
        cmocka_unit_test(enumeration_keeps_to_its_capacity),
        cmocka_unit_test(zero_copy_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
