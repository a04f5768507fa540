/* conf/cidr: what is a range and what isn't, and who is in it. */
#include "conf/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct cidr_case {
    const char *text;
    const char *inside, *outside; /* NULL: nobody */
};

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
    if (strcmp(text, "unix") != 0) {
        address.ss_family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
        void *host = address.ss_family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr;
        assert_int_equal(inet_pton(address.ss_family, text, host), 1);
    }
    return address;
}

static void test_who_is_in(void **state)
{
    (void)state;
    static const struct cidr_case cases[] = {
        {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
        {"10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"},
        {"10.0.0.0/8", "10.0.0.0", "unix"},
        {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
        {"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.128/25", "192.0.2.255", "192.0.2.127"},
        {"0.0.0.0/0", "255.255.255.255", "::1"},
        {"128.0.0.0/1", "128.0.0.0", "127.255.255.255"},
        {"::/0", "2001:db8::1", "127.0.0.1"},
        {"::/0", "::1", "::ffff:127.0.0.1"},
        {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
        {"::1", "::1", "::2"},
        {"fe80::/10", "febf::1", "fec0::1"},
        {"unix", "unix", "127.0.0.1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf_cidr cidr;
        const char *problem = NULL;
        print_message("%s\n", cases[i].text);
        assert_true(cidr_parse(cases[i].text, &cidr, &problem));
        const struct conf_cidrs cidrs = {&cidr, 1};
        struct sockaddr_storage inside = address_of(cases[i].inside), outside = address_of(cases[i].outside);
        assert_true(conf_cidrs_contain(&cidrs, &inside));
        assert_false(conf_cidrs_contain(&cidrs, &outside));
        assert_false(conf_cidrs_contain(&(struct conf_cidrs){0}, &inside));
    }
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "10",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.1/8",
        "10.0.0.0/8 ",
        "10.0.0.0/8/",
        "::1/127",
        "::/129",
        "[::1]",
        "localhost",
        "0x7f.0.0.0/8",
        "10.0.0.0/0",
        "unix:",
        "::ffff:10.0.0.0/104",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct conf_cidr cidr;
        const char *problem = NULL;
        print_message("%s\n", texts[i]);
        assert_false(cidr_parse(texts[i], &cidr, &problem));
        assert_non_null(problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_in),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
