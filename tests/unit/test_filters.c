/* The filters on streams cut in every way: what they let through, when they have seen enough, what they
 * reject; and chains of them. Refuses to know sockets (system tests: test_filters.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/bytes.h"
#include "proxy/filters/deny.h"
#include "proxy/filters/preview.h"
#include "proxy/filters/substitute.h"
#include "relay/filter.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* Feeds text in pieces of `step` bytes, the last with the end; collects what comes out. The status of the
 * last call. */
static enum filter_status run(struct filter_chain *chain, const char *text, size_t step, char *out)
{
    const size_t length = strlen(text);
    size_t written = 0;
    for (size_t at = 0; at < length || at == 0; at += step) {
        const size_t n = length - at < step ? length - at : step;
        const uint8_t *data;
        size_t size;
        enum filter_status status =
            filter_chain_feed(chain, (const uint8_t *)text + at, n, at + n == length, &data, &size);
        if (status != FILTER_MORE)
            return status;
        if (size != 0)
            memcpy(out + written, data, size);
        written += size;
        out[written] = '\0';
        if (length == 0)
            break;
    }
    return FILTER_MORE;
}

/* --- substitute --- */

static struct substitute_rule *rule_of(const char *find, const char *replace)
{
    struct substitute_rule *rule = substitute_rule_new((uint8_t *)strdup(find), strlen(find),
                                                       replace != NULL ? (uint8_t *)strdup(replace) : NULL,
                                                       replace != NULL ? strlen(replace) : 0);
    assert_non_null(rule);
    return rule;
}

static void substitute_replaces_wherever_the_stream_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *find, *replace, *text, *expected;
    } cases[] = {
        {"cat", "dog", "a cat, two cats", "a dog, two dogs"},
        {"cat", NULL, "a cat, two cats", "a , two s"},
        {"cat", "dog", "cacat", "cadog"},   /* a beginning within the match */
        {"aab", "X", "aaaab", "aaX"},       /* falls back by one */
        {"abab", "X", "abababab", "XX"},    /* no overlap */
        {"aaa", "b", "aaaaaaa", "bba"},     /* the tail is no match */
        {"a", "aa", "banana", "baanaanaa"}, /* what was put in isn't looked at again */
        {"http://", "https://", "<http://x> http:/", "<https://x> http:/"},
        {"abcabd", "-", "abcabcabd", "abc-"}, /* falls back by three */
        {"x", "y", "", ""},
        {"longer than the text", "y", "longer", "longer"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (size_t step = 1; step <= strlen(cases[i].text) + 1; step++) {
            struct substitute_rule *rule = rule_of(cases[i].find, cases[i].replace);
            struct filter *filter = substitute_filter_new(rule);
            struct filter_chain chain;
            char out[128] = "";
            filter_chain_init(&chain, &filter, 1, substitute_rule_growth(rule));
            assert_true(chain.transforms && !chain.inspects);
            assert_int_equal(run(&chain, cases[i].text, step, out), FILTER_MORE);
            assert_string_equal(out, cases[i].expected);
            filter_chain_clear(&chain);
            substitute_rule_free(rule);
        }
}

static void substitute_tells_how_much_it_grows(void **state)
{
    (void)state;
    static const struct {
        const char *find, *replace;
        size_t growth;
    } cases[] = {{"ab", NULL, 1}, {"ab", "x", 1}, {"ab", "abc", 2}, {"a", "1234567", 8}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct substitute_rule *rule = rule_of(cases[i].find, cases[i].replace);
        assert_int_equal(substitute_rule_growth(rule), cases[i].growth);
        substitute_rule_free(rule);
    }
}

static void on_overdue(void *arg)
{
    ++*(int *)arg;
}

/* A peer that waits for an answer to the beginning of a match gets it after the hold. */
static void what_is_held_back_goes_on_after_the_hold(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct substitute_rule *rule = rule_of("password", "********");
    struct filter *filter = substitute_filter_new(rule);
    struct filter_chain chain;
    const uint8_t *data;
    size_t size;
    int overdue = 0;

    filter_chain_init(&chain, &filter, 1, 1);
    assert_int_equal(filter_chain_feed(&chain, (const uint8_t *)"my pass", 7, false, &data, &size),
                     FILTER_MORE);
    assert_int_equal(size, 3);
    filter_chain_wait(&chain, base, on_overdue, &overdue);
    event_base_dispatch(base); /* ends when the timer has fired */
    assert_int_equal(overdue, 1);
    assert_true(chain.overdue);
    assert_int_equal(filter_chain_flush(&chain, &data, &size), FILTER_MORE);
    assert_int_equal(size, 4);
    assert_memory_equal(data, "pass", 4);
    assert_false(chain.overdue);
    /* Nothing is held any more: no timer, and the rest isn't taken for the end of a match. */
    filter_chain_wait(&chain, base, on_overdue, &overdue);
    event_base_dispatch(base);
    assert_int_equal(overdue, 1);
    assert_int_equal(filter_chain_feed(&chain, (const uint8_t *)"word", 4, true, &data, &size), FILTER_MORE);
    assert_int_equal(size, 4);
    filter_chain_clear(&chain);
    substitute_rule_free(rule);
    event_base_free(base);
}

/* --- deny --- */

static struct patterns *patterns_of(const char *const *texts, size_t count)
{
    struct pattern list[8];
    for (size_t i = 0; i < count; i++)
        list[i] = (struct pattern){(const uint8_t *)texts[i], strlen(texts[i])};
    struct patterns *patterns = patterns_new(list, count);
    assert_non_null(patterns);
    return patterns;
}

static void deny_finds_patterns_wherever_the_stream_is_cut(void **state)
{
    (void)state;
    static const char *const texts[] = {"/etc/passwd", "passport", "../", "abcabd"};
    static const struct {
        const char *text;
        uint64_t within;
        size_t matched; /* PATTERNS_NONE: passes */
    } cases[] = {
        {"GET /etc/passwd", 100, 0},
        {"GET /etc/passwd", 15, 0},
        {"GET /etc/passwd", 14, PATTERNS_NONE}, /* its last byte is beyond what is looked at */
        {"/etc/passport", 100, 1},              /* one pattern's end within another's beginning */
        {"..././", 100, 2},
        {"..-./", 100, PATTERNS_NONE},
        {"abcabcabd", 100, 3},
        {"", 100, PATTERNS_NONE},
        {"nothing of the kind", 100, PATTERNS_NONE},
    };
    struct patterns *patterns = patterns_of(texts, LENGTH(texts));
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (size_t step = 1; step <= strlen(cases[i].text) + 1; step++) {
            struct filter *filter = deny_filter_new(patterns, cases[i].within);
            struct filter_chain chain;
            char out[64] = "";
            filter_chain_init(&chain, &filter, 1, 1);
            assert_true(filter_chain_wants(&chain));
            enum filter_status status = run(&chain, cases[i].text, step, out);
            if (cases[i].matched == PATTERNS_NONE) {
                assert_int_equal(status, FILTER_MORE);
                assert_string_equal(out, cases[i].text);
                assert_null(chain.rejected_by);
                assert_false(filter_chain_wants(&chain)); /* ended, or seen enough */
            } else {
                assert_int_equal(status, FILTER_REJECT);
                assert_ptr_equal(chain.rejected_by, filter);
                assert_int_equal(deny_filter_matched(filter), cases[i].matched);
                assert_null(strstr(out, texts[cases[i].matched])); /* it never goes on whole */
            }
            filter_chain_clear(&chain);
        }
    patterns_free(patterns);
}

static void deny_refuses_too_many_patterns(void **state)
{
    (void)state;
    static uint8_t much[PATTERNS_BYTES_MAX + 1];
    assert_null(patterns_new(&(struct pattern){much, sizeof(much)}, 1));
    struct patterns *patterns = patterns_new(&(struct pattern){much, sizeof(much) - 1}, 1);
    unsigned at = 0;
    assert_non_null(patterns);
    assert_int_equal(patterns_search(patterns, &at, much, sizeof(much) - 2), PATTERNS_NONE);
    assert_int_equal(patterns_search(patterns, &at, much, 1), 0);
    patterns_free(patterns);
}

/* --- log, and chains --- */

static void preview_keeps_the_first_bytes(void **state)
{
    (void)state;
    for (size_t step = 1; step < 12; step++) {
        struct preview preview = {.size = 0};
        struct filter *filter = preview_filter_new(&preview, 5);
        struct filter_chain chain;
        char out[32] = "";
        filter_chain_init(&chain, &filter, 1, 1);
        assert_int_equal(run(&chain, "hello world", step, out), FILTER_MORE);
        assert_string_equal(out, "hello world");
        assert_int_equal(preview.size, 5);
        assert_memory_equal(preview.bytes, "hello", 5);
        assert_false(filter_chain_wants(&chain));
        filter_chain_clear(&chain);
    }
}

/* Two that share a place: `check` refuses it, and the smaller one keeps out of the larger one's bytes. */
static void a_full_preview_takes_no_more(void **state)
{
    (void)state;
    struct preview preview = {.size = 0};
    struct filter *filters[] = {preview_filter_new(&preview, 6), preview_filter_new(&preview, 4)};
    struct filter_chain chain;
    char out[32] = "";
    filter_chain_init(&chain, filters, LENGTH(filters), 1);
    assert_int_equal(run(&chain, "hello world", 11, out), FILTER_MORE);
    assert_int_equal(preview.size, 6);
    assert_memory_equal(preview.bytes, "hello \0", 7);
    assert_false(filter_chain_wants(&chain));
    filter_chain_clear(&chain);
}

/* The second rule sees what the first has made, the log what both have; and the log's being done leaves the
 * rules at work. */
static void a_chain_is_passed_in_its_order(void **state)
{
    (void)state;
    for (size_t step = 1; step < 16; step++) {
        struct substitute_rule *first = rule_of("ab", "xyz"), *second = rule_of("zx", "--"),
                               *third = rule_of("-", "+");
        struct preview preview = {.size = 0};
        struct filter *filters[] = {substitute_filter_new(first), substitute_filter_new(second),
                                    preview_filter_new(&preview, 4), substitute_filter_new(third)};
        struct filter_chain chain;
        char out[64] = "";
        filter_chain_init(&chain, filters, LENGTH(filters), 6);
        assert_true(chain.inspects && chain.transforms);
        assert_int_equal(run(&chain, "ababab!", step, out), FILTER_MORE);
        assert_string_equal(out, "xy++y++yz!");
        assert_memory_equal(preview.bytes, "xy--", 4);
        assert_true(!chain.inspects && chain.transforms);
        filter_chain_clear(&chain);
        substitute_rule_free(first);
        substitute_rule_free(second);
        substitute_rule_free(third);
    }
}

/* --- Byte strings as they are configured --- */

static void byte_strings_are_text_or_hex(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
        size_t size; /* 0: refused */
    } cases[] = {
        {"abc", "abc", 3}, {"hex:0d0A", "\r\n", 2}, {"hex:00", "\0", 1},
        {"hex:", "", 0},   {"hex:0", "", 0},        {"hex:0g", "", 0},
        {"", "", 0},       {"hexa", "hexa", 4},     {"hex:ff7F", "\xff\x7f", 2},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint8_t *bytes = NULL;
        size_t size = 0;
        const char *problem = NULL;
        const bool good = conf_bytes_parse(cases[i].text, &bytes, &size, &problem);
        assert_int_equal(good, cases[i].size != 0);
        if (good) {
            assert_int_equal(size, cases[i].size);
            assert_memory_equal(bytes, cases[i].bytes, size);
            free(bytes);
        } else {
            assert_non_null(problem);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(substitute_replaces_wherever_the_stream_is_cut),
        cmocka_unit_test(substitute_tells_how_much_it_grows),
        cmocka_unit_test(what_is_held_back_goes_on_after_the_hold),
        cmocka_unit_test(deny_finds_patterns_wherever_the_stream_is_cut),
        cmocka_unit_test(deny_refuses_too_many_patterns),
        cmocka_unit_test(preview_keeps_the_first_bytes),
        cmocka_unit_test(a_full_preview_takes_no_more),
        cmocka_unit_test(a_chain_is_passed_in_its_order),
        cmocka_unit_test(byte_strings_are_text_or_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
