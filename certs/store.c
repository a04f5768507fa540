/* The certificate store: which names the certificates are for, and the SSL_CTX behind each set of them.
 * Everything is decided while it is built; a handshake only searches a sorted array, without a lock.
 * Refuses to know configuration, and how a context is tuned (context.c). */
#include "certs/store.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs/context.h"
#include "certs/name.h"
#include "certs/pair.h"
#include "certs/trust.h"

/* Keys that OpenSSL keeps side by side in one SSL_CTX. */
enum key_type { KEY_RSA, KEY_EC, KEY_OTHER };
#define KEY_TYPES 3
#define NO_CERT SIZE_MAX

/* At most one certificate of each type; NO_CERT where there is none. */
struct cert_set {
    size_t cert[KEY_TYPES];
};

struct set_context {
    struct cert_set set;
    SSL_CTX *ctx;
};

/* A folded name or pattern. While names are collected, many entries with one certificate each; afterwards one
 * a name, sorted. */
struct name_entry {
    char *name;
    size_t file;
    SSL_CTX *ctx; /* borrowed from contexts */
};

struct cert_store {
    atomic_size_t references;
    struct cert_pair *pairs;
    size_t pair_count;
    struct name_entry *names;
    size_t name_count, name_capacity;
    struct set_context *contexts;
    size_t context_count, context_capacity;
    SSL_CTX *fallback; /* borrowed from contexts: where connections begin, and stay without a known SNI */
    struct context_alpn alpn;
    struct cert_trust trust; /* of clients; empty: they aren't asked */
    unsigned char identity[SHA256_DIGEST_LENGTH];
};

static int fail(struct cert_error *error, enum cert_fault fault, size_t index, const char *path,
                const char *what)
{
    error->fault = fault;
    error->index = index;
    if (path == NULL) {
        snprintf(error->text, sizeof(error->text), "%s", what);
    } else {
        snprintf(error->text, sizeof(error->text), "%.300s: %s", path, what);
    }
    return -1;
}

static int out_of_memory(struct cert_error *error, size_t index)
{
    return fail(error, CERT_FAULT_SYSTEM, index, NULL, "out of memory");
}

/* Room for one more in a growing array. */
static void *reserve(void *array, size_t size, size_t count, size_t *capacity)
{
    if (count < *capacity) {
        return array;
    }
    size_t more = *capacity == 0 ? 8 : *capacity * 2;
    void *grown = reallocarray(array, more, size);
    if (grown != NULL) {
        *capacity = more;
    }
    return grown;
}

/* ---- names ---- */

/* 0, also for what isn't a host name: such a certificate just isn't found under it. */
static int add_name(struct cert_store *store, size_t file, const unsigned char *data, int length)
{
    char folded[CERT_NAME_SIZE];
    if (!cert_name_fold_pattern((const char *)data, (size_t)length, folded)) {
        return 0;
    }
    struct name_entry *names =
        reserve(store->names, sizeof(*names), store->name_count, &store->name_capacity);
    if (names == NULL) {
        return -1;
    }
    store->names = names;
    char *name = strdup(folded);
    if (name == NULL) {
        return -1;
    }
    names[store->name_count++] = (struct name_entry){.name = name, .file = file};
    return 0;
}

/* The common name counts only without any dNSName (RFC 6125 6.4.4). */
static int add_common_name(struct cert_store *store, size_t file, X509 *leaf)
{
    const X509_NAME *subject = X509_get_subject_name(leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) {
        return 0;
    }
    unsigned char *utf8 = NULL;
    const ASN1_STRING *common = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    int length = ASN1_STRING_to_UTF8(&utf8, common);
    if (length < 0) {
        return 0;
    }
    int result = add_name(store, file, utf8, length);
    OPENSSL_free(utf8);
    return result;
}

static int add_names(struct cert_store *store, size_t file)
{
    X509 *leaf = store->pairs[file].leaf;
    GENERAL_NAMES *alternatives = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    int result = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives) && result == 0; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(alternatives, i);
        if (name->type == GEN_DNS) {
            found = true;
            const ASN1_STRING *dns = name->d.dNSName;
            result = add_name(store, file, ASN1_STRING_get0_data(dns), ASN1_STRING_length(dns));
        }
    }
    GENERAL_NAMES_free(alternatives);
    return result == 0 && !found ? add_common_name(store, file, leaf) : result;
}

static int collect_names(struct cert_store *store, struct cert_error *error)
{
    for (size_t i = 0; i < store->pair_count; i++) {
        size_t before = store->name_count;
        if (add_names(store, i) == -1) {
            return out_of_memory(error, i);
        }
        char *warning = store->pairs[i].warning;
        if (store->name_count == before && i > 0 && warning[0] == '\0') {
            snprintf(warning, sizeof(store->pairs[i].warning),
                     "the certificate has no DNS name and isn't the first: no client will be shown it");
        }
    }
    return 0;
}

static int by_name_then_file(const void *left, const void *right)
{
    const struct name_entry *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->file > b->file) - (a->file < b->file);
}

static int by_name(const void *key, const void *member)
{
    return strcmp(key, ((const struct name_entry *)member)->name);
}

static SSL_CTX *find_name(const struct cert_store *store, const char *name)
{
    const struct name_entry *entry = store->name_count == 0 ? NULL
                                                            : bsearch(name, store->names, store->name_count,
                                                                      sizeof(store->names[0]), by_name);
    return entry != NULL ? entry->ctx : NULL;
}

/* ---- contexts ---- */

static enum key_type key_type(const struct cert_pair *pair)
{
    switch (EVP_PKEY_get_base_id(pair->key)) {
    case EVP_PKEY_RSA:
        return KEY_RSA;
    case EVP_PKEY_EC:
        return KEY_EC;
    default:
        return KEY_OTHER;
    }
}

/* Made of the names: tickets survive a certificate's renewal, and blocks that serve the same names share
 * them, while another service's ticket is refused. */
static int make_identity(struct cert_store *store, const struct cert_client *client)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool good = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < store->name_count && good; i++) {
        const char *name = store->names[i].name;
        if (i == 0 || strcmp(name, store->names[i - 1].name) != 0) {
            good = EVP_DigestUpdate(digest, name, strlen(name) + 1) == 1;
        }
    }
    /* What a client has proved counts only where the same is demanded: another listener's CA, or a CRL of
     * before the reload, must not let it in (RFC 8446 4.6.1 leaves that to us). */
    if (store->trust.store != NULL) {
        const int demands[] = {client->verify, client->depth};
        good = good && EVP_DigestUpdate(digest, demands, sizeof(demands)) == 1 &&
               EVP_DigestUpdate(digest, store->trust.digest, sizeof(store->trust.digest)) == 1;
    }
    good = good && EVP_DigestFinal_ex(digest, store->identity, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return good ? 0 : -1;
}

/* Looks the name up as it is, then with its first label as a wildcard. */
static SSL_CTX *find_server(const struct cert_store *store, const char *server)
{
    char name[CERT_NAME_SIZE];
    if (!cert_name_fold(server, strlen(server), name)) {
        return NULL;
    }
    SSL_CTX *ctx = find_name(store, name);
    char *dot = strchr(name, '.');
    if (ctx != NULL || dot == NULL || dot == name) {
        return ctx;
    }
    dot[-1] = '*';
    return find_name(store, dot - 1);
}

/* An unknown name gets the default certificate, unacknowledged: the client judges it. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct cert_store *store = arg;
    (void)alert;
    const char *server = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *ctx = server != NULL ? find_server(store, server) : NULL;
    if (ctx == NULL) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    if (ctx != store->fallback) {
        SSL_set_SSL_CTX(ssl, ctx);
    }
    return SSL_TLSEXT_ERR_OK;
}

/* The client asks for an OCSP response: that of the certificate which has been chosen by now. */
static int on_status(SSL *ssl, void *arg)
{
    const struct cert_store *store = arg;
    const X509 *shown = SSL_get_certificate(ssl);
    for (size_t i = 0; i < store->pair_count; i++) {
        if (store->pairs[i].leaf == shown) {
            return cert_ocsp_staple(&store->pairs[i].ocsp, ssl);
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static int use_certificates(const struct cert_store *store, const struct cert_store_options *options,
                            const struct cert_set *set, SSL_CTX *ctx, struct cert_error *error)
{
    for (int type = 0; type < KEY_TYPES; type++) {
        size_t i = set->cert[type];
        if (i == NO_CERT) {
            continue;
        }
        const struct cert_pair *pair = &store->pairs[i];
        if (SSL_CTX_use_cert_and_key(ctx, pair->leaf, pair->key, pair->chain, 1) != 1) {
            /* Such as a key too small for the security level. */
            const char *reason = ERR_reason_error_string(ERR_peek_last_error());
            return fail(error, CERT_FAULT_CERT, i, options->files[i].cert,
                        reason != NULL ? reason : "refused");
        }
    }
    return 0;
}

/* The context of a set of certificates, made when it is first asked for. NULL: *error says why. */
static SSL_CTX *set_context(struct cert_store *store, const struct cert_store_options *options,
                            const struct cert_set *set, struct cert_error *error)
{
    for (size_t i = store->context_count; i-- > 0;) {
        if (memcmp(&store->contexts[i].set, set, sizeof(*set)) == 0) {
            return store->contexts[i].ctx;
        }
    }
    struct set_context *contexts =
        reserve(store->contexts, sizeof(*contexts), store->context_count, &store->context_capacity);
    if (contexts == NULL) {
        out_of_memory(error, 0);
        return NULL;
    }
    store->contexts = contexts;
    SSL_CTX *ctx = cert_context_new(&(struct context_parts){.options = options,
                                                            .identity = store->identity,
                                                            .identity_size = sizeof(store->identity),
                                                            .trust = &store->trust,
                                                            .alpn = &store->alpn});
    if (ctx == NULL) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        fail(error, CERT_FAULT_SYSTEM, 0, "OpenSSL", reason != NULL ? reason : "out of memory");
        return NULL;
    }
    if (use_certificates(store, options, set, ctx, error) == -1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_tlsext_status_cb(ctx, on_status);
    SSL_CTX_set_tlsext_status_arg(ctx, store);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, store);
    contexts[store->context_count++] = (struct set_context){.set = *set, .ctx = ctx};
    return ctx;
}

static struct cert_set empty_set(void)
{
    return (struct cert_set){.cert = {NO_CERT, NO_CERT, NO_CERT}};
}

/* Sorted, a name's entries stand together, the first file's first: folds them into one with its context. */
static int merge_names(struct cert_store *store, const struct cert_store_options *options,
                       struct cert_error *error)
{
    size_t kept = 0;
    for (size_t i = 0, next; i < store->name_count; i = next) {
        struct cert_set set = empty_set();
        const char *name = store->names[i].name;
        for (next = i; next < store->name_count && strcmp(store->names[next].name, name) == 0; next++) {
            size_t file = store->names[next].file;
            size_t *place = &set.cert[key_type(&store->pairs[file])];
            *place = *place == NO_CERT ? file : *place;
        }
        store->names[i].ctx = set_context(store, options, &set, error);
        if (store->names[i].ctx == NULL) {
            return -1;
        }
        /* The others of this name change places with it, and are dropped at the end. */
        struct name_entry entry = store->names[i];
        store->names[i] = store->names[kept];
        store->names[kept++] = entry;
    }
    for (size_t i = kept; i < store->name_count; i++) {
        free(store->names[i].name);
    }
    store->name_count = kept;
    return 0;
}

/* The first certificate's, together with what stands beside it under its first name. */
static int choose_fallback(struct cert_store *store, const struct cert_store_options *options,
                           const char *name, struct cert_error *error)
{
    struct cert_set set = empty_set();
    set.cert[key_type(&store->pairs[0])] = 0;
    store->fallback = name[0] != '\0' ? find_name(store, name) : set_context(store, options, &set, error);
    return store->fallback != NULL ? 0 : -1;
}

static int collect_protocols(struct cert_store *store, const struct cert_store_options *options)
{
    static char http[] = "http/1.1";
    char *const http_only[] = {http};
    return cert_policy_alpn(options->http_alpn ? http_only : options->policy.alpn,
                            options->http_alpn ? 1 : options->policy.alpn_count, &store->alpn.wire,
                            &store->alpn.size);
}

static int build(struct cert_store *store, const struct cert_store_options *options, struct cert_error *error)
{
    store->pairs = calloc(options->count, sizeof(*store->pairs));
    if (store->pairs == NULL) {
        return out_of_memory(error, 0);
    }
    for (size_t i = 0; i < options->count; i++) {
        error->index = i;
        if (cert_pair_load(&store->pairs[i], &options->files[i], error) == -1) {
            return -1;
        }
        store->pair_count++;
    }
    if (collect_names(store, error) == -1) {
        return -1;
    }
    char first[CERT_NAME_SIZE] = "";
    if (store->name_count > 0) {
        if (store->names[0].file == 0) {
            snprintf(first, sizeof(first), "%s", store->names[0].name);
        }
        qsort(store->names, store->name_count, sizeof(store->names[0]), by_name_then_file);
    }
    const struct cert_trust_files trusted = {options->client.ca, options->client.crl};
    if (options->client.verify != CERT_VERIFY_NONE && cert_trust_load(&store->trust, &trusted, error) == -1) {
        return -1;
    }
    if (make_identity(store, &options->client) == -1 || collect_protocols(store, options) == -1) {
        return out_of_memory(error, 0);
    }
    return merge_names(store, options, error) == -1 ? -1 : choose_fallback(store, options, first, error);
}

/* ---- interface ---- */

struct cert_store *cert_store_new(const struct cert_store_options *options, struct cert_error *error)
{
    *error = (struct cert_error){0};
    struct cert_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        out_of_memory(error, 0);
        return NULL;
    }
    atomic_init(&store->references, 1);
    ERR_clear_error();
    int result = build(store, options, error);
    ERR_clear_error();
    if (result == -1) {
        cert_store_unref(store);
        return NULL;
    }
    return store;
}

struct cert_store *cert_store_ref(struct cert_store *store)
{
    atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
    return store;
}

void cert_store_unref(struct cert_store *store)
{
    if (store == NULL || atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < store->context_count; i++) {
        SSL_CTX_free(store->contexts[i].ctx);
    }
    for (size_t i = 0; i < store->name_count; i++) {
        free(store->names[i].name);
    }
    for (size_t i = 0; i < store->pair_count; i++) {
        cert_pair_clear(&store->pairs[i]);
    }
    cert_trust_clear(&store->trust);
    free(store->alpn.wire);
    free(store->contexts);
    free(store->names);
    free(store->pairs);
    free(store);
}

const char *cert_store_warning(const struct cert_store *store, size_t index)
{
    return store->pairs[index].warning;
}

static void tell(const char *text, enum cert_fault fault, size_t index,
                 void (*on_warning)(void *arg, const struct cert_error *warning), void *arg)
{
    if (text[0] != '\0') {
        struct cert_error warning = {.fault = fault, .index = index};
        snprintf(warning.text, sizeof(warning.text), "%s", text);
        on_warning(arg, &warning);
    }
}

void cert_store_each_warning(const struct cert_store *store,
                             void (*on_warning)(void *arg, const struct cert_error *warning), void *arg)
{
    for (size_t i = 0; i < store->pair_count; i++) {
        tell(store->pairs[i].warning, store->pairs[i].warns_of_key ? CERT_FAULT_KEY : CERT_FAULT_CERT, i,
             on_warning, arg);
        tell(store->pairs[i].ocsp.warning, CERT_FAULT_OCSP, i, on_warning, arg);
    }
    tell(store->trust.ca_warning, CERT_FAULT_CA, 0, on_warning, arg);
    tell(store->trust.crl_warning, CERT_FAULT_CRL, 0, on_warning, arg);
}

bool cert_store_has(const struct cert_store *store, const char *name)
{
    char folded[CERT_NAME_SIZE];
    return find_server(store, name) != NULL ||
           (cert_name_fold_pattern(name, strlen(name), folded) && find_name(store, folded) != NULL);
}

SSL_CTX *cert_store_context(const struct cert_store *store)
{
    return store->fallback;
}
