/* From the configuration's TLS to certs' objects, and what is wrong with them back to FILE:LINE and key.
 * Refuses to know listeners and connections. */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

struct cert_store;
struct ticket_keys;

/* What an operator should know of a store that could be built. */
void tls_settings_warn(const struct conf_tls *tls, const struct cert_store *store,
                       struct conf_problems *warnings);

/* http: for a listener that serves files. tickets: as of struct generation_options. NULL: problems says why.
 */
struct cert_store *tls_settings_store(const struct conf_tls *tls, bool http, struct ticket_keys *tickets,
                                      struct conf_problems *problems);
