/* `sluice plan`: for made-up hosts and configurations, every entry that must be there is, with its modes and
 * reasons, and none that can't be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/plan_report.h"

static struct conf_backend backend = {.name = (char *)"app"};
static struct conf_files files = {.name = (char *)"media"};
static struct conf_tls tls = {.name = (char *)"main", .policy.max_version = CONF_TLS_1_3};

static struct conf_listener proxy_listener(void)
{
    return (struct conf_listener){.name = (char *)"web", .backend = &backend};
}

static struct conf_listener files_listener(void)
{
    return (struct conf_listener){.name = (char *)"web", .files = &files};
}

static json_t *build(struct conf_listener *listener, const struct probe *probe)
{
    const struct conf conf = {.listeners = listener, .listener_count = 1};
    json_t *report = plan_report_build(&conf, probe);

    assert_non_null(report);
    return report;
}

static bool equal(const json_t *entry, const char *key, const char *value)
{
    const json_t *have = json_object_get(entry, key);

    assert_non_null(have);
    return value == NULL ? json_is_null(have) : strcmp(json_string_value(have), value) == 0;
}

/* The one entry with these; fails unless there is exactly one. */
static const json_t *find(const json_t *report, const char *version, const char *direction,
                          const char *source, const char *sink)
{
    const json_t *entry, *found = NULL;
    size_t index;

    json_array_foreach(report, index, entry)
    {
        if (equal(entry, "tls_version", version) && equal(entry, "direction", direction) &&
            equal(entry, "source_crypto", source) && equal(entry, "sink_crypto", sink)) {
            assert_null(found);
            found = entry;
        }
    }
    assert_non_null(found);
    return found;
}

static bool has(const json_t *entry, const char *key, const char *value)
{
    const json_t *array = json_object_get(entry, key), *item;
    size_t index;

    assert_true(json_is_array(array));
    json_array_foreach(array, index, item)
    {
        if (strcmp(json_string_value(item), value) == 0)
            return true;
    }
    return false;
}

/* A host without kTLS. */
static struct probe bare_host(void)
{
    struct probe probe = {.ktls_kernel = false};

    for (int version = 0; version < PROBE_VERSION_COUNT; version++) {
        for (int cipher = 0; cipher < PROBE_CIPHER_COUNT; cipher++)
            probe.ktls[version][cipher] = (struct probe_ktls){.handshake = true,
                                                              .tx_reason = RELAY_REASON_KTLS_KERNEL,
                                                              .rx_reason = RELAY_REASON_KTLS_KERNEL};
    }
    return probe;
}

/* Debian 12 with the tls module but without ChaCha: 1.2 both ways, 1.3 transmit only. */
static struct probe ktls_host(void)
{
    struct probe probe = bare_host();

    probe.ktls_kernel = true;
    for (int cipher = 0; cipher < PROBE_CHACHA20_POLY1305; cipher++) {
        probe.ktls[PROBE_TLS12][cipher] = (struct probe_ktls){.handshake = true, .tx = true, .rx = true};
        probe.ktls[PROBE_TLS13][cipher] =
            (struct probe_ktls){.handshake = true, .tx = true, .rx_reason = RELAY_REASON_KTLS_RX_TLS13};
    }
    for (int version = 0; version < PROBE_VERSION_COUNT; version++)
        probe.ktls[version][PROBE_CHACHA20_POLY1305] = (struct probe_ktls){
            .handshake = true, .tx_reason = RELAY_REASON_KTLS_CIPHER, .rx_reason = RELAY_REASON_KTLS_CIPHER};
    return probe;
}

static void test_plain_proxy(void **state)
{
    struct conf_listener listener = proxy_listener();
    struct probe probe = bare_host();
    json_t *report = build(&listener, &probe);
    const char *const directions[] = {"to_client", "to_server"};

    (void)state;
    assert_int_equal(json_array_size(report), 2);
    for (int i = 0; i < 2; i++) {
        const json_t *entry = find(report, NULL, directions[i], "none", "none");

        assert_true(equal(entry, "listener", "web"));
        assert_true(equal(entry, "route", "proxy:app"));
        assert_true(has(entry, "modes", "splice"));
        assert_true(has(entry, "modes", "copy"));
        assert_false(has(entry, "modes", "sendfile"));
        assert_true(has(entry, "reasons", "passthrough"));
        assert_true(has(entry, "reasons", "small_transfers"));
        assert_true(has(entry, "reasons", "urgent_data"));
        assert_true(has(entry, "reasons", "pipe_limit"));
        assert_int_equal(json_array_size(json_object_get(entry, "refusals")), 0);
    }
    json_decref(report);
}

static void test_plain_files_have_generated_pages(void **state)
{
    struct conf_listener listener = files_listener();
    struct probe probe = bare_host();
    json_t *report = build(&listener, &probe);
    const json_t *entry = find(report, NULL, "to_client", "none", "none");

    (void)state;
    assert_int_equal(json_array_size(report), 1);
    assert_true(equal(entry, "route", "files:media"));
    assert_string_equal(json_string_value(json_array_get(json_object_get(entry, "modes"), 0)), "sendfile");
    assert_true(has(entry, "modes", "copy"));
    assert_true(has(entry, "reasons", "passthrough"));
    assert_true(has(entry, "reasons", "generated"));
    json_decref(report);
}

static void test_forced_files(void **state)
{
    struct conf_listener listener = files_listener();
    struct probe probe = bare_host();
    json_t *report;
    const json_t *entry;

    (void)state;
    listener.relay = CONF_RELAY_MMAP;
    report = build(&listener, &probe);
    entry = find(report, NULL, "to_client", "none", "none");
    assert_true(has(entry, "modes", "mmap"));
    assert_true(has(entry, "reasons", "forced"));
    assert_true(has(entry, "reasons", "generated"));
    assert_false(has(entry, "modes", "sendfile"));
    assert_true(has(entry, "refusals", "kernel_refused"));
    json_decref(report);
}

static void test_tls_without_ktls(void **state)
{
    struct conf_listener listener = files_listener();
    struct probe probe = bare_host();
    const char *const versions[] = {"TLSv1.2", "TLSv1.3"};
    json_t *report;

    (void)state;
    tls.ktls = CONF_KTLS_AUTO;
    listener.tls = &tls;
    report = build(&listener, &probe);
    assert_int_equal(json_array_size(report), 2);
    for (int i = 0; i < 2; i++) {
        const json_t *entry = find(report, versions[i], "to_client", "none", "user");

        assert_true(has(entry, "modes", "copy"));
        assert_int_equal(json_array_size(json_object_get(entry, "modes")), 1);
        assert_true(has(entry, "reasons", "ktls_kernel"));
        assert_true(has(entry, "reasons", "generated"));
    }
    json_decref(report);
}

static void test_tls_with_ktls(void **state)
{
    struct conf_listener listener = files_listener();
    struct probe probe = ktls_host();
    const char *const versions[] = {"TLSv1.2", "TLSv1.3"};
    json_t *report;

    (void)state;
    tls.ktls = CONF_KTLS_AUTO;
    listener.tls = &tls;
    report = build(&listener, &probe);
    for (int i = 0; i < 2; i++) {
        const json_t *kernel = find(report, versions[i], "to_client", "none", "ktls");
        const json_t *user = find(report, versions[i], "to_client", "none", "user");

        assert_true(has(kernel, "modes", "sendfile"));
        assert_true(has(kernel, "reasons", "passthrough"));
        assert_false(has(kernel, "reasons", "ktls_cipher"));
        assert_false(has(user, "modes", "sendfile"));
        assert_true(has(user, "reasons", "ktls_cipher"));
    }
    json_decref(report);
}

/* What the configuration excludes isn't told of: here, all but ChaCha20 under TLS 1.3. */
static void test_only_what_is_spoken(void **state)
{
    static char suite[] = "TLS_CHACHA20_POLY1305_SHA256";
    static char *suites[] = {suite};
    struct conf_listener listener = files_listener();
    struct probe probe = ktls_host();
    json_t *report;
    const json_t *entry;
    size_t index;

    (void)state;
    tls.ktls = CONF_KTLS_AUTO;
    tls.policy.suites = suites;
    tls.policy.suite_count = 1;
    listener.tls = &tls;
    report = build(&listener, &probe);
    tls.policy.suite_count = 0;
    assert_true(json_array_size(report) > 0);
    json_array_foreach(report, index, entry)
    {
        assert_true(equal(entry, "tls_version", "TLSv1.3"));
        assert_false(equal(entry, "sink_crypto", "ktls"));
        assert_true(has(entry, "reasons", "ktls_cipher"));
    }
    json_decref(report);
}

static void test_tls_proxy_directions_differ(void **state)
{
    struct conf_listener listener = proxy_listener();
    struct probe probe = ktls_host();
    json_t *report;
    const json_t *entry;

    (void)state;
    tls.ktls = CONF_KTLS_AUTO;
    listener.tls = &tls;
    report = build(&listener, &probe);
    assert_true(has(find(report, "TLSv1.3", "to_client", "none", "ktls"), "modes", "splice"));
    entry = find(report, "TLSv1.3", "to_server", "user", "none");
    assert_false(has(entry, "modes", "splice"));
    assert_true(has(entry, "reasons", "ktls_rx_tls13"));
    assert_true(has(find(report, "TLSv1.2", "to_server", "ktls", "none"), "modes", "splice"));
    json_decref(report);
}

static void test_ktls_off_and_require(void **state)
{
    struct conf_listener listener = files_listener();
    struct probe with = ktls_host(), without = bare_host();
    json_t *report;
    const json_t *entry;

    (void)state;
    listener.tls = &tls;
    tls.ktls = CONF_KTLS_OFF;
    report = build(&listener, &with);
    assert_int_equal(json_array_size(report), 2);
    entry = find(report, "TLSv1.3", "to_client", "none", "user");
    assert_true(has(entry, "reasons", "ktls_off"));
    assert_false(has(entry, "reasons", "ktls_kernel"));
    json_decref(report);

    tls.ktls = CONF_KTLS_REQUIRE;
    report = build(&listener, &without);
    entry = find(report, "TLSv1.2", "to_client", "none", "user");
    assert_int_equal(json_array_size(json_object_get(entry, "modes")), 0);
    assert_true(has(entry, "refusals", "ktls_kernel"));
    json_decref(report);
}

static void test_require_zero_copy(void **state)
{
    struct conf_listener listener = proxy_listener();
    struct probe probe = bare_host();
    json_t *report;
    const json_t *entry;

    (void)state;
    listener.require_zero_copy = true;
    report = build(&listener, &probe);
    entry = find(report, NULL, "to_server", "none", "none");
    assert_true(has(entry, "modes", "splice"));
    assert_false(has(entry, "reasons", "small_transfers"));
    assert_true(has(entry, "refusals", "pipe_limit"));
    json_decref(report);
}

static void test_table_names_everything(void **state)
{
    struct conf_listener listener = proxy_listener();
    struct probe probe = bare_host();
    json_t *report = build(&listener, &probe);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    (void)state;
    assert_non_null(stream);
    plan_report_print(report, stream);
    fclose(stream);
    assert_non_null(strstr(text, "LISTENER"));
    assert_non_null(strstr(text, "proxy:app"));
    assert_non_null(strstr(text, "splice, copy"));
    assert_non_null(strstr(text, "to_server"));
    free(text);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_proxy),
        cmocka_unit_test(test_plain_files_have_generated_pages),
        cmocka_unit_test(test_forced_files),
        cmocka_unit_test(test_tls_without_ktls),
        cmocka_unit_test(test_tls_with_ktls),
        cmocka_unit_test(test_only_what_is_spoken),
        cmocka_unit_test(test_tls_proxy_directions_differ),
        cmocka_unit_test(test_ktls_off_and_require),
        cmocka_unit_test(test_require_zero_copy),
        cmocka_unit_test(test_table_names_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
