/* conf: what is wrong with the keys of TLS together, with its exact line, key and remedy. */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CERTS "certs = ( { cert = \"c\"; key = \"k\"; } ); "
#define TLS(keys) FIXTURE_BASE "tls = { main = { " CERTS "\n" keys " }; };"

#define ALL_SUITES                                                                               \
    "\"TLS_AES_128_GCM_SHA256\", \"TLS_AES_256_GCM_SHA384\", \"TLS_CHACHA20_POLY1305_SHA256\", " \
    "\"ECDHE-ECDSA-AES128-GCM-SHA256\", \"ECDHE-RSA-AES128-GCM-SHA256\", "                       \
    "\"ECDHE-ECDSA-AES256-GCM-SHA384\", "                                                        \
    "\"ECDHE-RSA-AES256-GCM-SHA384\", \"ECDHE-ECDSA-CHACHA20-POLY1305\", \"ECDHE-RSA-CHACHA20-POLY1305\""

static const struct fixture_case policy[] = {
    {TLS("min_version = \"1.1\";"),
     "test.conf:3: tls.main.min_version: \"1.1\" is not one of \"1.2\", \"1.3\": did "
     "you mean \"1.2\"?\n"},
    {TLS("min_version = \"1.3\"; max_version = \"1.2\";"),
     "test.conf:3: tls.main.max_version: min_version \"1.3\" is above max_version \"1.2\", so no version is "
     "left: "
     "raise the one or lower the other\n"},
    {TLS("suites = [ \"TLS_AES_128_GCM_SHA265\" ];"),
     "test.conf:3: tls.main.suites[0]: \"TLS_AES_128_GCM_SHA265\" is unknown: expected a list of any "
     "of " ALL_SUITES ": did you mean \"TLS_AES_128_GCM_SHA256\"?\n"},
    {TLS("min_version = \"1.3\";\nsuites = [ \"TLS_AES_128_GCM_SHA256\", \"ECDHE-RSA-AES128-GCM-SHA256\" ];"),
     "test.conf:4: tls.main.suites[1]: \"ECDHE-RSA-AES128-GCM-SHA256\" is of TLS 1.2, which min_version = "
     "\"1.3\" "
     "excludes: delete one of the two\n"},
    {TLS("max_version = \"1.2\";\nsuites = [ \"TLS_AES_128_GCM_SHA256\", \"ECDHE-RSA-AES128-GCM-SHA256\" ];"),
     "test.conf:4: tls.main.suites[0]: \"TLS_AES_128_GCM_SHA256\" is of TLS 1.3, which max_version = \"1.2\" "
     "excludes: delete one of the two\n"},
    {TLS("min_version = \"1.2\";\nsuites = [ \"TLS_AES_128_GCM_SHA256\" ];"),
     "test.conf:3: tls.main.min_version: \"1.2\" has no suite in `suites`: add one of TLS 1.2 there, or "
     "raise "
     "this\n"},
    {TLS("max_version = \"1.3\";\nsuites = [ \"ECDHE-RSA-AES128-GCM-SHA256\" ];"),
     "test.conf:3: tls.main.max_version: \"1.3\" has no suite in `suites`: add one of TLS 1.3 there, or "
     "lower "
     "this\n"},
    {TLS("groups = [ \"P-265\" ];"), "test.conf:3: tls.main.groups[0]: \"P-265\" is unknown: expected a list "
                                     "of any of \"X25519\", \"P-256\", "
                                     "\"P-384\", \"P-521\", \"X448\": did you mean \"P-256\"?\n"},
    {TLS("groups = [ \"P-256\",\n\"X448\", \"P-256\" ]; alpn = [ \"h2\", \"h2\" ];"),
     "test.conf:3: tls.main.groups[2]: \"P-256\" stands there twice: delete one\n"
     "test.conf:4: tls.main.alpn[1]: \"h2\" stands there twice: delete one\n"},
    {"tls = { main = { " CERTS "alpn = [ \"h2\" ]; }; }; files = { f = { root = \"/\"; }; };\n"
     "listeners = { l = { address = \":0\"; files = \"f\";\ntls = \"main\"; }; };",
     "test.conf:3: listeners.l.tls: files are served over \"http/1.1\", which tls.main.alpn leaves out: add "
     "it "
     "there, or name another block under `tls`\n"},
};

static const struct fixture_case client[] = {
    {TLS("client = { ca = \"c\"; };"),
     "test.conf:3: tls.main.client.verify: missing: add verify = \"required\";\n"},
    {TLS("client = { verify = \"require\"; ca = \"c\"; };"),
     "test.conf:3: tls.main.client.verify: \"require\" is not one of \"none\", \"optional\", \"required\": "
     "did you "
     "mean \"required\"?\n"},
    {TLS("client = {\nverify = \"optional\"; };"),
     "test.conf:4: tls.main.client.ca: missing: name the file with the certificates of the clients' CAs\n"},
    {TLS("client = { verify = \"none\"; ca = \"c\"; };"),
     "test.conf:3: tls.main.client.verify: \"none\" leaves `ca` without use: delete that, or choose "
     "\"optional\" or "
     "\"required\"\n"},
    {TLS("client = { verify = \"none\"; crl = \"c\"; };"),
     "test.conf:3: tls.main.client.verify: \"none\" leaves `crl` without use: delete that, or choose "
     "\"optional\" or "
     "\"required\"\n"},
};

static void test_client(void **state)
{
    (void)state;
    fixture_check(client, COUNT(client), NULL);
}

#define SERVER_TLS(server, keys, listener)                                            \
    "backends = { app = { servers = ( \"" server "\" );\ntls = { " keys " }; }; };\n" \
    "listeners = { l = { address = \":0\"; proxy = \"app\"; " listener " }; };"
#define ONE "127.0.0.1:1"

static const struct fixture_case to_servers[] = {
    {SERVER_TLS(ONE, "cert = \"c\";", ""),
     "test.conf:2: backends.app.tls.key: missing: `cert` needs its private key\n"},
    {SERVER_TLS(ONE, "key = \"c\";", ""),
     "test.conf:2: backends.app.tls.cert: missing: `key` needs its certificate\n"},
    {SERVER_TLS(ONE, "verify = false; ca = \"c\";", ""),
     "test.conf:2: backends.app.tls.verify: false leaves `ca` without use: delete one of the two\n"},
    {SERVER_TLS(ONE, "verify = false; crl = \"c\";", ""),
     "test.conf:2: backends.app.tls.verify: false leaves `crl` without use: delete one of the two\n"},
    {SERVER_TLS(ONE, "crl = \"c\";", ""), "test.conf:2: backends.app.tls.crl: a CRL is needed of each CA, "
                                          "and the system's are many: name those of the "
                                          "servers in `ca`\n"},
    {SERVER_TLS("unix:/run/x.sock", "", ""),
     "test.conf:1: backends.app.tls.server_name: missing: \"unix:/run/x.sock\" has no name that a "
     "certificate could be "
     "for; add server_name = \"NAME\"; or, against all caution, verify = false;\n"},
    {SERVER_TLS(ONE, "min_version = \"1.3\"; max_version = \"1.2\";", ""),
     "test.conf:2: backends.app.tls.max_version: min_version \"1.3\" is above max_version \"1.2\", so no "
     "version is left: raise the one or lower the other\n"},
    {SERVER_TLS(ONE, "ktls = \"off\";", "relay = \"splice\";"),
     "test.conf:3: listeners.l.relay: \"splice\" can't be had with TLS in user space: choose \"auto\" or "
     "\"copy\", or "
     "set backends.app.tls.ktls to \"auto\" or \"require\"\n"},
    {SERVER_TLS(ONE, "ktls = \"off\";", "require_zero_copy = true;"),
     "test.conf:3: listeners.l.require_zero_copy: TLS in user space copies every byte: set "
     "backends.app.tls.ktls to "
     "\"auto\" or \"require\", or delete this\n"},
    {"backends = { app = { servers = ( \"" ONE "\" ); tls = { ktls = \"off\"; }; }; };\n"
     "listeners = { l = { address = \":0\"; relay = \"splice\"; routes = (\n"
     "{ source = [ \"::1\" ]; proxy = \"app\"; }, { proxy = \"app\"; } ); }; };",
     "test.conf:2: listeners.l.relay: \"splice\" can't be had with TLS in user space: choose \"auto\" or "
     "\"copy\", or "
     "set backends.app.tls.ktls to \"auto\" or \"require\"\n"},
};

static void test_to_servers(void **state)
{
    (void)state;
    fixture_check(to_servers, COUNT(to_servers), NULL);
    struct conf *conf = fixture_good(SERVER_TLS(ONE, "", ""), NULL);
    assert_true(conf->backends[0].has_tls && conf->backends[0].tls.verify);
    assert_int_equal(conf->backends[0].tls.ktls, CONF_KTLS_AUTO);
    conf_free(conf);
    conf = fixture_good(SERVER_TLS("unix:/run/x.sock", "verify = false;", "relay = \"splice\";"), NULL);
    conf_free(conf);
}

static void test_policy(void **state)
{
    (void)state;
    fixture_check(policy, COUNT(policy), NULL);
}

static void test_what_is_spoken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool tls12, tls13;
    } cases[] = {
        {TLS(""), true, true},
        {TLS("min_version = \"1.3\";"), false, true},
        {TLS("max_version = \"1.2\";"), true, false},
        {TLS("suites = [ \"TLS_AES_128_GCM_SHA256\" ];"), false, true},
        {TLS("suites = [ \"ECDHE-RSA-AES128-GCM-SHA256\" ];"), true, false},
        {TLS("suites = [ \"ECDHE-RSA-AES128-GCM-SHA256\", \"TLS_AES_128_GCM_SHA256\" ];"), true, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf *conf = fixture_good(cases[i].text, NULL);
        assert_int_equal(conf_tls_speaks(&conf->tls[0].policy, CONF_TLS_1_2), cases[i].tls12);
        assert_int_equal(conf_tls_speaks(&conf->tls[0].policy, CONF_TLS_1_3), cases[i].tls13);
        conf_free(conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_to_servers),
        cmocka_unit_test(test_what_is_spoken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
