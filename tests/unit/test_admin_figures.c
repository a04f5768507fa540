/* /metrics and /status.json, built from a generation made by hand: names, labels, escaping, and figures that
 * add up over workers. The page: self-contained, and its policy names its own style and script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "proxy/admin/metrics.h"
#include "proxy/admin/page.h"
#include "proxy/admin/status.h"

/* Two workers that have served one listener `web`, and a backend with a server that is up. */
struct fixture {
    struct listener_stats workers[2];
    struct listener_stats *worker_list[2];
    struct stats_listener stats, admin_stats;
    struct generation_target targets[2];
    struct gate gate;
    struct generation_listener listeners[2]; /* web, admin */
    struct backend_registry *registry;
    struct backend backend;
    struct generation generation;
    struct admin_view view;
};

static void make_backend(struct fixture *f)
{
    struct conf_server server = {.name = (char *)"unix:/tmp/a\"b\\c\nd", .weight = 1};
    struct sockaddr_un *address = (struct sockaddr_un *)&server.address.addr;
    const struct conf_backend conf = {.name = (char *)"app", .servers = &server, .server_count = 1};
    struct server_stats *stats;

    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, server.name + 5);
    server.address.length = sizeof(*address);
    f->registry = backend_registry_new();
    assert_non_null(f->registry);
    assert_int_equal(backend_init(&f->backend, &conf, f->registry, NULL, 1), 0);
    stats = &f->backend.newest->slots[0].server->stats;
    stats->connections = 2;
    stats->connections_total = 20;
    stats->failures = 6;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct relay_counters *counters;

    if (f == NULL)
        return -1;
    counters = &f->workers[0].directions[SESSION_TO_CLIENT];
    counters->bytes[RELAY_SPLICE][RELAY_CRYPTO_NONE][RELAY_CRYPTO_KTLS] = 700;
    counters->segments[RELAY_SPLICE][RELAY_CRYPTO_NONE][RELAY_CRYPTO_KTLS][RELAY_REASON_PASSTHROUGH] = 2;
    counters->kernel_bytes = 700;
    counters->head_bytes = 5;
    counters = &f->workers[1].directions[SESSION_TO_CLIENT];
    counters->bytes[RELAY_SPLICE][RELAY_CRYPTO_NONE][RELAY_CRYPTO_KTLS] = 300;
    counters->segments[RELAY_SPLICE][RELAY_CRYPTO_NONE][RELAY_CRYPTO_KTLS][RELAY_REASON_PASSTHROUGH] = 1;
    counters->kernel_bytes = 300;
    counters = &f->workers[1].directions[SESSION_TO_SERVER];
    counters->bytes[RELAY_COPY][RELAY_CRYPTO_USER][RELAY_CRYPTO_NONE] = 11;
    counters->segments[RELAY_COPY][RELAY_CRYPTO_USER][RELAY_CRYPTO_NONE][RELAY_REASON_KTLS_RX_TLS13] = 1;
    counters->user_bytes = 11;
    f->workers[0].connections = 3;
    f->workers[1].connections = 4;
    f->workers[0].connections_total = 30;
    f->workers[1].connections_total = 40;
    f->workers[1].accept_paused = 1;
    f->worker_list[0] = &f->workers[0];
    f->worker_list[1] = &f->workers[1];
    f->stats = (struct stats_listener){.name = (char *)"web", .worker_count = 2, .workers = f->worker_list};
    f->gate.limited[GATE_CONNECTION_RATE] = 8;
    f->stats.gate = &f->gate;
    make_backend(f);
    f->targets[0] =
        (struct generation_target){.kind = TARGET_PROXY, .name = "proxy:app", .backend = &f->backend};
    f->targets[1] = (struct generation_target){.kind = TARGET_ADMIN, .name = GENERATION_ADMIN};
    f->listeners[0] = (struct generation_listener){
        .name = "web", .target = &f->targets[0], .address = "0.0.0.0:80", .stats = &f->stats};
    f->listeners[1] = (struct generation_listener){.name = GENERATION_ADMIN,
                                                   .is_admin = true,
                                                   .address = "127.0.0.1:9400",
                                                   .target = &f->targets[1],
                                                   .stats = &f->admin_stats};
    f->generation.number = 3;
    f->generation.listeners = f->listeners;
    f->generation.listener_count = 2;
    f->generation.backends = &f->backend;
    f->generation.backend_count = 1;
    f->view = (struct admin_view){
        .generation = &f->generation, .workers = 2, .uptime_ms = 61999, .log_dropped = 9, .draining = false};
    f->view.syscalls[RELAY_SYS_SPLICE] = 77;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    backend_clear(&f->backend);
    backend_registry_free(f->registry);
    free(*state);
    return 0;
}

static char *metrics(const struct admin_view *view)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    metrics_write(view, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void expect_line(const char *text, const char *line)
{
    size_t length = strlen(line);

    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && at[length] == '\n')
            return;
    }
    fail_msg("no such line: %s", line);
}

static void test_metrics_lines(void **state)
{
    const struct fixture *f = *state;
    char *text = metrics(&f->view);

    expect_line(text, "sluice_build_info{version=\"" SLUICE_VERSION "\"} 1");
    expect_line(text, "# TYPE sluice_relay_bytes_total counter");
    expect_line(text, "sluice_relay_bytes_total{listener=\"web\",direction=\"to_client\",mode=\"splice\","
                      "source_crypto=\"none\",sink_crypto=\"ktls\"} 1000");
    expect_line(text, "sluice_relay_bytes_total{listener=\"web\",direction=\"to_server\",mode=\"copy\","
                      "source_crypto=\"user\",sink_crypto=\"none\"} 11");
    expect_line(text, "sluice_relay_segments_total{listener=\"web\",direction=\"to_client\",mode=\"splice\","
                      "source_crypto=\"none\",sink_crypto=\"ktls\",reason=\"passthrough\"} 3");
    expect_line(text, "sluice_relay_segments_total{listener=\"web\",direction=\"to_server\",mode=\"copy\","
                      "source_crypto=\"user\",sink_crypto=\"none\",reason=\"ktls_rx_tls13\"} 1");
    expect_line(text, "sluice_user_bytes_total{listener=\"web\"} 11");
    expect_line(text, "sluice_kernel_bytes_total{listener=\"web\"} 1000");
    expect_line(text, "sluice_head_bytes_total{listener=\"web\"} 5");
    expect_line(text, "sluice_connections{listener=\"web\"} 7");
    expect_line(text, "# TYPE sluice_connections gauge");
    expect_line(text, "sluice_connections_total{listener=\"web\"} 70");
    expect_line(text, "sluice_connections_total{listener=\"admin\"} 0");
    expect_line(text, "sluice_accept_paused_total{listener=\"web\"} 1");
    expect_line(text, "sluice_connections_limited_total{listener=\"web\",limit=\"connection_rate\"} 8");
    expect_line(text, "sluice_connections_limited_total{listener=\"web\",limit=\"max_connections\"} 0");
    expect_line(text, "sluice_backend_up{backend=\"app\",server=\"unix:/tmp/a\\\"b\\\\c\\nd\"} 1");
    expect_line(text, "sluice_backend_connections{backend=\"app\",server=\"unix:/tmp/a\\\"b\\\\c\\nd\"} 2");
    expect_line(text,
                "sluice_backend_failures_total{backend=\"app\",server=\"unix:/tmp/a\\\"b\\\\c\\nd\"} 6");
    expect_line(text, "sluice_backend_queue{backend=\"app\"} 0");
    expect_line(text, "sluice_backend_queue_overflowed_total{backend=\"app\"} 0");
    expect_line(text, "sluice_syscalls_total{call=\"splice\"} 77");
    expect_line(text, "sluice_log_dropped_total 9");
    free(text);
}

/* Each family has HELP and TYPE once, before its samples, and its samples stand together. */
static void test_metrics_are_well_formed(void **state)
{
    const struct fixture *f = *state;
    char *text = metrics(&f->view), *save = NULL, family[100] = "";
    size_t families = 0;

    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char name[100], expected[120];

        if (sscanf(line, "# HELP %99s", name) == 1) {
            snprintf(family, sizeof(family), "%s", name);
            snprintf(expected, sizeof(expected), "# TYPE %s ", name);
            line = strtok_r(NULL, "\n", &save);
            assert_non_null(line);
            assert_memory_equal(line, expected, strlen(expected));
            families++;
            continue;
        }
        assert_int_equal(sscanf(line, "%99[a-z_]", name), 1);
        assert_string_equal(name, family);
    }
    assert_in_range(families, 15, 1000);
    free(text);
}

static json_int_t integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void test_status(void **state)
{
    const struct fixture *f = *state;
    json_t *status = status_build(&f->view);
    const json_t *listener, *direction, *segment, *server;

    assert_non_null(status);
    assert_string_equal(json_string_value(json_object_get(status, "version")), SLUICE_VERSION);
    assert_int_equal(integer(status, "uptime_s"), 61);
    assert_int_equal(integer(status, "generation"), 3);
    assert_int_equal(integer(status, "workers"), 2);
    assert_int_equal(integer(status, "log_dropped"), 9);
    assert_true(json_is_false(json_object_get(status, "draining")));
    listener = json_object_get(json_object_get(status, "listeners"), "web");
    assert_int_equal(json_object_size(json_object_get(status, "listeners")), 1);
    assert_string_equal(json_string_value(json_object_get(listener, "address")), "0.0.0.0:80");
    assert_string_equal(json_string_value(json_object_get(listener, "target")), "proxy:app");
    assert_int_equal(integer(listener, "connections"), 7);
    assert_int_equal(integer(listener, "total"), 70);
    direction = json_object_get(json_object_get(listener, "directions"), "to_client");
    assert_int_equal(integer(direction, "bytes"), 1000);
    assert_int_equal(integer(direction, "kernel_bytes"), 1000);
    assert_int_equal(integer(direction, "user_bytes"), 0);
    assert_int_equal(integer(direction, "head_bytes"), 5);
    assert_int_equal(json_array_size(json_object_get(direction, "segments")), 1);
    segment = json_array_get(json_object_get(direction, "segments"), 0);
    assert_string_equal(json_string_value(json_object_get(segment, "mode")), "splice");
    assert_string_equal(json_string_value(json_object_get(segment, "sink_crypto")), "ktls");
    assert_int_equal(integer(segment, "bytes"), 1000);
    assert_int_equal(integer(segment, "count"), 3);
    assert_int_equal(integer(json_object_get(segment, "reasons"), "passthrough"), 3);
    server = json_array_get(
        json_object_get(json_object_get(json_object_get(status, "backends"), "app"), "servers"), 0);
    assert_string_equal(json_string_value(json_object_get(server, "address")), "unix:/tmp/a\"b\\c\nd");
    assert_true(json_is_true(json_object_get(server, "up")));
    assert_int_equal(integer(server, "failures"), 6);
    json_decref(status);
}

static void test_page(void **state)
{
    size_t size;
    char *html = page_html(&size), policy[512];

    (void)state;
    assert_non_null(html);
    assert_int_equal(size, strlen(html));
    assert_null(strstr(html, "innerHTML"));
    assert_null(strstr(html, "http://"));
    assert_null(strstr(html, "https://"));
    assert_null(strstr(html, "src="));
    free(html);
    page_security_policy(policy, sizeof(policy));
    assert_non_null(strstr(policy, "default-src 'none'"));
    assert_non_null(strstr(policy, "script-src 'sha256-"));
    assert_null(strstr(policy, "unsafe-inline"));
    assert_string_equal(policy + strlen(policy) - 2, "\r\n");
    page_security_policy(policy, 20);
    assert_string_equal(policy, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_metrics_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics_are_well_formed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        cmocka_unit_test(test_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
