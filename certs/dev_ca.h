/* Development certificates: a CA made on the spot and a certificate for localhost signed by it, for `demo`,
 * `serve --tls` and tests. Never for production, never committed. */
#pragma once

#include <stddef.h>

/* Makes (unless they exist, match and are valid for another day) in `directory` (created, 0700):
 *   ca.pem, ca.key, localhost.pem (leaf + CA), localhost.key (0600), ECDSA P-256; SAN: DNS:localhost,
 *   DNS:*.localhost, IP:127.0.0.1, IP:::1; leaf 90 days.
 * Written to a temporary name and renamed, one process at a time: several may race. A good CA is kept when
 * only the leaf is replaced. 0, or -1 with the reason, path first, in error. */
int dev_ca_ensure(const char *directory, char *error, size_t error_size);
