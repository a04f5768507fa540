/* conf against relay, which don't know each other: the names and values of the key `relay` are relay's, and
 * what conf refuses as impossible is what relay calls so. */
#include "conf/schema.h"
#include "relay/plan.h"

#include "conf_fixture.h"

_Static_assert((int)CONF_RELAY_AUTO == (int)RELAY_AUTO, "auto");
_Static_assert((int)CONF_RELAY_SPLICE == (int)RELAY_FORCE_SPLICE, "splice");
_Static_assert((int)CONF_RELAY_SENDFILE == (int)RELAY_FORCE_SENDFILE, "sendfile");
_Static_assert((int)CONF_RELAY_MMAP == (int)RELAY_FORCE_MMAP, "mmap");
_Static_assert((int)CONF_RELAY_COPY == (int)RELAY_FORCE_COPY, "copy");

static void test_names(void **state)
{
    (void)state;
    const struct schema_key *key = schema_find(schema_find(&schema_root, "listeners")->section, "relay");
    for (unsigned i = 0; i < RELAY_FORCE_COUNT; i++) {
        assert_string_equal(key->choices[i], relay_force_name((enum relay_force)i));
    }
    assert_null(key->choices[RELAY_FORCE_COUNT]);
}

static void test_possible(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RELAY_FORCE_COUNT; i++) {
        for (int files = 0; files < 2; files++) {
            for (int tls = 0; tls < 2; tls++) {
                char text[1024];
                enum relay_force force = (enum relay_force)i;
                snprintf(text, sizeof(text),
                         "backends = { x = { servers = ( \"127.0.0.1:1\" ); }; }; files = { x = { root = "
                         "\"/\"; }; };"
                         "tls = { t = { certs = ( { cert = \"c\"; key = \"k\"; } ); ktls = \"off\"; }; };"
                         "listeners = { l = { address = \":0\"; relay = \"%s\"; %s = \"x\"; %s }; };",
                         relay_force_name(force), files ? "files" : "proxy", tls ? "tls = \"t\";" : "");
                struct conf_problems problems = {0};
                struct conf *conf = conf_load_text(text, NULL, NULL, &problems);
                bool possible = plan_force_possible(force, files ? PLAN_FILE : PLAN_SOCKET, PLAN_SOCKET,
                                                    tls ? RELAY_CRYPTO_USER : RELAY_CRYPTO_NONE);
                if ((conf != NULL) != possible) {
                    fail_msg("%s: relay says %s", text, possible ? "possible" : "impossible");
                }
                conf_free(conf);
                conf_problems_clear(&problems);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
