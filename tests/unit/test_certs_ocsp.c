/* OCSP stapling: a response is held to its certificate when it is loaded, and stapled while it is valid. */
#include "certs/ocsp.h"

#include "certs_pki.h"

#define HOUR 3600L

static int make_all(void **state)
{
    if (fixture_setup(state) != 0) {
        return -1;
    }
    issue(NULL, "root", (struct cert_recipe){.ca = true});
    issue(NULL, "other", (struct cert_recipe){.ca = true});
    issue("root", "a", (struct cert_recipe){.names = "DNS:a.example", .serial = 11});
    issue("root", "b", (struct cert_recipe){.names = "DNS:b.example", .serial = 12, .rsa = true});
    append_file("a-chain.pem", "a.pem");
    append_file("a-chain.pem", "root.pem");
    make_ocsp(
        &(struct ocsp_recipe){.file = "a.ocsp", .cert = "a", .ca = "root", .begins = -HOUR, .ends = HOUR});
    make_ocsp(
        &(struct ocsp_recipe){.file = "b.ocsp", .cert = "b", .ca = "root", .begins = -HOUR, .ends = HOUR});
    make_ocsp(&(struct ocsp_recipe){
        .file = "stale.ocsp", .cert = "a", .ca = "root", .begins = -2 * HOUR, .ends = -HOUR});
    make_ocsp(&(struct ocsp_recipe){
        .file = "future.ocsp", .cert = "a", .ca = "root", .begins = HOUR, .ends = 2 * HOUR});
    return 0;
}

static struct cert_store *store_of(const struct cert_files *files, size_t count, struct cert_error *error)
{
    return cert_store_new(&(struct cert_store_options){.files = files, .count = count}, error);
}

static struct cert_files files_of(const char *cert, const char *key, const char *ocsp)
{
    /* fixture_path() has eight buffers, and two certificates have six files. */
    return (struct cert_files){.cert = fixture_path(cert),
                               .key = fixture_path(key),
                               .ocsp = ocsp != NULL ? fixture_path(ocsp) : NULL};
}

/* What the client gets when it asks: the size of the response; 0: none. */
static size_t stapled(const struct cert_store *store, const char *server_name, int version)
{
    struct handshake handshake;
    struct client_recipe client = {.server_name = server_name, .version = version, .ask_ocsp = true};
    handshake_run(&handshake, cert_store_context(store), &client);
    assert_true(handshake.done);
    const unsigned char *der = NULL;
    long size = SSL_get_tlsext_status_ocsp_resp(handshake.client, &der);
    if (size > 0) {
        OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, size);
        assert_non_null(response);
        OCSP_RESPONSE_free(response);
    }
    handshake_free(&handshake);
    return size > 0 ? (size_t)size : 0;
}

static size_t file_size(const char *name)
{
    struct stat status;
    assert_int_equal(stat(fixture_path(name), &status), 0);
    return (size_t)status.st_size;
}

/* Each certificate has its own; a client that doesn't ask gets none. */
static void test_stapled_by_certificate(void **state)
{
    (void)state;
    const struct cert_files files[] = {files_of("a.pem", "a.key", "a.ocsp"),
                                       files_of("b.pem", "b.key", "b.ocsp")};
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct cert_error error;
    struct cert_store *store = store_of(files, 2, &error);
    assert_non_null(store);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stapled(store, "a.example", versions[i]), file_size("a.ocsp"));
        assert_int_equal(stapled(store, "b.example", versions[i]), file_size("b.ocsp"));
        assert_int_equal(stapled(store, NULL, versions[i]), file_size("a.ocsp"));
    }
    struct handshake handshake;
    handshake_run(&handshake, cert_store_context(store), &(struct client_recipe){0});
    assert_true(handshake.done);
    const unsigned char *der = NULL;
    assert_true(SSL_get_tlsext_status_ocsp_resp(handshake.client, &der) <= 0);
    handshake_free(&handshake);
    cert_store_unref(store);
}

static void keep_warning(void *arg, const struct cert_error *warning)
{
    *(struct cert_error *)arg = *warning;
}

static void test_only_while_it_is_valid(void **state)
{
    (void)state;
    static const struct {
        const char *ocsp, *warning;
    } cases[] = {{"stale.ocsp", "the OCSP response expired on 20"}, {"future.ocsp", ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cert_files files = files_of("a.pem", "a.key", cases[i].ocsp);
        struct cert_error error, warning = {0};
        struct cert_store *store = store_of(&files, 1, &error);
        assert_non_null(store);
        assert_int_equal(stapled(store, NULL, TLS1_3_VERSION), 0);
        cert_store_each_warning(store, keep_warning, &warning);
        assert_int_equal(strncmp(warning.text, cases[i].warning, strlen(cases[i].warning)), 0);
        assert_int_equal(warning.fault, cases[i].warning[0] != '\0' ? CERT_FAULT_OCSP : CERT_OK);
        cert_store_unref(store);
    }
}

static void test_faults(void **state)
{
    (void)state;
    write_text("text.ocsp", "no DER\n");
    make_ocsp(&(struct ocsp_recipe){.file = "revoked.ocsp",
                                    .cert = "a",
                                    .ca = "root",
                                    .status = V_OCSP_CERTSTATUS_REVOKED,
                                    .begins = -HOUR,
                                    .ends = HOUR});
    make_ocsp(&(struct ocsp_recipe){.file = "unknown.ocsp",
                                    .cert = "a",
                                    .ca = "root",
                                    .status = V_OCSP_CERTSTATUS_UNKNOWN,
                                    .begins = -HOUR,
                                    .ends = HOUR});
    make_ocsp(&(struct ocsp_recipe){
        .file = "endless.ocsp", .cert = "a", .ca = "root", .begins = -HOUR, .open_ended = true});
    make_ocsp(&(struct ocsp_recipe){.file = "busy.ocsp",
                                    .cert = "a",
                                    .ca = "root",
                                    .begins = -HOUR,
                                    .ends = HOUR,
                                    .response_status = OCSP_RESPONSE_STATUS_TRYLATER});
    make_ocsp(&(struct ocsp_recipe){
        .file = "forged.ocsp", .cert = "a", .ca = "root", .signer = "other", .begins = -HOUR, .ends = HOUR});
    static const struct {
        const char *cert, *ocsp, *text; /* text NULL: taken */
    } cases[] = {
        {"a.pem", "absent.ocsp", "absent.ocsp: can't read: No such file or directory"},
        {"a.pem", "text.ocsp", "text.ocsp: is no OCSP response in DER form"},
        {"a.pem", "b.ocsp", "b.ocsp: is about another certificate: fetch one for this"},
        {"a.pem", "revoked.ocsp", "says that the certificate is revoked"},
        {"a.pem", "unknown.ocsp", "the responder doesn't know the certificate"},
        {"a.pem", "endless.ocsp", "has no time up to which it is valid"},
        {"a.pem", "busy.ocsp", "busy.ocsp: holds a refusal: trylater"},
        /* The signature can be looked at where the issuer is in the chain. */
        {"a-chain.pem", "forged.ocsp", "isn't signed by the issuer of the certificate"},
        {"a-chain.pem", "a.ocsp", NULL},
        {"a.pem", "a.ocsp", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cert_files files = files_of(cases[i].cert, "a.key", cases[i].ocsp);
        struct cert_error error = {0};
        struct cert_store *store = store_of(&files, 1, &error);
        assert_int_equal(store != NULL, cases[i].text == NULL);
        if (cases[i].text != NULL) {
            assert_int_equal(error.fault, CERT_FAULT_OCSP);
            if (strstr(error.text, cases[i].text) == NULL) {
                print_error("%s, not %s\n", error.text, cases[i].text);
            }
            assert_non_null(strstr(error.text, cases[i].text));
        }
        cert_store_unref(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stapled_by_certificate),
        cmocka_unit_test(test_only_while_it_is_valid),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, make_all, fixture_teardown);
}
