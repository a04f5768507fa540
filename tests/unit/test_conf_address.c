/* conf/address: what is an address, by table; and conflicts, held to what the kernel says when both are
 * bound. */
#include "conf/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *text;
    int family;
    unsigned port;
    const char *host;
    bool dual_stack;
} good[] = {
    {"127.0.0.1:80", AF_INET, 80, "127.0.0.1", false},
    {"0.0.0.0:0", AF_INET, 0, "0.0.0.0", false},
    {"255.255.255.255:65535", AF_INET, 65535, "255.255.255.255", false},
    {"[::]:443", AF_INET6, 443, "::", false},
    {"[::1]:443", AF_INET6, 443, "::1", false},
    {"[2001:db8::1]:1", AF_INET6, 1, "2001:db8::1", false},
    {"[fe80::1%lo]:1", AF_INET6, 1, "fe80::1", false},
    {":443", AF_INET6, 443, "::", true},
    {":0", AF_INET6, 0, "::", true},
    {"unix:/run/x.sock", AF_UNIX, 0, "/run/x.sock", false},
    {"unix:x.sock", AF_UNIX, 0, "x.sock", false},
    {"unix:/" X50 X50 "xxxxxx", AF_UNIX, 0, "/" X50 X50 "xxxxxx", false}, /* 107 */
};

static const struct {
    const char *text;
    const char *problem; /* a part of it */
} bad[] = {
    {"", "lacks a port"},
    {"80", "lacks a port"},
    {"127.0.0.1", "lacks a port"},
    {"127.0.0.1:", "no valid port"},
    {"127.0.0.1:65536", "no valid port"},
    {"127.0.0.1:99999999999999999999", "no valid port"},
    {"127.0.0.1:-1", "no valid port"},
    {"127.0.0.1:+80", "no valid port"},
    {"127.0.0.1: 80", "no valid port"},
    {"127.0.0.1:80 ", "no valid port"},
    {"127.0.0.1:080", "no valid port"},
    {"127.0.0.1:http", "no valid port"},
    {":", "no valid port"},
    {":65536", "no valid port"},
    {"localhost:80", "names are not looked up"},
    {"127.1:80", "not a numeric address"},
    {"1.2.3.4.5:80", "not a numeric address"},
    {"256.0.0.1:80", "not a numeric address"},
    {" 127.0.0.1:80", "not a numeric address"},
    {"a-very-long-name-of-some-host-far-away.example.org:80", "not a numeric address"},
    {"::1:80", "in brackets"},
    {"::1", "in brackets"},
    {"[::1]", "lacks a port"},
    {"[::1", "in brackets"},
    {"[::1]80", "lacks a port"},
    {"[]:80", "IPv6 address in brackets"},
    {"[127.0.0.1]:80", "IPv6 address in brackets"},
    {"[::ffff:127.0.0.1]:80", "write it as IPv4"},
    {"[fe80::1%no-such-if]:80", "network interface"},
    {"[" X50 X50 "]:80", "IPv6 address in brackets"},
    {"unix:", "lacks a path"},
    {"unix:@name", "lacks a path"},
    {"unix:/" X50 X50 "xxxxxxx", "107 bytes"},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct conf_address address;
        const char *problem = NULL;
        assert_true(conf_address_parse(good[i].text, &address, &problem));
        assert_string_equal(address.text, good[i].text);
        assert_ptr_not_equal(address.text, good[i].text);
        assert_int_equal(address.addr.ss_family, good[i].family);
        assert_int_equal(address_port(&address), good[i].port);
        assert_int_equal(address.dual_stack, good[i].dual_stack);
        char host[INET6_ADDRSTRLEN];
        const void *remote = &address.addr;
        if (good[i].family == AF_UNIX) {
            assert_string_equal(((const struct sockaddr_un *)remote)->sun_path, good[i].host);
            assert_int_equal(address.length,
                             offsetof(struct sockaddr_un, sun_path) + strlen(good[i].host) + 1);
        } else if (good[i].family == AF_INET) {
            assert_int_equal(address.length, sizeof(struct sockaddr_in));
            inet_ntop(AF_INET, &((const struct sockaddr_in *)remote)->sin_addr, host, sizeof(host));
            assert_string_equal(host, good[i].host);
        } else {
            assert_int_equal(address.length, sizeof(struct sockaddr_in6));
            inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)remote)->sin6_addr, host, sizeof(host));
            assert_string_equal(host, good[i].host);
        }
        conf_address_clear(&address);
        assert_null(address.text);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct conf_address address = {.length = 42};
        const char *problem = NULL;
        assert_false(conf_address_parse(bad[i].text, &address, &problem));
        assert_non_null(problem);
        if (strstr(problem, bad[i].problem) == NULL) {
            fail_msg("%s: got \"%s\"", bad[i].text, problem);
        }
        assert_int_equal(address.length, 42);
    }
}

static struct conf_address parsed(const char *text)
{
    struct conf_address address;
    const char *problem = NULL;
    assert_true(conf_address_parse(text, &address, &problem));
    return address;
}

static void test_equal(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ":80",          "[::]:80", "[::1]:80", "0.0.0.0:80",      ":81",          "[::]:81",    "0.0.0.0:81",
        "127.0.0.1:80", "unix:/a", "unix:/b",  "[fe80::1%lo]:80", "[fe80::1]:80", "127.0.0.1:0"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        for (size_t j = 0; j < COUNT(texts); j++) {
            struct conf_address a = parsed(texts[i]), b = parsed(texts[j]);
            assert_int_equal(conf_address_equal(&a, &b), i == j);
            conf_address_clear(&a);
            conf_address_clear(&b);
        }
    }
    struct conf_address a = parsed("[::0:1]:80"), b = parsed("[::1]:80");
    assert_true(conf_address_equal(&a, &b)); /* by value, not by text */
    conf_address_clear(&a);
    conf_address_clear(&b);
}

/* -1 with errno as bind or listen gave it. */
static int listen_on(const struct conf_address *address, unsigned port)
{
    struct sockaddr_storage local = address->addr;
    if (local.ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)&local)->sin_port = htons((in_port_t)port);
    } else {
        ((struct sockaddr_in6 *)(void *)&local)->sin6_port = htons((in_port_t)port);
    }
    int fd = socket(local.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(fd, -1);
    int on = 1, only6 = !address->dual_stack;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    if (local.ss_family == AF_INET6) {
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof(only6)), 0);
    }
    if (bind(fd, (struct sockaddr *)&local, address->length) == -1 || listen(fd, 1) == -1) {
        int cause = errno;
        close(fd);
        errno = cause;
        return -1;
    }
    return fd;
}

/* A host may have been built or started without IPv6: then what is left to compare is IPv4. */
static bool has_inet6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return false;
    }
    struct sockaddr_in6 local = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool bound = bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0;
    close(fd);
    return bound;
}

/* A port that was free a moment ago, in both families where there are two. */
static unsigned free_port(void)
{
    struct conf_address any = parsed(has_inet6() ? ":0" : "0.0.0.0:0");
    int fd = listen_on(&any, 0);
    assert_int_not_equal(fd, -1);
    struct conf_address bound = {.length = sizeof(bound.addr)};
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound.addr, &bound.length), 0);
    close(fd);
    conf_address_clear(&any);
    return address_port(&bound);
}

static void test_conflicts_as_the_kernel(void **state)
{
    (void)state;
    /* IPv4 last. */
    static const char *const texts[] = {":80",        "[::]:80",      "[::1]:80",
                                        "0.0.0.0:80", "127.0.0.1:80", "127.0.0.2:80"};
    size_t begin = has_inet6() ? 0 : 3;
    int refused = 0, allowed = 0;
    for (size_t i = begin; i < COUNT(texts); i++) {
        for (size_t j = begin; j < COUNT(texts); j++) {
            struct conf_address a = parsed(texts[i]), b = parsed(texts[j]);
            int first = -1, second = -1;
            /* Another process may take the port between: then another port. */
            for (int attempt = 0; first == -1 && attempt < 100; attempt++) {
                unsigned port = free_port();
                first = listen_on(&a, port);
                second = first != -1 ? listen_on(&b, port) : -1;
            }
            assert_int_not_equal(first, -1);
            assert_true(second != -1 || errno == EADDRINUSE);
            if (address_conflict(&a, &b) != (second == -1)) {
                fail_msg("%s then %s: the kernel says %s", texts[i], texts[j],
                         second == -1 ? "in use" : "free");
            }
            refused += second == -1;
            allowed += second != -1;
            close(first);
            if (second != -1) {
                close(second);
            }
            conf_address_clear(&a);
            conf_address_clear(&b);
        }
    }
    assert_true(refused > 0 && allowed > 0);
}

static void test_conflicts_elsewhere(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool conflict;
    } cases[] = {
        {":80", ":81", false},        {":0", ":0", false},           {"127.0.0.1:0", "127.0.0.1:0", false},
        {"unix:/a", "unix:/a", true}, {"unix:/a", "unix:/b", false}, {"unix:/a", ":80", false},
        {":80", "unix:/a", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf_address a = parsed(cases[i].a), b = parsed(cases[i].b);
        assert_int_equal(address_conflict(&a, &b), cases[i].conflict);
        conf_address_clear(&a);
        conf_address_clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_conflicts_as_the_kernel),
        cmocka_unit_test(test_conflicts_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
