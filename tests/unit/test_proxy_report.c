/* A record as JSON: exactly the keys that DESIGN promises, the time, and bytes that a client chose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/report.h"

static struct report sample(void)
{
    struct report report = {
        .id = 7,
        .began = {.tv_sec = 1700000000, .tv_nsec = 45678901},
        .duration_ms = 12,
        .listener = "app",
        .client = "127.0.0.1:40000",
        .target = "127.0.0.1:9001",
        .closed_by = CLOSED_BY_SERVER,
        .outcome = OUTCOME_COMPLETE,
    };

    report.directions[SESSION_TO_CLIENT] = (struct flow_report){
        .bytes = 30,
        .user_bytes = 10,
        .kernel_bytes = 20,
        .head_bytes = 5,
        .segment_count = 2,
        .segments = {{RELAY_COPY, RELAY_CRYPTO_NONE, RELAY_CRYPTO_USER, RELAY_REASON_KTLS_OFF, 10},
                     {RELAY_SPLICE, RELAY_CRYPTO_NONE, RELAY_CRYPTO_KTLS, RELAY_REASON_PASSTHROUGH, 20}},
    };
    return report;
}

static char *render(const struct report *report)
{
    json_t *root = report_to_json(report);
    char *text;

    assert_non_null(root);
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    assert_non_null(text);
    return text;
}

static void test_a_plain_connection(void **state)
{
    struct report report = sample();
    char *text = render(&report);

    (void)state;
    assert_string_equal(
        text,
        "{\"id\":7,\"time\":\"2023-11-14T22:13:20.045Z\",\"listener\":\"app\",\"client\":\"127.0.0.1:40000\","
        "\"target\":\"127.0.0.1:9001\",\"duration_ms\":12,\"closed_by\":\"server\",\"outcome\":\"complete\","
        "\"tls\":null,\"directions\":{\"to_client\":{\"bytes\":30,\"user_bytes\":10,\"kernel_bytes\":20,"
        "\"head_bytes\":5,\"segments\":[{\"mode\":\"copy\",\"source_crypto\":\"none\",\"sink_crypto\":"
        "\"user\","
        "\"reason\":\"ktls_off\",\"bytes\":10},{\"mode\":\"splice\",\"source_crypto\":\"none\","
        "\"sink_crypto\":\"ktls\",\"reason\":\"passthrough\",\"bytes\":20}]},\"to_server\":{\"bytes\":0,"
        "\"user_bytes\":0,\"kernel_bytes\":0,\"head_bytes\":0,\"segments\":[]}}}");
    free(text);
}

static void test_what_is_optional(void **state)
{
    struct report report = sample();
    char *text;

    (void)state;
    report.kind = REPORT_RESPONSE;
    snprintf(report.request, sizeof(report.request), "GET / HTTP/1.1");
    report.status = 404;
    report.request_ms = 3;
    report.has_tls = true;
    report.tls = (struct tls_facts){.version = "TLSv1.3",
                                    .cipher = "TLS_AES_128_GCM_SHA256",
                                    .sni = "localhost",
                                    .alpn = "h2",
                                    .peer_name = "Ann",
                                    .resumed = true};
    report.outcome = OUTCOME_TIMEOUT;
    snprintf(report.detail, sizeof(report.detail), "idle");
    text = render(&report);
    assert_non_null(
        strstr(text, "\"request\":\"GET / HTTP/1.1\",\"status\":404,\"request_ms\":3,\"duration_ms\""));
    assert_non_null(strstr(text,
                           "\"outcome\":\"timeout\",\"detail\":\"idle\",\"tls\":{\"version\":\"TLSv1.3\","
                           "\"cipher\":\"TLS_AES_128_GCM_SHA256\",\"sni\":\"localhost\",\"resumed\":true,"
                           "\"alpn\":\"h2\",\"client_name\":\"Ann\"}"));
    free(text);
    snprintf(report.host, sizeof(report.host), "h:8080");
    snprintf(report.referer, sizeof(report.referer), "http://h/");
    snprintf(report.user_agent, sizeof(report.user_agent), "curl/8");
    snprintf(report.request_id, sizeof(report.request_id), "0123");
    report.has_first_byte = true;
    report.ttfb_ms = 5;
    text = render(&report);
    assert_non_null(strstr(
        text,
        "404,\"host\":\"h:8080\",\"referer\":\"http://h/\",\"user_agent\":\"curl/8\",\"request_id\":\"0123\","
        "\"request_ms\":3,\"ttfb_ms\":5,\"duration_ms\":12"));
    free(text);
    report.outcome = OUTCOME_OPEN; /* nobody has closed it yet */
    text = render(&report);
    assert_non_null(strstr(text, "\"closed_by\":null,\"outcome\":\"open\""));
    free(text);
}

static void test_bytes_that_are_no_text(void **state)
{
    struct report report = sample();
    char *text;

    (void)state;
    report.kind = REPORT_RESPONSE;
    snprintf(report.request, sizeof(report.request), "GET /\xff\"\n\x01 HTTP/1.1");
    text = render(&report);
    assert_non_null(strstr(text, "\"request\":\"GET /\xc3\xbf\\\"\\n\\u0001 HTTP/1.1\""));
    assert_null(strchr(text, '\n'));
    free(text);
    memset(report.request, 0xff, sizeof(report.request) - 1); /* each becomes two */
    text = render(&report);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_connection),
        cmocka_unit_test(test_what_is_optional),
        cmocka_unit_test(test_bytes_that_are_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
