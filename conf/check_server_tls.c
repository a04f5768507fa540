/* What the keys of TLS to servers mean together: what is verified, by which name, and what is shown; and
 * whether a listener's mode can be had with it. Refuses to know certificates. */
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/memory.h"

static void add(struct conf_problems *problems, struct conf_place place, const struct conf_backend *backend,
                const char *key, const char *text)
{
    char *path = memory_format("backends.%s.tls%s%s", backend->name, key[0] != '\0' ? "." : "", key);
    conf_problem_add(problems, place, path, "%s", text);
    free(path);
}

static void check_verification(const struct conf_backend *backend, struct conf_problems *problems)
{
    const struct conf_server_tls *tls = &backend->tls;
    if (!tls->verify && (tls->ca != NULL || tls->crl != NULL)) {
        add(problems, tls->verify_place, backend, "verify",
            tls->ca != NULL ? "false leaves `ca` without use: delete one of the two"
                            : "false leaves `crl` without use: delete one of the two");
    } else if (tls->crl != NULL && tls->ca == NULL) {
        add(problems, tls->crl_place, backend, "crl",
            "a CRL is needed of each CA, and the system's are many: name those of the servers in `ca`");
    }
}

/* A UNIX socket has neither a host name nor an address that a certificate could be for. */
static void check_server_names(const struct conf_backend *backend, struct conf_problems *problems)
{
    const struct conf_server_tls *tls = &backend->tls;
    for (size_t i = 0; i < backend->server_count; i++) {
        const struct conf_server *server = &backend->servers[i];
        if (tls->verify && tls->server_name == NULL && server->address.addr.ss_family == AF_UNIX) {
            char *text =
                memory_format("missing: \"%s\" has no name that a certificate could be for; add server_name "
                              "= \"NAME\"; or, against all caution, verify = false;",
                              server->address.text);
            add(problems, server->place, backend, "server_name", text);
            free(text);
            return;
        }
    }
    if (tls->server_name != NULL && strlen(tls->server_name) > 253) {
        add(problems, tls->server_name_place, backend, "server_name",
            "a host name has at most 253 characters: shorten it");
    }
}

void check_server_tls(const struct conf_backend *backend, struct conf_problems *problems)
{
    const struct conf_server_tls *tls = &backend->tls;
    if (!backend->has_tls) {
        return;
    }
    char *owner = memory_format("backends.%s.tls", backend->name);
    check_tls_policy(owner, &tls->policy, problems);
    free(owner);
    check_verification(backend, problems);
    check_server_names(backend, problems);
    if ((tls->cert != NULL) != (tls->key != NULL)) {
        bool cert = tls->cert != NULL;
        add(problems, cert ? tls->cert_place : tls->key_place, backend, cert ? "key" : "cert",
            cert ? "missing: `cert` needs its private key" : "missing: `key` needs its certificate");
    }
}

void check_mode_of_server_tls(const struct conf_listener *listener, const struct conf_backend *backend,
                              struct conf_problems *problems)
{
    static const char *const names[] = {"auto", "splice", "sendfile", "mmap", "copy"};
    if (!backend->has_tls || backend->tls.ktls != CONF_KTLS_OFF) {
        return;
    }
    if (listener->relay == CONF_RELAY_SPLICE) {
        check_add_listener(problems, listener->relay_place, listener, "relay",
                           "\"%s\" can't be had with TLS in user space: choose \"auto\" or \"copy\", or set "
                           "backends.%s.tls.ktls to \"auto\" or \"require\"",
                           names[listener->relay], backend->name);
    } else if (listener->require_zero_copy && listener->relay == CONF_RELAY_AUTO) {
        check_add_listener(problems, listener->require_zero_copy_place, listener, "require_zero_copy",
                           "TLS in user space copies every byte: set backends.%s.tls.ktls to \"auto\" or "
                           "\"require\", or delete this",
                           backend->name);
    }
}
