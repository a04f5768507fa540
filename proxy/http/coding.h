/* The content codings that are spoken here (RFC 9110 8.4.1) and their names.
 * Refuses to know what a client accepts (accept_encoding.h) and how they are made (encoder.h). */
#pragma once

#include "proxy/http/slice.h"

enum http_coding { HTTP_CODING_IDENTITY, HTTP_CODING_BR, HTTP_CODING_ZSTD, HTTP_CODING_GZIP };
#define HTTP_CODING_COUNT 4

/* "identity", "br", "zstd", "gzip". */
const char *http_coding_name(enum http_coding coding);
/* What a file that is encoded so is called behind the original's name: "", ".br", ".zst", ".gz". */
const char *http_coding_suffix(enum http_coding coding);
#define HTTP_CODING_SUFFIX_MAX 4

/* By any of its names: "x-gzip" is gzip (RFC 9110 8.4.1.3), whatever its case. false: it is none of these. */
bool http_coding_parse(struct http_slice name, enum http_coding *coding);
