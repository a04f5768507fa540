/* DNS names as certificates and SNI carry them: folded to one spelling, and matched against a wildcard.
 * Pure. Refuses to know X.509, TLS and U-labels: an internationalised name is its A-label ("xn--..."). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CERT_NAME_SIZE 254 /* 253 characters (RFC 1035 2.3.4, in its dotted form) and the NUL */

/* Folds the `length` bytes at name: lower case, without the one trailing dot of a rooted name. Accepted are
 * labels of 1 to 63 letters, digits, hyphens and underscores; a hyphen may stand anywhere, because such hosts
 * exist. false: not a host name (a NUL inside, an empty label, too long ...); folded is then undefined. */
bool cert_name_fold(const char *name, size_t length, char folded[CERT_NAME_SIZE])
    __attribute__((warn_unused_result));

/* The same for a pattern, whose first label may be a lone "*". */
bool cert_name_fold_pattern(const char *pattern, size_t length, char folded[CERT_NAME_SIZE])
    __attribute__((warn_unused_result));

/* Both folded. "*.example.org" matches "a.example.org", neither "example.org" nor "a.b.example.org"
 * (RFC 9525 6.3); anything else matches itself. */
bool cert_name_match(const char *pattern, const char *name);
