/* relay/tls_facts: the one name by which a certificate's owner is told. */
#include "relay/tls_facts.h"

#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_peer_name(void **state)
{
    (void)state;
    static const struct {
        const char *common_name; /* NULL: none */
        int length;
        const char *names; /* of the SAN */
        size_t size;
        const char *told;
    } cases[] = {
        {"Ann", 3, NULL, 64, "Ann"},
        {"Ann", 3, "DNS:ann.example", 64, "Ann"},
        {NULL, 0, "DNS:ann.example,DNS:b.example", 64, "ann.example"},
        {NULL, 0, "email:ann@example.org", 64, "ann@example.org"},
        {NULL, 0, "URI:spiffe://example.org/ann", 64, "spiffe://example.org/ann"},
        {NULL, 0, "IP:192.0.2.7", 64, "192.0.2.7"},
        {NULL, 0, "IP:2001:db8::1", 64, "2001:db8::1"},
        {NULL, 0, "RID:1.2.3,DNS:later.example", 64, "later.example"},
        {NULL, 0, NULL, 64, ""},
        {"a\nb\x01\x7f"
         "c",
         6, NULL, 64, "a?b??c"},
        {"a\0b", 3, NULL, 64, "a?b"},
        {"J\xc3\xbcrgen", 7, NULL, 64, "J??rgen"},
        {"abcdefgh", 8, NULL, 5, "abcd"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        X509 *cert = X509_new();
        X509_NAME *subject = X509_get_subject_name(cert);
        char name[64];
        assert_int_equal(
            X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"o", -1, -1, 0), 1);
        if (cases[i].common_name != NULL)
            assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", V_ASN1_UTF8STRING,
                                                        (const unsigned char *)cases[i].common_name,
                                                        cases[i].length, -1, 0),
                             1);
        if (cases[i].names != NULL) {
            X509_EXTENSION *names = X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name, cases[i].names);
            assert_non_null(names);
            X509_add_ext(cert, names, -1);
            X509_EXTENSION_free(names);
        }
        tls_facts_peer_name(cert, name, cases[i].size);
        assert_string_equal(name, cases[i].told);
        X509_free(cert);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
