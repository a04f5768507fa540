/* See tls_settings.h.
 * Refuses to know how certificates are read and contexts made. */
#include "proxy/tls_settings.h"

#include <openssl/tls1.h>
#include <stdio.h>
#include <stdlib.h>

#include "certs/connect.h"
#include "certs/store.h"
#include "relay/tls_conn.h"

static void report_memory(struct conf_problems *problems)
{
    conf_problem_add(problems, (struct conf_place){0}, NULL, "out of memory");
}

static struct cert_policy policy_of(const struct conf_tls_policy *conf)
{
    static const int versions[] = {[CONF_TLS_1_2] = TLS1_2_VERSION, [CONF_TLS_1_3] = TLS1_3_VERSION};

    return (struct cert_policy){
        .min_version = versions[conf->min_version],
        .max_version = versions[conf->max_version],
        .suites = conf->suites,
        .suite_count = conf->suite_count,
        .groups = conf->groups,
        .group_count = conf->group_count,
        .alpn = conf->alpn,
        .alpn_count = conf->alpn_count,
    };
}

static struct cert_client client_of(const struct conf_tls_client *conf)
{
    static const enum cert_verify verify[] = {
        [CONF_VERIFY_NONE] = CERT_VERIFY_NONE,
        [CONF_VERIFY_OPTIONAL] = CERT_VERIFY_OPTIONAL,
        [CONF_VERIFY_REQUIRED] = CERT_VERIFY_REQUIRED,
    };

    return (struct cert_client){
        .verify = verify[conf->verify], .ca = conf->ca, .crl = conf->crl, .depth = (int)conf->depth};
}

/* Where what a fault is about stands. key: room for its path. */
static struct conf_place place_of(const struct conf_tls *tls, const struct cert_error *error, char *key,
                                  size_t key_size)
{
    const struct conf_cert *cert = &tls->certs[error->index];
    struct conf_place place = cert->cert_place;
    const char *field = "cert";

    if (error->fault == CERT_FAULT_CA || error->fault == CERT_FAULT_CRL) {
        const bool ca = error->fault == CERT_FAULT_CA;

        snprintf(key, key_size, "tls.%s.client.%s", tls->name, ca ? "ca" : "crl");
        return ca ? tls->client.ca_place : tls->client.crl_place;
    }
    if (error->fault == CERT_FAULT_KEY || error->fault == CERT_FAULT_MISMATCH) {
        place = cert->key_place;
        field = "key";
    } else if (error->fault == CERT_FAULT_OCSP) {
        place = cert->ocsp_place;
        field = "ocsp";
    }
    snprintf(key, key_size, "tls.%s.certs[%zu].%s", tls->name, error->index, field);
    return place.line != 0 ? place : cert->place;
}

static void report_cert(const struct conf_tls *tls, const struct cert_error *error,
                        struct conf_problems *problems)
{
    char key[256];
    const struct conf_place place = place_of(tls, error, key, sizeof(key));

    conf_problem_add(problems, place, key, "%s", error->text);
}

struct warning {
    const struct conf_tls *tls;
    struct conf_problems *problems;
};

static void on_warning(void *arg, const struct cert_error *error)
{
    const struct warning *warning = arg;
    char key[256];
    const struct conf_place place = place_of(warning->tls, error, key, sizeof(key));

    conf_problem_add(warning->problems, place, key, "warning: %s", error->text);
}

void tls_settings_warn(const struct conf_tls *tls, const struct cert_store *store,
                       struct conf_problems *warnings)
{
    cert_store_each_warning(store, on_warning, &(struct warning){tls, warnings});
}

struct cert_store *tls_settings_store(const struct conf_tls *tls, bool http, struct ticket_keys *tickets,
                                      struct conf_problems *problems)
{
    struct cert_files *files = calloc(tls->cert_count, sizeof(*files));
    struct cert_error error = {0};
    struct cert_store *store;

    if (files == NULL) {
        report_memory(problems);
        return NULL;
    }
    for (size_t i = 0; i < tls->cert_count; i++)
        files[i] = (struct cert_files){
            .cert = tls->certs[i].cert, .key = tls->certs[i].key, .ocsp = tls->certs[i].ocsp};
    store = cert_store_new(&(struct cert_store_options){.files = files,
                                                        .count = tls->cert_count,
                                                        .ktls = tls->ktls != CONF_KTLS_OFF,
                                                        .keylog = tls_conn_keylog(),
                                                        .policy = policy_of(&tls->policy),
                                                        .http_alpn = http,
                                                        .client = client_of(&tls->client),
                                                        .tickets = tickets},
                           &error);
    free(files);
    if (store == NULL)
        report_cert(tls, &error, problems);
    return store;
}

/* --- Towards servers --- */

static struct conf_place server_place_of(const struct conf_backend *backend, const struct cert_error *error,
                                         char *key, size_t key_size)
{
    const struct conf_server_tls *tls = &backend->tls;
    struct conf_place place = backend->tls_place;
    const char *field = "";

    switch (error->fault) {
    case CERT_FAULT_CERT:
        place = tls->cert_place;
        field = ".cert";
        break;
    case CERT_FAULT_KEY:
    case CERT_FAULT_MISMATCH:
        place = tls->key_place;
        field = ".key";
        break;
    case CERT_FAULT_CA:
        place = tls->ca_place;
        field = ".ca";
        break;
    case CERT_FAULT_CRL:
        place = tls->crl_place;
        field = ".crl";
        break;
    case CERT_OK:
    case CERT_FAULT_OCSP:
    case CERT_FAULT_SYSTEM:
        break;
    }
    snprintf(key, key_size, "backends.%s.tls%s", backend->name, field);
    return place.line != 0 ? place : backend->place;
}

struct server_warning {
    const struct conf_backend *backend;
    struct conf_problems *problems;
};

static void on_server_warning(void *arg, const struct cert_error *error)
{
    const struct server_warning *warning = arg;
    char key[256];
    const struct conf_place place = server_place_of(warning->backend, error, key, sizeof(key));

    conf_problem_add(warning->problems, place, key, "warning: %s", error->text);
}

struct cert_connect *tls_settings_connect(const struct conf_backend *backend, struct conf_problems *warnings,
                                          struct conf_problems *problems)
{
    const struct conf_server_tls *tls = &backend->tls;
    struct cert_error error;
    struct cert_connect *connect =
        cert_connect_new(&(struct cert_connect_options){.policy = policy_of(&tls->policy),
                                                        .verify = tls->verify,
                                                        .trust = {tls->ca, tls->crl},
                                                        .client = {tls->cert, tls->key, NULL},
                                                        .keylog = tls_conn_keylog(),
                                                        .ktls = tls->ktls != CONF_KTLS_OFF},
                         &error);

    if (connect == NULL) {
        char key[256];
        const struct conf_place place = server_place_of(backend, &error, key, sizeof(key));

        conf_problem_add(problems, place, key, "%s", error.text);
    } else if (warnings != NULL) {
        cert_connect_each_warning(connect, on_server_warning, &(struct server_warning){backend, warnings});
    }
    return connect;
}
