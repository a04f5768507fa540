/* A record as JSON: exactly the keys that DESIGN promises, the time, and bytes that a client chose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "proxy/report_json.h"

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
    char *text = malloc(REPORT_JSON_MAX + 1);
    json_t *root;

    assert_non_null(text);
    text[report_write_json(report, text)] = '\0';
    root = json_loads(text, JSON_ALLOW_NUL, NULL); /* whatever else it says, it is JSON */
    assert_non_null(root);
    json_decref(root);
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

static void test_what_only_a_connection_has(void **state)
{
    struct report report = sample();
    char *text;

    (void)state;
    report.has_server_tls = true;
    report.server_tls =
        (struct tls_facts){.version = "TLSv1.2", .cipher = "c", .sni = "s", .peer_name = "backend"};
    report.has_preview[SESSION_TO_SERVER] = true;
    report.previews[SESSION_TO_SERVER] =
        (struct preview){.bytes = {'A', 0, '"', 0xff, 0x7f, '\n'}, .size = 6};
    text = render(&report);
    assert_non_null(strstr(text,
                           "\"tls\":null,\"first_bytes\":{\"to_server\":\"A\\u0000\\\"\\u00ff\\u007f\\n\"},"
                           "\"server_tls\":{\"version\":\"TLSv1.2\",\"cipher\":\"c\",\"sni\":\"s\","
                           "\"resumed\":false,\"server_name\":\"backend\"},\"directions\""));
    free(text);
}

/* Whatever a client chose, the line is one line of ASCII, and a reader gets the characters back. */
static void test_bytes_that_are_no_text(void **state)
{
    static const struct {
        const char *text, *written;
    } table[] = {
        {"plain ~", "plain ~"},
        {"\"\\/", "\\\"\\\\/"},
        {"\n\r\t\b\x01\x1f\x7f", "\\n\\r\\t\\u0008\\u0001\\u001f\\u007f"},
        {"\xc3\xa4\xe2\x82\xac", "\\u00e4\\u20ac"},
        {"\xf0\x9f\x98\x80", "\\ud83d\\ude00"},
        {"\xc2\x9b[2J", "\\u009b[2J"}, /* a terminal's control sequence */
        /* Not UTF-8, so Latin-1: alone, cut, overlong, a surrogate, beyond Unicode. */
        {"\xff", "\\u00ff"},
        {"\xa4x", "\\u00a4x"},
        {"\xe2\x82", "\\u00e2\\u0082"},
        {"\xe2\x82x", "\\u00e2\\u0082x"},
        {"\xc0\xaf", "\\u00c0\\u00af"},
        {"\xe0\x80\xaf", "\\u00e0\\u0080\\u00af"},
        {"\xed\xa0\x80", "\\u00ed\\u00a0\\u0080"},
        {"\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080"},
        {"\xf8\x88\x80\x80\x80", "\\u00f8\\u0088\\u0080\\u0080\\u0080"},
        {"\xc3\xa4\xff", "\\u00e4\\u00ff"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct report report = sample();
        char *text, wanted[128];

        report.kind = REPORT_RESPONSE;
        snprintf(report.request, sizeof(report.request), "%s", table[i].text);
        snprintf(wanted, sizeof(wanted), "\"request\":\"%s\",\"request_ms\"", table[i].written);
        text = render(&report);
        if (strstr(text, wanted) == NULL)
            fail_msg("%s: %s", table[i].written, text);
        for (const char *at = text; *at != '\0'; at++)
            assert_true(*at >= ' ' && *at <= '~');
        free(text);
    }
}

static void fill(char *text, size_t size)
{
    memset(text, '\xff', size - 1);
    text[size - 1] = '\0';
}

#define FILL(text) fill(text, sizeof(text))

static void fill_common(struct report *report)
{
    static const struct flow_segment segment = {RELAY_SENDFILE, RELAY_CRYPTO_NONE, RELAY_CRYPTO_NONE,
                                                RELAY_REASON_NOT_REGULAR_FILE, INT64_MAX};

    *report = sample();
    FILL(report->listener);
    FILL(report->client);
    FILL(report->proxy);
    FILL(report->target);
    FILL(report->detail);
    report->has_tls = true;
    report->tls.version = report->tls.cipher = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    FILL(report->tls.sni);
    FILL(report->tls.alpn);
    FILL(report->tls.peer_name);
    for (int d = 0; d < 2; d++) {
        struct flow_report *flow = &report->directions[d];

        flow->bytes = flow->user_bytes = flow->kernel_bytes = flow->head_bytes = INT64_MAX;
        flow->segment_count = FLOW_SEGMENTS_MAX;
        for (unsigned i = 0; i < FLOW_SEGMENTS_MAX; i++)
            flow->segments[i] = segment;
    }
}

/* Every byte of every text escaped to six: the line has room for it. */
static void test_the_longest_lines(void **state)
{
    struct report report;

    (void)state;
    fill_common(&report);
    report.has_server_tls = true;
    report.server_tls = report.tls;
    for (int d = 0; d < 2; d++) {
        report.has_preview[d] = true;
        report.previews[d].size = PREVIEW_MAX;
        memset(report.previews[d].bytes, 0xff, PREVIEW_MAX);
    }
    free(render(&report));

    fill_common(&report);
    report.kind = REPORT_RESPONSE;
    report.status = 200;
    report.has_first_byte = true;
    report.request_ms = report.ttfb_ms = INT64_MAX;
    FILL(report.site);
    FILL(report.request);
    FILL(report.host);
    FILL(report.referer);
    FILL(report.user_agent);
    FILL(report.request_id);
    free(render(&report));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_connection),         cmocka_unit_test(test_what_is_optional),
        cmocka_unit_test(test_what_only_a_connection_has), cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_the_longest_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
