/* What sluice-load takes for a target, and that it stays on loopback unless told otherwise. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sluice_load/target.h"

static unsigned port_of(const struct target *target)
{
    if (target->address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&target->address)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&target->address)->sin_port);
}

static void urls_that_are_good(void **state)
{
    static const struct {
        const char *url, *host, *authority, *path;
        unsigned port;
        bool tls;
    } cases[] = {
        {"http://127.0.0.1:8080/a/b?c=d", "127.0.0.1", "127.0.0.1:8080", "/a/b?c=d", 8080, false},
        {"http://127.0.0.1", "127.0.0.1", "127.0.0.1", "/", 80, false},
        {"https://127.1.2.3/x", "127.1.2.3", "127.1.2.3", "/x", 443, true},
        {"https://[::1]:8443/", "::1", "[::1]:8443", "/", 8443, true},
        {"http://127.0.0.1:1?q", "127.0.0.1", "127.0.0.1:1", "/?q", 1, false},
        {"http://localhost:9/", "localhost", "localhost:9", "/", 9, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target target;

        assert_int_equal(target_parse_url(cases[i].url, false, &target), TARGET_GOOD);
        assert_string_equal(target.host, cases[i].host);
        assert_string_equal(target.authority, cases[i].authority);
        assert_string_equal(target.path, cases[i].path);
        assert_int_equal(port_of(&target), cases[i].port);
        assert_int_equal(target.tls, cases[i].tls);
        assert_true(target.http);
    }
}

static void urls_that_are_not(void **state)
{
    static const char *const cases[] = {"",
                                        "127.0.0.1:80",
                                        "ftp://127.0.0.1/",
                                        "http://",
                                        "http://:80/",
                                        "http://[::1/",
                                        "http://127.0.0.1:/",
                                        "http://127.0.0.1:0/",
                                        "http://127.0.0.1:65536/",
                                        "http://127.0.0.1:123456/",
                                        "http://127.0.0.1:80x/",
                                        "http://127.0.0.1/a b",
                                        "http://127.0.0.1/a\r\nX: y",
                                        "http://127.0.0.1/#fragment"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target target;

        assert_int_equal(target_parse_url(cases[i], true, &target), TARGET_SYNTAX);
    }
}

static void others_need_permission(void **state)
{
    static const char *const cases[] = {"http://192.0.2.1/", "http://0.0.0.0/", "http://[2001:db8::1]/",
                                        "http://126.255.255.255/", "http://128.0.0.0/"};
    struct target target;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(target_parse_url(cases[i], false, &target), TARGET_REMOTE);
        assert_int_equal(target_parse_url(cases[i], true, &target), TARGET_GOOD);
    }
    assert_int_equal(target_parse_address("192.0.2.1:80", false, &target), TARGET_REMOTE);
    assert_int_equal(target_parse_address("tls://192.0.2.1:80", false, &target), TARGET_REMOTE);
}

static void loopback_as_the_kernel_sees_it(void **state)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};

    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr), 1);
    assert_true(target_address_is_loopback((const struct sockaddr *)&mapped));
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr), 1);
    assert_false(target_address_is_loopback((const struct sockaddr *)&mapped));
    assert_int_equal(inet_pton(AF_INET6, "::2", &mapped.sin6_addr), 1);
    assert_false(target_address_is_loopback((const struct sockaddr *)&mapped));
}

static void addresses(void **state)
{
    struct target target;

    (void)state;
    assert_int_equal(target_parse_address("127.0.0.1:8000", false, &target), TARGET_GOOD);
    assert_false(target.tls || target.http);
    assert_int_equal(port_of(&target), 8000);
    assert_int_equal(target_parse_address(":8000", false, &target), TARGET_GOOD);
    assert_string_equal(target.host, "127.0.0.1");
    assert_int_equal(target_parse_address("tls://[::1]:8443", false, &target), TARGET_GOOD);
    assert_true(target.tls);
    assert_int_equal(target_parse_address("unix:/run/x.sock", false, &target), TARGET_GOOD);
    assert_int_equal(target.address.ss_family, AF_UNIX);
    assert_int_equal(target_parse_address("unix:x.sock", false, &target), TARGET_SYNTAX);
    assert_int_equal(target_parse_address("127.0.0.1", false, &target), TARGET_SYNTAX);
    assert_int_equal(target_parse_address("127.0.0.1:80/", false, &target), TARGET_SYNTAX);
}

static void peers_are_told_apart(void **state)
{
    struct target a, b;

    (void)state;
    assert_int_equal(target_parse_url("http://127.0.0.1:80/a", false, &a), TARGET_GOOD);
    assert_int_equal(target_parse_url("http://127.0.0.1:80/b", false, &b), TARGET_GOOD);
    assert_true(target_same_peer(&a, &b));
    assert_int_equal(target_parse_url("http://127.0.0.1:81/a", false, &b), TARGET_GOOD);
    assert_false(target_same_peer(&a, &b));
    assert_int_equal(target_parse_url("https://127.0.0.1:80/a", false, &b), TARGET_GOOD);
    assert_false(target_same_peer(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_are_good),
        cmocka_unit_test(urls_that_are_not),
        cmocka_unit_test(others_need_permission),
        cmocka_unit_test(loopback_as_the_kernel_sees_it),
        cmocka_unit_test(addresses),
        cmocka_unit_test(peers_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
