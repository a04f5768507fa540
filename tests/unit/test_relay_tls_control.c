/* What each record that isn't data means, for each version and role, whole and in pieces; and the storm
 * count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/storm.h"
#include "relay/tls_control.h"

enum who { CLIENT_12, CLIENT_13, SERVER_12, SERVER_13 }; /* the peer */

static struct tls_control_reader reader_of(enum who who)
{
    return (struct tls_control_reader){.tls13 = who == CLIENT_13 || who == SERVER_13,
                                       .from_server = who == SERVER_12 || who == SERVER_13};
}

static void alerts(void **state)
{
    (void)state;
    static const struct {
        uint8_t level, description;
        enum tls_control in_12, in_13;
    } table[] = {
        {1, 0, TLS_CONTROL_CLOSE, TLS_CONTROL_CLOSE},    /* close_notify */
        {2, 0, TLS_CONTROL_FATAL, TLS_CONTROL_CLOSE},    /* 1.3 ignores the level */
        {1, 90, TLS_CONTROL_IGNORE, TLS_CONTROL_IGNORE}, /* user_canceled */
        {2, 90, TLS_CONTROL_FATAL, TLS_CONTROL_IGNORE},  /* 1.3 ignores the level */
        {1, 112, TLS_CONTROL_IGNORE, TLS_CONTROL_FATAL}, /* unrecognized_name: 1.3 knows no other warning */
        {1, 100, TLS_CONTROL_FATAL, TLS_CONTROL_FATAL},  /* no_renegotiation: to what? */
        {2, 20, TLS_CONTROL_FATAL, TLS_CONTROL_FATAL},   /* bad_record_mac */
        {2, 80, TLS_CONTROL_FATAL, TLS_CONTROL_FATAL},   /* internal_error */
        {2, 255, TLS_CONTROL_FATAL, TLS_CONTROL_FATAL},  /* none */
        {0, 0, TLS_CONTROL_FATAL, TLS_CONTROL_CLOSE},
    };
    for (size_t i = 0; i < 4 * sizeof(table) / sizeof(*table); i++) {
        struct tls_control_reader reader = reader_of((enum who)(i % 4));
        const uint8_t alert[2] = {table[i / 4].level, table[i / 4].description};
        const char *why = NULL;
        enum tls_control got = tls_control_read(&reader, TLS_RECORD_ALERT, alert, sizeof(alert), &why);
        if (got != (reader.tls13 ? table[i / 4].in_13 : table[i / 4].in_12))
            fail_msg("alert %u %u: %d", alert[0], alert[1], got);
        assert_true((got == TLS_CONTROL_FATAL) == (why != NULL));
    }
    static const uint8_t three[3] = {1, 0, 0};
    for (size_t size = 0; size < 4; size++) {
        struct tls_control_reader reader = reader_of(CLIENT_13);
        const char *why = NULL;
        assert_int_equal(tls_control_read(&reader, TLS_RECORD_ALERT, three, size, &why),
                         size == 2 ? TLS_CONTROL_CLOSE : TLS_CONTROL_FATAL);
    }
}

#define TICKET 4, 0, 0, 3, 'a', 'b', 'c'

/* Each once whole and once a byte at a time. */
static void handshake_messages(void **state)
{
    (void)state;
    static const struct {
        enum who who;
        enum tls_control want;
        size_t size;
        uint8_t data[20];
    } table[] = {
        {CLIENT_13, TLS_CONTROL_KEY_UPDATE, 5, {24, 0, 0, 1, 0}},
        {CLIENT_13, TLS_CONTROL_KEY_UPDATE, 5, {24, 0, 0, 1, 1}},
        {CLIENT_13, TLS_CONTROL_KEY_UPDATE, 1, {24}},
        {SERVER_13, TLS_CONTROL_KEY_UPDATE, 5, {24, 0, 0, 1, 0}},
        {CLIENT_12, TLS_CONTROL_FATAL, 5, {24, 0, 0, 1, 0}},
        {SERVER_12, TLS_CONTROL_FATAL, 5, {24, 0, 0, 1, 0}},
        {SERVER_13, TLS_CONTROL_IGNORE, 7, {TICKET}},
        {SERVER_13, TLS_CONTROL_IGNORE, 14, {TICKET, TICKET}},
        {SERVER_13, TLS_CONTROL_IGNORE, 3, {4, 0, 0}},
        {SERVER_13, TLS_CONTROL_IGNORE, 6, {TICKET}},
        {SERVER_13, TLS_CONTROL_KEY_UPDATE, 12, {TICKET, 24, 0, 0, 1, 0}}, /* behind a ticket */
        {SERVER_13, TLS_CONTROL_IGNORE, 4, {4, 0, 0, 0}},
        {SERVER_13, TLS_CONTROL_FATAL, 4, {2, 0, 0, 0}},
        {CLIENT_13, TLS_CONTROL_FATAL, 7, {TICKET}}, /* clients give no tickets */
        {CLIENT_13, TLS_CONTROL_FATAL, 4, {11, 0, 0, 0}},
        {CLIENT_12, TLS_CONTROL_RENEGOTIATE, 8, {1, 0, 0, 4, 3, 3, 0, 0}},
        {CLIENT_12, TLS_CONTROL_FATAL, 4, {0, 0, 0, 0}},
        {SERVER_12, TLS_CONTROL_RENEGOTIATE, 4, {0, 0, 0, 0}},
        {SERVER_12, TLS_CONTROL_FATAL, 4, {1, 0, 0, 0}},
        {CLIENT_13, TLS_CONTROL_FATAL, 0, {0}}, /* an empty handshake record */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct tls_control_reader reader = reader_of(table[i].who);
        const char *why = NULL;
        enum tls_control got =
            tls_control_read(&reader, TLS_RECORD_HANDSHAKE, table[i].data, table[i].size, &why);
        if (got != table[i].want)
            fail_msg("case %zu: %d", i, got);
        enum tls_control worst = TLS_CONTROL_IGNORE;
        reader = reader_of(table[i].who);
        for (size_t at = 0; at < table[i].size; at++) {
            got = tls_control_read(&reader, TLS_RECORD_HANDSHAKE, table[i].data + at, 1, &why);
            worst = got > worst ? got : worst;
            if (got == TLS_CONTROL_KEY_UPDATE || got == TLS_CONTROL_FATAL)
                break;
        }
        if (table[i].size != 0 && worst != table[i].want)
            fail_msg("case %zu in pieces: %d", i, worst);
    }
}

static void other_types(void **state)
{
    (void)state;
    static const uint8_t byte[1] = {1};
    for (unsigned type = 0; type < 256; type++) {
        struct tls_control_reader reader = reader_of(CLIENT_12);
        const char *why = NULL;
        if (type == TLS_RECORD_ALERT || type == TLS_RECORD_HANDSHAKE)
            continue;
        assert_int_equal(tls_control_read(&reader, (uint8_t)type, byte, 1, &why), TLS_CONTROL_FATAL);
        assert_non_null(why);
    }
}

static void storms(void **state)
{
    (void)state;
    struct storm storm = {.events = 0};
    uint64_t now = 12345;
    for (int i = 0; i < STORM_EVENTS; i++)
        assert_false(storm_count(&storm, now + (uint64_t)i % STORM_WINDOW_MS));
    assert_true(storm_count(&storm, now + STORM_WINDOW_MS - 1));
    for (int round = 0; round < 100; round++) { /* just under the rate, for ever */
        now += STORM_WINDOW_MS;
        for (int i = 0; i < STORM_EVENTS; i++)
            assert_false(storm_count(&storm, now));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alerts),
        cmocka_unit_test(handshake_messages),
        cmocka_unit_test(other_types),
        cmocka_unit_test(storms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
