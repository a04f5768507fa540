/* See tls_settings.h.
 * Refuses to know how certificates are read and contexts made. */
#include "proxy/tls_settings.h"

#include <openssl/tls1.h>
#include <stdio.h>
#include <stdlib.h>

#include "certs/store.h"

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

static void report_cert(const struct conf_tls *tls, const struct cert_error *error,
                        struct conf_problems *problems)
{
    const struct conf_cert *cert = &tls->certs[error->index];
    struct conf_place place = cert->cert_place;
    const char *field = "cert";
    char key[256];

    if (error->fault == CERT_FAULT_KEY || error->fault == CERT_FAULT_MISMATCH) {
        place = cert->key_place;
        field = "key";
    }
    if (place.line == 0)
        place = cert->place;
    snprintf(key, sizeof(key), "tls.%s.certs[%zu].%s", tls->name, error->index, field);
    conf_problem_add(problems, place, key, "%s", error->text);
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
        files[i] = (struct cert_files){.cert = tls->certs[i].cert, .key = tls->certs[i].key};
    store = cert_store_new(&(struct cert_store_options){.files = files,
                                                        .count = tls->cert_count,
                                                        .ktls = tls->ktls != CONF_KTLS_OFF,
                                                        .policy = policy_of(&tls->policy),
                                                        .http_alpn = http,
                                                        .tickets = tickets},
                           &error);
    free(files);
    if (store == NULL)
        report_cert(tls, &error, problems);
    return store;
}
