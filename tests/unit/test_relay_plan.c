/* The choice of mode and reason: a table of cases, the order of the reasons, and the modes that can be
 * forced. Refuses to know sockets. */
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

struct plan_case {
    const char *name;
    struct plan_input in;
    enum relay_mode mode;
    enum relay_reason reason;
    bool refused;
};

static const struct plan_case cases[] = {
    /* socket -> socket, auto */
    {"plain bulk", {SOCKET_PLAIN, SOCKET_PLAIN, {0}, {0}}, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH, false},
    {"plain small",
     {SOCKET_PLAIN, SOCKET_PLAIN, {0}, {.small = true}},
     RELAY_COPY,
     RELAY_REASON_SMALL_TRANSFERS,
     false},
    {"urgent",
     {SOCKET_PLAIN, SOCKET_PLAIN, {0}, {.urgent_data = true, .small = true}},
     RELAY_COPY,
     RELAY_REASON_URGENT_DATA,
     false},
    {"no pipe",
     {SOCKET_PLAIN, SOCKET_PLAIN, {0}, {.pipe_limit = true}},
     RELAY_COPY,
     RELAY_REASON_PIPE_LIMIT,
     false},
    {"refused",
     {SOCKET_PLAIN, SOCKET_PLAIN, {0}, {.splice_refused = true}},
     RELAY_COPY,
     RELAY_REASON_KERNEL_REFUSED,
     false},
    {"a file's facts mean nothing",
     {SOCKET_PLAIN,
      SOCKET_PLAIN,
      {0},
      {.sendfile_refused = true, .mmap_refused = true, .not_regular_file = true}},
     RELAY_SPLICE,
     RELAY_REASON_PASSTHROUGH,
     false},
    /* TLS */
    {"ktls both ways", {SOCKET_KTLS, SOCKET_PLAIN, {0}, {0}}, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH, false},
    {"to ktls", {SOCKET_PLAIN, SOCKET_KTLS, {0}, {0}}, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH, false},
    {"pending",
     {SOCKET_KTLS, SOCKET_PLAIN, {0}, {.tls_pending = true}},
     RELAY_COPY,
     RELAY_REASON_TLS_PENDING,
     false},
    {"control record",
     {SOCKET_KTLS, SOCKET_PLAIN, {0}, {.control_record = true}},
     RELAY_COPY,
     RELAY_REASON_CONTROL_RECORD,
     false},
    {"source in user space",
     {SOCKET_USER(KTLS_RX_TLS13), SOCKET_PLAIN, {0}, {0}},
     RELAY_COPY,
     RELAY_REASON_KTLS_RX_TLS13,
     false},
    {"sink in user space",
     {SOCKET_PLAIN, SOCKET_USER(KTLS_CIPHER), {0}, {0}},
     RELAY_COPY,
     RELAY_REASON_KTLS_CIPHER,
     false},
    {"both: the first reason",
     {SOCKET_USER(KTLS_RX_TLS13), SOCKET_USER(KTLS_OFF), {0}, {0}},
     RELAY_COPY,
     RELAY_REASON_KTLS_OFF,
     false},
    {"both, the other way",
     {SOCKET_USER(KTLS_KERNEL), SOCKET_USER(KERNEL_REFUSED), {0}, {0}},
     RELAY_COPY,
     RELAY_REASON_KTLS_KERNEL,
     false},
    /* socket -> socket, forced */
    {"splice",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_FORCE_SPLICE, false}, {.small = true}},
     RELAY_SPLICE,
     RELAY_REASON_FORCED,
     false},
    {"copy",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_FORCE_COPY, false}, {0}},
     RELAY_COPY,
     RELAY_REASON_FORCED,
     false},
    {"copy of TLS is forced first",
     {SOCKET_USER(KTLS_OFF), SOCKET_PLAIN, {RELAY_FORCE_COPY, false}, {0}},
     RELAY_COPY,
     RELAY_REASON_FORCED,
     false},
    {"splice steps aside for urgent data",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_FORCE_SPLICE, false}, {.urgent_data = true}},
     RELAY_COPY,
     RELAY_REASON_URGENT_DATA,
     false},
    {"splice steps aside for a control record",
     {SOCKET_KTLS, SOCKET_PLAIN, {RELAY_FORCE_SPLICE, false}, {.control_record = true}},
     RELAY_COPY,
     RELAY_REASON_CONTROL_RECORD,
     false},
    {"splice without pipe",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_FORCE_SPLICE, false}, {.pipe_limit = true}},
     RELAY_SPLICE,
     RELAY_REASON_PIPE_LIMIT,
     true},
    {"splice of user TLS",
     {SOCKET_USER(KTLS_KERNEL), SOCKET_PLAIN, {RELAY_FORCE_SPLICE, false}, {0}},
     RELAY_SPLICE,
     RELAY_REASON_KTLS_KERNEL,
     true},
    {"sendfile of a socket",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_FORCE_SENDFILE, false}, {0}},
     RELAY_SENDFILE,
     RELAY_REASON_NOT_REGULAR_FILE,
     true},
    {"mmap of a socket",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_FORCE_MMAP, false}, {0}},
     RELAY_MMAP,
     RELAY_REASON_NOT_REGULAR_FILE,
     true},
    /* require_zero_copy */
    {"small is no reason to copy",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_AUTO, true}, {.small = true}},
     RELAY_SPLICE,
     RELAY_REASON_PASSTHROUGH,
     false},
    {"zero copy, urgent",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_AUTO, true}, {.urgent_data = true}},
     RELAY_COPY,
     RELAY_REASON_URGENT_DATA,
     true},
    {"zero copy, user TLS",
     {FILE_SIDE, SOCKET_USER(KTLS_CIPHER), {RELAY_AUTO, true}, {0}},
     RELAY_COPY,
     RELAY_REASON_KTLS_CIPHER,
     true},
    {"zero copy, file",
     {FILE_SIDE, SOCKET_KTLS, {RELAY_AUTO, true}, {0}},
     RELAY_SENDFILE,
     RELAY_REASON_PASSTHROUGH,
     false},
    {"zero copy, mmap",
     {FILE_SIDE, SOCKET_PLAIN, {RELAY_FORCE_MMAP, true}, {0}},
     RELAY_MMAP,
     RELAY_REASON_FORCED,
     true},
    {"zero copy, copy",
     {SOCKET_PLAIN, SOCKET_PLAIN, {RELAY_FORCE_COPY, true}, {0}},
     RELAY_COPY,
     RELAY_REASON_FORCED,
     true},
    {"zero copy exempts memory",
     {MEMORY_SIDE, SOCKET_PLAIN, {RELAY_AUTO, true}, {0}},
     RELAY_COPY,
     RELAY_REASON_GENERATED,
     false},
    /* file -> socket */
    {"file",
     {FILE_SIDE, SOCKET_PLAIN, {0}, {.small = true}},
     RELAY_SENDFILE,
     RELAY_REASON_PASSTHROUGH,
     false},
    {"file to ktls", {FILE_SIDE, SOCKET_KTLS, {0}, {0}}, RELAY_SENDFILE, RELAY_REASON_PASSTHROUGH, false},
    {"file to user TLS",
     {FILE_SIDE, SOCKET_USER(KTLS_OFF), {0}, {0}},
     RELAY_COPY,
     RELAY_REASON_KTLS_OFF,
     false},
    {"not regular",
     {FILE_SIDE, SOCKET_PLAIN, {0}, {.not_regular_file = true, .sendfile_refused = true}},
     RELAY_COPY,
     RELAY_REASON_NOT_REGULAR_FILE,
     false},
    {"sendfile refused",
     {FILE_SIDE, SOCKET_PLAIN, {0}, {.sendfile_refused = true}},
     RELAY_COPY,
     RELAY_REASON_KERNEL_REFUSED,
     false},
    {"sendfile forced and refused",
     {FILE_SIDE, SOCKET_PLAIN, {RELAY_FORCE_SENDFILE, false}, {.sendfile_refused = true}},
     RELAY_SENDFILE,
     RELAY_REASON_KERNEL_REFUSED,
     true},
    {"mmap forced",
     {FILE_SIDE, SOCKET_KTLS, {RELAY_FORCE_MMAP, false}, {.sendfile_refused = true}},
     RELAY_MMAP,
     RELAY_REASON_FORCED,
     false},
    {"mmap forced and refused",
     {FILE_SIDE, SOCKET_PLAIN, {RELAY_FORCE_MMAP, false}, {.mmap_refused = true}},
     RELAY_MMAP,
     RELAY_REASON_KERNEL_REFUSED,
     true},
    {"mmap to user TLS",
     {FILE_SIDE, SOCKET_USER(KTLS_KERNEL), {RELAY_FORCE_MMAP, false}, {0}},
     RELAY_MMAP,
     RELAY_REASON_KTLS_KERNEL,
     true},
    {"file copied",
     {FILE_SIDE, SOCKET_PLAIN, {RELAY_FORCE_COPY, false}, {.not_regular_file = true}},
     RELAY_COPY,
     RELAY_REASON_FORCED,
     false},
    {"splice of a file",
     {FILE_SIDE, SOCKET_PLAIN, {RELAY_FORCE_SPLICE, false}, {0}},
     RELAY_SPLICE,
     RELAY_REASON_KERNEL_REFUSED,
     true},
    /* memory */
    {"memory",
     {MEMORY_SIDE, SOCKET_USER(KTLS_OFF), {0}, {.small = true}},
     RELAY_COPY,
     RELAY_REASON_GENERATED,
     false},
    {"memory is never forced",
     {MEMORY_SIDE, SOCKET_PLAIN, {RELAY_FORCE_SENDFILE, false}, {0}},
     RELAY_COPY,
     RELAY_REASON_GENERATED,
     false},
    /* stream */
    {"stream", {STREAM_SIDE, SOCKET_PLAIN, {0}, {0}}, RELAY_COPY, RELAY_REASON_COMPRESSED, false},
    {"stream to user TLS",
     {STREAM_SIDE, SOCKET_USER(KTLS_OFF), {0}, {0}},
     RELAY_COPY,
     RELAY_REASON_COMPRESSED,
     false},
    {"stream to ktls", {STREAM_SIDE, SOCKET_KTLS, {0}, {0}}, RELAY_COPY, RELAY_REASON_COMPRESSED, false},
    {"stream copied",
     {STREAM_SIDE, SOCKET_PLAIN, {RELAY_FORCE_COPY, false}, {0}},
     RELAY_COPY,
     RELAY_REASON_FORCED,
     false},
    {"stream, zero copy",
     {STREAM_SIDE, SOCKET_PLAIN, {RELAY_AUTO, true}, {0}},
     RELAY_COPY,
     RELAY_REASON_COMPRESSED,
     true},
    {"stream by sendfile",
     {STREAM_SIDE, SOCKET_KTLS, {RELAY_FORCE_SENDFILE, false}, {0}},
     RELAY_SENDFILE,
     RELAY_REASON_COMPRESSED,
     true},
};

static void table_of_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct plan_case *c = &cases[i];
        struct plan_choice choice = plan_choose(&c->in);
        if (choice.mode != c->mode || choice.reason != c->reason || choice.refused != c->refused)
            fail_msg("%s: %s%s/%s", c->name, choice.refused ? "refused " : "", relay_mode_name(choice.mode),
                     relay_reason_name(choice.reason));
        assert_int_equal(choice.source_crypto, c->in.source.crypto);
        assert_int_equal(choice.sink_crypto, c->in.sink.crypto);
    }
}

/* Where several hold, the first in the order of the enum is told: taking the told one away, one by one, must
 * walk through the reasons in ascending order. */
static void reasons_are_told_in_order(void **state)
{
    (void)state;
    static const struct plan_facts left[] = {
        {.tls_pending = true,
         .control_record = true,
         .urgent_data = true,
         .pipe_limit = true,
         .splice_refused = true,
         .small = true},
        {.control_record = true,
         .urgent_data = true,
         .pipe_limit = true,
         .splice_refused = true,
         .small = true},
        {.urgent_data = true, .pipe_limit = true, .splice_refused = true, .small = true},
        {.pipe_limit = true, .splice_refused = true, .small = true},
        {.splice_refused = true, .small = true},
        {.small = true},
        {0},
    };
    static const enum relay_reason order[] = {
        RELAY_REASON_TLS_PENDING, RELAY_REASON_CONTROL_RECORD, RELAY_REASON_URGENT_DATA,
        RELAY_REASON_PIPE_LIMIT,  RELAY_REASON_KERNEL_REFUSED, RELAY_REASON_SMALL_TRANSFERS,
        RELAY_REASON_PASSTHROUGH,
    };
    for (size_t i = 0; i < LENGTH(order); i++) {
        const struct plan_input in = {.source = SOCKET_KTLS, .sink = SOCKET_PLAIN, .facts = left[i]};
        struct plan_choice choice = plan_choose(&in);
        assert_int_equal(choice.reason, order[i]);
        assert_int_equal(choice.mode, i + 1 == LENGTH(order) ? RELAY_SPLICE : RELAY_COPY);
        assert_true(i == 0 || order[i - 1] < order[i]);
    }
}

static void forced_modes_that_can_be(void **state)
{
    (void)state;
    static const struct {
        enum relay_force force;
        enum plan_kind source;
        enum relay_crypto crypto;
        bool possible;
    } table[] = {
        {RELAY_AUTO, PLAN_SOCKET, RELAY_CRYPTO_USER, true},
        {RELAY_AUTO, PLAN_FILE, RELAY_CRYPTO_USER, true},
        {RELAY_FORCE_COPY, PLAN_SOCKET, RELAY_CRYPTO_USER, true},
        {RELAY_FORCE_COPY, PLAN_FILE, RELAY_CRYPTO_NONE, true},
        {RELAY_FORCE_SPLICE, PLAN_SOCKET, RELAY_CRYPTO_NONE, true},
        {RELAY_FORCE_SPLICE, PLAN_SOCKET, RELAY_CRYPTO_KTLS, true},
        {RELAY_FORCE_SPLICE, PLAN_SOCKET, RELAY_CRYPTO_USER, false},
        {RELAY_FORCE_SPLICE, PLAN_FILE, RELAY_CRYPTO_NONE, false},
        {RELAY_FORCE_SENDFILE, PLAN_SOCKET, RELAY_CRYPTO_NONE, false},
        {RELAY_FORCE_SENDFILE, PLAN_FILE, RELAY_CRYPTO_NONE, true},
        {RELAY_FORCE_SENDFILE, PLAN_FILE, RELAY_CRYPTO_KTLS, true},
        {RELAY_FORCE_SENDFILE, PLAN_FILE, RELAY_CRYPTO_USER, false},
        {RELAY_FORCE_MMAP, PLAN_SOCKET, RELAY_CRYPTO_NONE, false},
        {RELAY_FORCE_MMAP, PLAN_FILE, RELAY_CRYPTO_KTLS, true},
        {RELAY_FORCE_MMAP, PLAN_FILE, RELAY_CRYPTO_USER, false},
    };
    for (size_t i = 0; i < LENGTH(table); i++)
        assert_int_equal(plan_force_possible(table[i].force, table[i].source, PLAN_SOCKET, table[i].crypto),
                         table[i].possible);
}

static void policies_that_allow_a_stream(void **state)
{
    (void)state;
    for (int force = 0; force < RELAY_FORCE_COUNT; force++) {
        const bool user = force == RELAY_AUTO || force == RELAY_FORCE_COPY;
        assert_int_equal(plan_allows_stream(&(struct relay_policy){.force = (enum relay_force)force}), user);
        assert_false(plan_allows_stream(
            &(struct relay_policy){.force = (enum relay_force)force, .require_zero_copy = true}));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_cases),
        cmocka_unit_test(reasons_are_told_in_order),
        cmocka_unit_test(forced_modes_that_can_be),
        cmocka_unit_test(policies_that_allow_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
