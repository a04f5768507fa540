/* What a name stands for, against each kind of answer: proxy/names/name_set. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/names/name_set.h"

static const struct name_limits limits = {
    .interval_min_ms = 1000, .interval_max_ms = 30000, .hold_ms = 10000};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "10.0.0.1" or "::1", the port 80, with SRV's numbers. */
static struct name_target target(const char *address, unsigned priority, unsigned weight)
{
    struct name_target made = {.priority = priority, .weight = weight, .host = "app.internal"};
    struct sockaddr_in *four = (struct sockaddr_in *)&made.addr;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&made.addr;

    if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(80);
        made.length = sizeof(*four);
    } else {
        assert_int_equal(inet_pton(AF_INET6, address, &six->sin6_addr), 1);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(80);
        made.length = sizeof(*six);
    }
    return made;
}

/* The set as text: "10.0.0.1 10.0.0.2". */
static const char *shown(const struct name_targets *targets)
{
    static char text[4096];
    char one[INET6_ADDRSTRLEN];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; targets != NULL && i < targets->count; i++) {
        const struct sockaddr_storage *addr = &targets->items[i].addr;
        const void *bytes = addr->ss_family == AF_INET
                                ? (const void *)&((const struct sockaddr_in *)addr)->sin_addr
                                : (const void *)&((const struct sockaddr_in6 *)addr)->sin6_addr;

        assert_non_null(inet_ntop(addr->ss_family, bytes, one, sizeof(one)));
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i > 0 ? " " : "", one);
    }
    return text;
}

/* One answer in a row of them: what it says, when it comes, and what follows from it. */
struct step {
    enum name_outcome outcome;
    bool partial;
    const char *addresses; /* apart by a space */
    uint32_t ttl_s;
    uint64_t at_ms;
    enum name_change change;
    const char *then;
    uint32_t next_ms;
};

static void play(const struct step *steps, size_t count)
{
    struct name_set set;

    name_set_init(&set, &limits);
    for (size_t i = 0; i < count; i++) {
        const struct step *step = &steps[i];
        struct name_target targets[8];
        struct name_answer answer = {
            .outcome = step->outcome, .complete = !step->partial, .targets = targets, .ttl_s = step->ttl_s};
        char words[256], *rest = words, *word;
        uint32_t next_ms = 0;

        snprintf(words, sizeof(words), "%s", step->addresses);
        while ((word = strsep(&rest, " ")) != NULL)
            if (word[0] != '\0')
                targets[answer.count++] = target(word, 0, 1);
        assert_int_equal(name_set_update(&set, &answer, step->at_ms, &next_ms), step->change);
        assert_string_equal(shown(set.targets), step->then);
        assert_int_equal(next_ms, step->next_ms);
    }
    name_set_clear(&set);
}

static void test_answers_replace(void **state)
{
    static const struct step steps[] = {
        {NAME_FOUND, false, "10.0.0.2 10.0.0.1", 5, 0, NAME_CHANGED, "10.0.0.1 10.0.0.2", 5000},
        /* Another order, and one twice, is no change; TTLs are bounded on both sides. */
        {NAME_FOUND, false, "10.0.0.1 10.0.0.2 10.0.0.1", 0, 0, NAME_SAME, "10.0.0.1 10.0.0.2", 1000},
        {NAME_FOUND, false, "10.0.0.3 ::1 10.0.0.2", 86400, 0, NAME_CHANGED, "10.0.0.2 10.0.0.3 ::1", 30000},
        {NAME_FOUND, false, "::1", UINT32_MAX, 0, NAME_CHANGED, "::1", 30000},
    };

    (void)state;
    play(steps, COUNT(steps));
}

static void test_failures_keep(void **state)
{
    static const struct step steps[] = {
        {NAME_FAILED, false, "", 0, 0, NAME_SAME, "", 1000},
        {NAME_FAILED, false, "", 0, 1000, NAME_SAME, "", 2000},
        {NAME_FOUND, false, "10.0.0.1", 7, 2000, NAME_CHANGED, "10.0.0.1", 7000},
        {NAME_FAILED, false, "", 0, 9000, NAME_SAME, "10.0.0.1", 1000},
        {NAME_FAILED, false, "", 0, 10000, NAME_SAME, "10.0.0.1", 2000},
        {NAME_FAILED, false, "", 0, 12000, NAME_SAME, "10.0.0.1", 4000},
        {NAME_FAILED, false, "", 0, 16000, NAME_SAME, "10.0.0.1", 8000},
        {NAME_FAILED, false, "", 0, 24000, NAME_SAME, "10.0.0.1", 16000},
        {NAME_FAILED, false, "", 0, 40000, NAME_SAME, "10.0.0.1", 30000},
        {NAME_FAILED, false, "", 0, 99999999, NAME_SAME, "10.0.0.1", 30000},
        {NAME_FOUND, false, "10.0.0.1", 7, 99999999, NAME_SAME, "10.0.0.1", 7000},
        {NAME_FAILED, false, "", 0, 99999999, NAME_SAME, "10.0.0.1", 1000},
    };

    (void)state;
    play(steps, COUNT(steps));
}

static void test_absence_is_held(void **state)
{
    static const struct step steps[] = {
        {NAME_ABSENT, false, "", 0, 0, NAME_SAME, "", 1000},
        {NAME_FOUND, false, "10.0.0.1", 5, 1000, NAME_CHANGED, "10.0.0.1", 5000},
        {NAME_ABSENT, false, "", 0, 6000, NAME_SAME, "10.0.0.1", 1000},
        {NAME_ABSENT, false, "", 0, 15999, NAME_SAME, "10.0.0.1", 1000},
        /* Found in between: the time begins anew. */
        {NAME_FOUND, false, "10.0.0.1", 5, 16000, NAME_SAME, "10.0.0.1", 5000},
        {NAME_ABSENT, false, "", 0, 20000, NAME_SAME, "10.0.0.1", 1000},
        {NAME_ABSENT, false, "", 0, 21000, NAME_SAME, "10.0.0.1", 2000},
        {NAME_ABSENT, false, "", 0, 23000, NAME_SAME, "10.0.0.1", 4000},
        {NAME_ABSENT, false, "", 0, 27000, NAME_SAME, "10.0.0.1", 3000}, /* when the time is over */
        /* A failure is no absence: nothing is taken away by it, however late. */
        {NAME_FAILED, false, "", 0, 31000, NAME_SAME, "10.0.0.1", 16000},
        {NAME_ABSENT, false, "", 0, 37000, NAME_CHANGED, "", 30000},
        {NAME_ABSENT, false, "", 0, 67000, NAME_SAME, "", 30000},
        {NAME_FOUND, false, "10.0.0.9", 5, 97000, NAME_CHANGED, "10.0.0.9", 5000},
    };

    (void)state;
    play(steps, COUNT(steps));
}

static void test_incomplete_only_adds(void **state)
{
    static const struct step steps[] = {
        {NAME_FOUND, true, "10.0.0.1", 5, 0, NAME_CHANGED, "10.0.0.1", 1000},
        {NAME_FOUND, false, "10.0.0.1 ::1", 5, 1000, NAME_CHANGED, "10.0.0.1 ::1", 5000},
        {NAME_FOUND, true, "10.0.0.2", 5, 6000, NAME_CHANGED, "10.0.0.1 10.0.0.2 ::1", 1000},
        {NAME_FOUND, true, "10.0.0.2", 5, 7000, NAME_SAME, "10.0.0.1 10.0.0.2 ::1", 2000},
        {NAME_FOUND, false, "10.0.0.2", 5, 9000, NAME_CHANGED, "10.0.0.2", 5000},
    };

    (void)state;
    play(steps, COUNT(steps));
}

static void test_srv_order(void **state)
{
    const struct name_target first[] = {target("10.0.0.1", 20, 0), target("10.0.0.2", 10, 1000),
                                        target("10.0.0.3", 10, 500), target("10.0.0.4", 65535, 1),
                                        target("10.0.0.1", 10, 2)};
    const struct name_target second[] = {target("10.0.0.2", 5, 20), target("10.0.0.3", 10, 0),
                                         target("10.0.0.5", 10, 256)};
    struct name_answer answer = {
        .outcome = NAME_FOUND, .complete = true, .targets = first, .count = COUNT(first), .ttl_s = 1};
    static const unsigned tiers[] = {0, 0, 0, 1}, weights[] = {1, 256, 128, 1}, others[] = {20, 1, 256};
    struct name_difference difference;
    struct name_targets *old;
    struct name_set set;
    uint32_t next_ms;

    (void)state;
    name_set_init(&set, &limits);
    assert_int_equal(name_set_update(&set, &answer, 0, &next_ms), NAME_CHANGED);
    /* An address named twice counts where it is wanted sooner. */
    assert_string_equal(shown(set.targets), "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4");
    for (size_t i = 0; i < COUNT(tiers); i++) {
        assert_int_equal(name_targets_tier(set.targets, i), tiers[i]);
        assert_int_equal(name_targets_weight(set.targets, i), weights[i]);
    }
    old = name_targets_ref(set.targets);
    answer.targets = second;
    answer.count = COUNT(second);
    assert_int_equal(name_set_update(&set, &answer, 0, &next_ms), NAME_CHANGED);
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(name_targets_weight(set.targets, i), others[i]);
    difference = name_targets_compare(old, set.targets);
    assert_int_equal(difference.added, 1);
    assert_int_equal(difference.removed, 2);
    assert_int_equal(difference.altered, 2);
    assert_int_equal(name_set_update(&set, &answer, 0, &next_ms), NAME_SAME);
    name_targets_unref(old);
    name_set_clear(&set);
}

static void test_many(void **state)
{
    static struct name_target targets[NAME_TARGETS_MAX];
    struct name_answer answer = {
        .outcome = NAME_FOUND, .targets = targets, .count = COUNT(targets), .ttl_s = 1};
    struct name_set set;
    uint32_t next_ms;
    char text[64];

    (void)state;
    name_set_init(&set, &limits);
    for (unsigned round = 0; round < 3; round++) { /* incomplete answers add up to no more than the limit */
        for (unsigned i = 0; i < COUNT(targets); i++) {
            snprintf(text, sizeof(text), "10.%u.%u.%u", round, i / 256, i % 256);
            targets[i] = target(text, 0, 1);
        }
        (void)!name_set_update(&set, &answer, 0, &next_ms);
        assert_int_equal(set.targets->count, NAME_TARGETS_MAX);
    }
    name_set_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_replace), cmocka_unit_test(test_failures_keep),
        cmocka_unit_test(test_absence_is_held), cmocka_unit_test(test_incomplete_only_adds),
        cmocka_unit_test(test_srv_order),       cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
