/* The vocabulary: every value of every enum has a name of its own, and the names are the published ones.
 * Refuses to know when a mode or reason applies (test_relay_plan.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdint.h>
#include <string.h>

#include "relay/counters.h"
#include "relay/mode.h"

/* As logs, metrics and JSON show them, in the order of the enum: others script against these. */
static const char *const modes[RELAY_MODE_COUNT] = {"splice", "sendfile", "mmap", "copy"};
static const char *const cryptos[RELAY_CRYPTO_COUNT] = {"none", "ktls", "user"};
static const char *const forces[RELAY_FORCE_COUNT] = {"auto", "splice", "sendfile", "mmap", "copy"};
static const char *const reasons[RELAY_REASON_COUNT] = {
    "forced",           "transform",   "inspect",        "compressed",      "generated",      "ktls_off",
    "ktls_kernel",      "ktls_cipher", "ktls_rx_tls13",  "tls_pending",     "control_record", "urgent_data",
    "not_regular_file", "pipe_limit",  "kernel_refused", "small_transfers", "passthrough",
};

static void names_are_the_published_ones(void **state)
{
    (void)state;
    for (int i = 0; i < RELAY_MODE_COUNT; i++)
        assert_string_equal(relay_mode_name((enum relay_mode)i), modes[i]);
    for (int i = 0; i < RELAY_CRYPTO_COUNT; i++)
        assert_string_equal(relay_crypto_name((enum relay_crypto)i), cryptos[i]);
    for (int i = 0; i < RELAY_REASON_COUNT; i++)
        assert_string_equal(relay_reason_name((enum relay_reason)i), reasons[i]);
    for (int i = 0; i < RELAY_FORCE_COUNT; i++)
        assert_string_equal(relay_force_name((enum relay_force)i), forces[i]);
    assert_int_equal(RELAY_REASON_PASSTHROUGH, RELAY_REASON_COUNT - 1);
    assert_int_equal(RELAY_COPY, RELAY_MODE_COUNT - 1);
    assert_int_equal(RELAY_CRYPTO_USER, RELAY_CRYPTO_COUNT - 1);
    assert_int_equal(RELAY_FORCE_COPY, RELAY_FORCE_COUNT - 1);
}

static void system_calls_have_names_of_their_own(void **state)
{
    (void)state;
    for (int i = 0; i < RELAY_SYSCALL_COUNT; i++) {
        const char *name = relay_syscall_name((enum relay_syscall)i);
        assert_non_null(name);
        assert_true(name[0] != '\0');
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, relay_syscall_name((enum relay_syscall)j));
    }
    assert_int_equal(RELAY_SYS_IOCTL, RELAY_SYSCALL_COUNT - 1);
}

static void force_names_parse_back(void **state)
{
    (void)state;
    for (int i = 0; i < RELAY_FORCE_COUNT; i++) {
        enum relay_force force = (enum relay_force)((i + 1) % RELAY_FORCE_COUNT);
        assert_true(relay_force_parse(forces[i], &force));
        assert_int_equal(force, i);
    }
    static const char *const wrong[] = {"", "Splice", "splice ", "cop", "copyy", "ktls", "passthrough"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        enum relay_force force = RELAY_FORCE_MMAP;
        assert_false(relay_force_parse(wrong[i], &force));
        assert_int_equal(force, RELAY_FORCE_MMAP);
    }
}

/* DESIGN: copy, mmap and user-space TLS bring bytes into this process; splice and sendfile, with or without
 * kTLS, don't. */
static void user_bytes_by_mode_and_crypto(void **state)
{
    (void)state;
    for (int mode = 0; mode < RELAY_MODE_COUNT; mode++)
        for (int source = 0; source < RELAY_CRYPTO_COUNT; source++)
            for (int sink = 0; sink < RELAY_CRYPTO_COUNT; sink++) {
                bool user = mode == RELAY_COPY || mode == RELAY_MMAP;
                user = user || source == RELAY_CRYPTO_USER || sink == RELAY_CRYPTO_USER;
                assert_int_equal(
                    relay_is_user((enum relay_mode)mode, (enum relay_crypto)source, (enum relay_crypto)sink),
                    user);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_the_published_ones),
        cmocka_unit_test(system_calls_have_names_of_their_own),
        cmocka_unit_test(force_names_parse_back),
        cmocka_unit_test(user_bytes_by_mode_and_crypto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
