/* From the configuration's TLS to certs' objects, and what is wrong with them back to FILE:LINE and key.
 * Refuses to know listeners and connections. */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

struct cert_connect;
struct cert_store;
struct ticket_keys;

/* What an operator should know of a store that could be built. */
void tls_settings_warn(const struct conf_tls *tls, const struct cert_store *store,
                       struct conf_problems *warnings);

/* http: for a listener that serves files. tickets: as of struct generation_options. NULL: problems says why.
 */
struct cert_store *tls_settings_store(const struct conf_tls *tls, bool http, struct ticket_keys *tickets,
                                      struct conf_problems *problems);

/* The connecting side for the servers of a backend that has_tls. NULL: problems says why. warnings may be
 * NULL.
 */
struct cert_connect *tls_settings_connect(const struct conf_backend *backend, struct conf_problems *warnings,
                                          struct conf_problems *problems);
