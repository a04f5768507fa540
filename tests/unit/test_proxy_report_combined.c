/* A record as a combined line: the fields' order, the time, what stands for nothing, and that no byte of a
 * client can forge a field or a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/report_combined.h"

static struct report response(void)
{
    struct report report = {
        .kind = REPORT_RESPONSE,
        .began = {.tv_sec = 1700000000},
        .listener = "web",
        .client = "192.0.2.7:40000",
        .outcome = OUTCOME_COMPLETE,
        .status = 206,
        .request = "GET /a?b HTTP/1.1",
        .referer = "https://example.org/",
        .user_agent = "curl/8.5.0",
    };

    report.directions[SESSION_TO_CLIENT].bytes = 1234567890123;
    report.directions[SESSION_TO_CLIENT].head_bytes = 300;
    return report;
}

static const char *write_line(const struct report *report)
{
    static char line[REPORT_COMBINED_MAX + 1];

    line[report_write_combined(report, line)] = '\0';
    return line;
}

static void test_a_response(void **state)
{
    struct report report = response();

    (void)state;
    assert_string_equal(write_line(&report),
                        "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b HTTP/1.1\" 206 1234567890123 "
                        "\"https://example.org/\" \"curl/8.5.0\"");
    report.referer[0] = report.user_agent[0] = report.request[0] = '\0';
    report.status = 408;
    report.directions[SESSION_TO_CLIENT].bytes = 0;
    assert_string_equal(write_line(&report),
                        "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"-\" 408 0 \"-\" \"-\"");
}

static void test_a_connection(void **state)
{
    struct report report = {.began = {.tv_sec = 1700000000},
                            .listener = "app",
                            .client = "[2001:db8::1]:9",
                            .target = "10.0.0.1:80",
                            .outcome = OUTCOME_COMPLETE};

    (void)state;
    report.directions[SESSION_TO_CLIENT].bytes = 5;
    assert_string_equal(
        write_line(&report),
        "2001:db8::1 - - [14/Nov/2023:22:13:20 +0000] \"TCP app 10.0.0.1:80\" 200 5 \"-\" \"-\"");
    report.target[0] = '\0';
    report.outcome = OUTCOME_LIMITED;
    assert_non_null(strstr(write_line(&report), "\"TCP app -\" 503 5 "));
}

static void test_clients(void **state)
{
    static const struct {
        const char *client, *told;
    } table[] = {
        {"127.0.0.1:1", "127.0.0.1 -"},
        {"[::1]:65535", "::1 -"},
        {"unix:", "unix: -"},
        {"unix:/a b:1", "unix: -"},
        {"?", "- -"},
        {"", "- -"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct report report = response();

        snprintf(report.client, sizeof(report.client), "%s", table[i].client);
        assert_memory_equal(write_line(&report), table[i].told, strlen(table[i].told));
    }
}

static void test_time_zones(void **state)
{
    static const struct {
        const char *zone, *told;
    } table[] = {
        {"XST-5:30", "[15/Nov/2023:03:43:21 +0530]"},
        {"XST3:30", "[14/Nov/2023:18:43:22 -0330]"},
        {"XST0:30", "[14/Nov/2023:21:43:23 -0030]"},
        {"UTC0", "[14/Nov/2023:22:13:24 +0000]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct report report = response();

        report.began.tv_sec += 1 + (time_t)i; /* the zone is looked up once for each second */
        setenv("TZ", table[i].zone, 1);
        tzset();
        assert_non_null(strstr(write_line(&report), table[i].told));
    }
}

static void test_statuses(void **state)
{
    static const struct {
        enum report_outcome outcome;
        enum report_closed_by closed_by;
        int status;
    } table[] = {
        {OUTCOME_COMPLETE, CLOSED_BY_CLIENT, 200},  {OUTCOME_RESET, CLOSED_BY_CLIENT, 499},
        {OUTCOME_RESET, CLOSED_BY_SERVER, 502},     {OUTCOME_RESET, CLOSED_BY_SLUICE, 500},
        {OUTCOME_TRUNCATED, CLOSED_BY_SERVER, 502}, {OUTCOME_TIMEOUT, CLOSED_BY_SLUICE, 408},
        {OUTCOME_REFUSED, CLOSED_BY_SLUICE, 403},   {OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, 502},
        {OUTCOME_HANDSHAKE, CLOSED_BY_SLUICE, 400}, {OUTCOME_BAD_REQUEST, CLOSED_BY_SLUICE, 400},
        {OUTCOME_LIMITED, CLOSED_BY_SLUICE, 503},   {OUTCOME_STOPPED, CLOSED_BY_SLUICE, 503},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct report report = response();

        report.outcome = table[i].outcome;
        report.closed_by = table[i].closed_by;
        assert_int_equal(report_combined_status(&report), 206);
        report.status = 0; /* the client saw none */
        assert_int_equal(report_combined_status(&report), table[i].status);
        report.kind = REPORT_CONNECTION;
        assert_int_equal(report_combined_status(&report), table[i].status);
    }
}

static void test_nothing_can_be_forged(void **state)
{
    struct report report = response();

    (void)state;
    snprintf(report.request, sizeof(report.request), "GET /\" 200\n1.2.3.4 \\ \x01\x7f\xc3\xa4");
    snprintf(report.user_agent, sizeof(report.user_agent), "\"\r\n");
    assert_non_null(
        strstr(write_line(&report), "\"GET /\\x22 200\\x0A1.2.3.4 \\x5C \\x01\\x7F\\xC3\\xA4\" 206 "));
    assert_non_null(strstr(write_line(&report), " \"\\x22\\x0D\\x0A\""));
}

/* Every byte of every text, escaped: the line has room for it. */
static void test_the_longest_line(void **state)
{
    struct report report = response();
    size_t quotes = 0;

    (void)state;
    memset(report.request, '\xff', sizeof(report.request) - 1);
    memset(report.referer, '\xff', sizeof(report.referer) - 1);
    memset(report.user_agent, '\xff', sizeof(report.user_agent) - 1);
    for (const char *at = write_line(&report); *at != '\0'; at++) {
        quotes += *at == '"';
        assert_true(*at >= ' ' && *at <= '~');
    }
    assert_int_equal(quotes, 6);

    report = (struct report){.outcome = OUTCOME_COMPLETE};
    memset(report.client, '\xff', sizeof(report.client) - 1);
    memset(report.listener, '\xff', sizeof(report.listener) - 1);
    memset(report.target, '\xff', sizeof(report.target) - 1);
    assert_true(strlen(write_line(&report)) > 4 * (sizeof(report.listener) + sizeof(report.target) - 2));
}

static int use_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC0", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_response),       cmocka_unit_test(test_a_connection),
        cmocka_unit_test(test_clients),          cmocka_unit_test(test_time_zones),
        cmocka_unit_test(test_statuses),         cmocka_unit_test(test_nothing_can_be_forged),
        cmocka_unit_test(test_the_longest_line),
    };
    return cmocka_run_group_tests(tests, use_utc, NULL);
}
