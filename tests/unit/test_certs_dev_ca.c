/* certs/dev_ca: what it makes verifies for localhost and for nothing else, stays while it is good, and is
 * mended where it isn't; several processes may start at once. */
#include "certs/dev_ca.h"

#include <errno.h>
#include <sys/wait.h>

#include "certs/pair.h"
#include "certs_fixture.h"

static const char *const file_names[] = {"ca.pem", "ca.key", "localhost.pem", "localhost.key"};
enum { CA_CERT, CA_KEY, LEAF_CERT, LEAF_KEY };

static char *ca_path(const char *directory, int file)
{
    static char paths[8][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];
    assert_true(snprintf(path, PATH_MAX, "%s/%s", fixture_path(directory), file_names[file]) < PATH_MAX);
    return path;
}

static void ensure(const char *directory)
{
    char error[512] = "";
    int result = dev_ca_ensure(fixture_path(directory), error, sizeof(error));
    if (result != 0) {
        print_error("%s\n", error);
    }
    assert_int_equal(result, 0);
}

/* Whether two looks at the directory found the same file: renaming a new one in gives another inode. */
struct look {
    ino_t inode[4];
};

static struct look look_at(const char *directory)
{
    struct look look;
    for (int i = 0; i < 4; i++) {
        struct stat status;
        assert_int_equal(stat(ca_path(directory, i), &status), 0);
        assert_int_equal(status.st_mode & 0777, i == CA_KEY || i == LEAF_KEY ? 0600 : 0644);
        look.inode[i] = status.st_ino;
    }
    return look;
}

static struct cert_pair load(const char *directory, int cert, int key)
{
    struct cert_pair pair;
    struct cert_error error;
    struct cert_files files = {.cert = ca_path(directory, cert), .key = ca_path(directory, key)};
    assert_int_equal(cert_pair_load(&pair, &files, &error), 0);
    assert_string_equal(pair.warning, "");
    return pair;
}

/* X509_V_OK or why `leaf`, trusted to the CA, isn't good for host (or, without one, at all). */
static int verify(X509 *ca, X509 *leaf, const char *host, const char *ip)
{
    X509_STORE *trust = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(trust, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(context, trust, leaf, NULL), 1);
    assert_int_equal(X509_STORE_CTX_set_default(context, "ssl_server"), 1);
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    assert_true(host == NULL || X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1);
    assert_true(ip == NULL || X509_VERIFY_PARAM_set1_ip_asc(parameters, ip) == 1);
    int result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(trust);
    return result;
}

static void test_makes(void **state)
{
    (void)state;
    ensure("fresh");
    struct stat status;
    assert_int_equal(stat(fixture_path("fresh"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    struct look first = look_at("fresh");
    struct cert_pair ca = load("fresh", CA_CERT, CA_KEY), leaf = load("fresh", LEAF_CERT, LEAF_KEY);
    assert_int_equal(sk_X509_num(leaf.chain), 1);
    assert_int_equal(X509_cmp(sk_X509_value(leaf.chain, 0), ca.leaf), 0);
    assert_int_equal(verify(ca.leaf, leaf.leaf, "localhost", NULL), X509_V_OK);
    assert_int_equal(verify(ca.leaf, leaf.leaf, NULL, "127.0.0.1"), X509_V_OK);
    assert_int_equal(verify(ca.leaf, leaf.leaf, NULL, "::1"), X509_V_OK);
    assert_int_equal(verify(ca.leaf, leaf.leaf, "example.org", NULL), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verify(ca.leaf, leaf.leaf, NULL, "127.0.0.2"), X509_V_ERR_IP_ADDRESS_MISMATCH);
    time_t later = time(NULL) + 89 * DAY, too_late = time(NULL) + 91 * DAY;
    assert_true(X509_cmp_time(X509_get0_notAfter(leaf.leaf), &later) > 0);
    assert_true(X509_cmp_time(X509_get0_notAfter(leaf.leaf), &too_late) < 0);
    cert_pair_clear(&ca);
    cert_pair_clear(&leaf);

    ensure("fresh");
    struct look second = look_at("fresh");
    assert_memory_equal(&first, &second, sizeof(first));
}

/* The CA's key, should it leak, can't speak for the world. */
static void test_only_localhost(void **state)
{
    (void)state;
    ensure("constrained");
    struct cert_pair ca = load("constrained", CA_CERT, CA_KEY);
    make_cert(&(struct cert_recipe){.cert = "evil.pem",
                                    .key = "evil.key",
                                    .names = "DNS:example.org",
                                    .issuer = ca.leaf,
                                    .issuer_key = ca.key});
    X509 *evil = read_cert(fixture_path("evil.pem"));
    assert_int_equal(verify(ca.leaf, evil, NULL, NULL), X509_V_ERR_PERMITTED_VIOLATION);
    X509_free(evil);
    cert_pair_clear(&ca);
}

/* Damages one file after another; with the CA good, it stays. */
static void test_mends(void **state)
{
    (void)state;
    for (int damaged = 0; damaged < 8; damaged++) {
        ensure("mended");
        struct look before = look_at("mended");
        const char *path = ca_path("mended", damaged % 4);
        if (damaged < 4) {
            assert_int_equal(unlink(path), 0);
        } else {
            assert_int_equal(truncate(path, 100), 0);
        }
        ensure("mended");
        struct look after = look_at("mended");
        bool ca_damaged = damaged % 4 == CA_CERT || damaged % 4 == CA_KEY;
        assert_int_equal(before.inode[CA_CERT] != after.inode[CA_CERT], ca_damaged);
        struct cert_pair ca = load("mended", CA_CERT, CA_KEY), leaf = load("mended", LEAF_CERT, LEAF_KEY);
        assert_int_equal(verify(ca.leaf, leaf.leaf, "localhost", NULL), X509_V_OK);
        cert_pair_clear(&ca);
        cert_pair_clear(&leaf);
    }
}

static void test_nearly_over(void **state)
{
    (void)state;
    ensure("over");
    struct cert_pair ca = load("over", CA_CERT, CA_KEY);
    make_cert(&(struct cert_recipe){.cert = "over/localhost.pem",
                                    .key = "over/localhost.key",
                                    .names = "DNS:localhost",
                                    .ends = DAY - 60,
                                    .issuer = ca.leaf,
                                    .issuer_key = ca.key});
    struct look before = look_at("over");
    ensure("over");
    struct look after = look_at("over");
    assert_int_not_equal(before.inode[LEAF_CERT], after.inode[LEAF_CERT]);
    assert_int_equal(before.inode[CA_CERT], after.inode[CA_CERT]);
    cert_pair_clear(&ca);
}

static void test_foreign_leaf(void **state)
{
    (void)state;
    ensure("foreign");
    make_cert(&(struct cert_recipe){.cert = "foreign/localhost.pem",
                                    .key = "foreign/localhost.key",
                                    .names = "DNS:localhost",
                                    .ends = 9 * DAY});
    ensure("foreign");
    struct cert_pair ca = load("foreign", CA_CERT, CA_KEY), leaf = load("foreign", LEAF_CERT, LEAF_KEY);
    assert_int_equal(verify(ca.leaf, leaf.leaf, "localhost", NULL), X509_V_OK);
    cert_pair_clear(&ca);
    cert_pair_clear(&leaf);
}

/* Each process, as soon as its own call is back, must find four files that fit. */
static void test_race(void **state)
{
    (void)state;
    pid_t children[6];
    for (size_t i = 0; i < 6; i++) {
        children[i] = fork();
        assert_int_not_equal(children[i], -1);
        if (children[i] == 0) {
            char error[512];
            struct cert_pair ca, leaf;
            struct cert_error ignored;
            bool good = dev_ca_ensure(fixture_path("race"), error, sizeof(error)) == 0;
            struct cert_files ca_files = {ca_path("race", CA_CERT), ca_path("race", CA_KEY), NULL};
            struct cert_files leaf_files = {ca_path("race", LEAF_CERT), ca_path("race", LEAF_KEY), NULL};
            good = good && cert_pair_load(&ca, &ca_files, &ignored) == 0 &&
                   cert_pair_load(&leaf, &leaf_files, &ignored) == 0 &&
                   X509_verify(leaf.leaf, X509_get0_pubkey(ca.leaf)) == 1;
            _exit(good ? 0 : 1);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

static void test_errors_name_the_path(void **state)
{
    (void)state;
    char error[512] = "";
    write_text("file", "not a directory");
    assert_int_equal(dev_ca_ensure(fixture_path("no/such"), error, sizeof(error)), -1);
    assert_non_null(strstr(error, "/no/such: can't create the directory: No such file"));
    assert_int_equal(dev_ca_ensure(fixture_path("file"), error, sizeof(error)), -1);
    assert_non_null(strstr(error, "/file: can't open the directory: Not a directory"));
    assert_int_equal(mkdir(fixture_path("blocked"), 0700), 0);
    assert_int_equal(mkdir(ca_path("blocked", CA_CERT), 0700), 0);
    assert_int_equal(dev_ca_ensure(fixture_path("blocked"), error, sizeof(error)), -1);
    assert_non_null(strstr(error, "/blocked/ca.pem: can't write: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_makes),
        cmocka_unit_test(test_only_localhost),
        cmocka_unit_test(test_mends),
        cmocka_unit_test(test_nearly_over),
        cmocka_unit_test(test_foreign_leaf),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_errors_name_the_path),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
