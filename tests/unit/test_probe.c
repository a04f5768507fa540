/* The probe: what it finds on this host is consistent with itself and with what every supported kernel has,
 * and it is shown in the promised shape. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/obj_mac.h>
#include <openssl/tls1.h>

#include "proxy/probe.h"
#include "relay/loop.h"
#include "relay/tls_conn.h"

static void test_pair_is_connected_both_ways(void **state)
{
    int pair[2];
    char byte;

    (void)state;
    assert_int_equal(probe_tcp_pair(pair), 0);
    errno = 0;
    assert_int_equal(recv(pair[0], &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(send(pair[0], "a", 1, 0), 1);
    assert_int_equal(recv(pair[1], &byte, 1, 0), 1);
    assert_int_equal(byte, 'a');
    assert_int_equal(send(pair[1], "b", 1, 0), 1);
    assert_int_equal(recv(pair[0], &byte, 1, 0), 1);
    assert_int_equal(byte, 'b');
    close(pair[0]);
    close(pair[1]);
}

static void test_calls_and_pipes(void **state)
{
    struct probe probe;

    (void)state;
    probe_run(&probe, 0);
    assert_true(probe.splice.works);
    assert_true(probe.sendfile.works);
    assert_true(probe.mmap.works);
    assert_true(strlen(probe.kernel_release) > 0);
    assert_int_equal(probe.pipe.asked_size, LOOP_PIPE_SIZE);
    assert_true(probe.pipe.default_size >= 4096);
    assert_true(probe.pipe.got_size >= probe.pipe.default_size);
    assert_true(probe.pipe.max_size >= 4096);

    probe_run(&probe, 128u << 10);
    assert_int_equal(probe.pipe.asked_size, 128u << 10);
    assert_int_equal(probe.pipe.got_size, 128u << 10);
}

/* Every combination shakes hands, and kTLS is where the kernel has it: at least AES-GCM transmit. */
static void test_ktls_agrees_with_the_kernel(void **state)
{
    struct probe probe;

    (void)state;
    probe_run(&probe, 0);
    assert_int_equal(probe.ktls_kernel, tls_kernel_has_ktls());
    for (int version = 0; version < PROBE_VERSION_COUNT; version++) {
        for (int cipher = 0; cipher < PROBE_CIPHER_COUNT; cipher++) {
            const struct probe_ktls *ktls = &probe.ktls[version][cipher];

            assert_true(ktls->handshake);
            if (!probe.ktls_kernel) {
                assert_false(ktls->tx);
                assert_false(ktls->rx);
                assert_int_equal(ktls->tx_reason, RELAY_REASON_KTLS_KERNEL);
                assert_int_equal(ktls->rx_reason, RELAY_REASON_KTLS_KERNEL);
            } else if (cipher != PROBE_CHACHA20_POLY1305) {
                assert_true(ktls->tx);
            }
        }
    }
    if (probe.ktls_kernel)
        for (int version = 0; version < PROBE_VERSION_COUNT; version++)
            assert_true(probe.ktls[version][PROBE_AES128_GCM].rx);
    assert_int_equal(probe.ktls_limits.known, probe.ktls_kernel);
    assert_ptr_equal(probe_ktls_verdict(TLS1_3_VERSION, NID_aes_128_gcm),
                     probe_ktls_verdict(TLS1_3_VERSION, NID_aes_128_gcm));
    assert_non_null(probe_ktls_verdict(TLS1_2_VERSION, NID_chacha20_poly1305));
    assert_null(probe_ktls_verdict(TLS1_1_VERSION, NID_aes_128_gcm));
    assert_null(probe_ktls_verdict(TLS1_3_VERSION, NID_aes_128_ccm));
}

static void test_pipes_of_size(void **state)
{
    struct probe_pipe pipe = {.user_pages_soft = 16384, .page_size = 4096};

    (void)state;
    assert_int_equal(probe_pipes_of_size(&pipe, 65536), 1024);
    assert_int_equal(probe_pipes_of_size(&pipe, 1u << 20), 64);
    assert_int_equal(probe_pipes_of_size(&pipe, 0), 0);
    pipe.user_pages_soft = 0;
    assert_true(probe_pipes_of_size(&pipe, 65536) == UINT64_MAX);
}

static void test_kernel_warning(void **state)
{
    static const struct {
        const char *release, *version;
        bool warns;
    } cases[] = {
        {"6.1.0-40-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)", true},
        {"6.1.0-41-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)", false},
        {"6.1.192", "#1 Fri Jan 2 10:00:00 UTC 2026", false},
        {"6.1.20", "#1", true},
        {"5.10.0", "#1", true},
        {"6.12.40", "#1", true},
        {"6.17.0-rc7", "#1", false},
        {"7.0.1", "#1", false},
        {"unknown", "#1", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *warning = probe_kernel_warning(cases[i].release, cases[i].version);

        if ((warning != NULL) != cases[i].warns)
            fail_msg("%s / %s: %s", cases[i].release, cases[i].version, warning);
    }
}

static const char *reason_of(const json_t *root, const char *version, const char *cipher)
{
    const json_t *entry = json_object_get(json_object_get(json_object_get(root, "ktls"), version), cipher);

    assert_true(json_is_boolean(json_object_get(entry, "tx")));
    assert_true(json_is_boolean(json_object_get(entry, "rx")));
    return json_string_value(json_object_get(entry, "reason"));
}

static void test_json(void **state)
{
    struct probe probe = {
        .kernel_release = "6.1.20",
        .kernel_version = "#1",
        .splice.works = true,
        .ktls_kernel = true,
        .ktls_limits = {.known = true, .rekey = true},
        .pipe = {.max_size = 1u << 20, .page_size = 4096, .default_size = 65536, .got_size = 1u << 20},
    };
    json_t *root;

    (void)state;
    probe.ktls[PROBE_TLS12][PROBE_AES128_GCM] =
        (struct probe_ktls){.handshake = true, .tx = true, .rx = true};
    probe.ktls[PROBE_TLS13][PROBE_AES128_GCM] =
        (struct probe_ktls){.handshake = true, .tx = true, .rx_reason = RELAY_REASON_KTLS_RX_TLS13};
    probe.ktls[PROBE_TLS13][PROBE_CHACHA20_POLY1305] = (struct probe_ktls){
        .handshake = true, .tx_reason = RELAY_REASON_KTLS_CIPHER, .rx_reason = RELAY_REASON_KTLS_RX_TLS13};
    root = probe_to_json(&probe);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "kernel")), "6.1.20");
    assert_non_null(json_string_value(json_object_get(root, "openssl")));
    assert_true(json_is_true(json_object_get(root, "splice")));
    assert_true(json_is_false(json_object_get(root, "sendfile")));
    assert_null(reason_of(root, "TLSv1.2", "AES-128-GCM"));
    assert_string_equal(reason_of(root, "TLSv1.3", "AES-128-GCM"), "ktls_rx_tls13");
    assert_string_equal(reason_of(root, "TLSv1.3", "CHACHA20-POLY1305"), "ktls_cipher");
    assert_non_null(json_object_get(root, "warning"));
    assert_true(json_is_false(json_object_get(json_object_get(root, "ktls_limits"), "full_pipe")));
    assert_true(json_is_true(json_object_get(json_object_get(root, "ktls_limits"), "rekey")));
    assert_true(json_is_null(json_object_get(json_object_get(root, "pipe"), "user_pages_soft")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "pipe"), "got_size")),
                     1u << 20);
    json_decref(root);

    probe.ktls_kernel = false;
    root = probe_to_json(&probe);
    assert_null(json_object_get(root, "warning"));
    assert_non_null(json_object_get(root, "ktls_limits"));
    json_decref(root);
}

static void test_table(void **state)
{
    struct probe probe = {.kernel_release = "6.1.20", .sendfile = {.error = ENOSYS}};
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    (void)state;
    assert_non_null(stream);
    probe_print(&probe, stream);
    fclose(stream);
    assert_non_null(strstr(text, "sendfile   no (Function not implemented)"));
    assert_non_null(strstr(text, "CHACHA20-POLY1305"));
    assert_non_null(strstr(text, "no limit"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair_is_connected_both_ways),
        cmocka_unit_test(test_calls_and_pipes),
        cmocka_unit_test(test_ktls_agrees_with_the_kernel),
        cmocka_unit_test(test_pipes_of_size),
        cmocka_unit_test(test_kernel_warning),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
