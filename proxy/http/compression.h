/* What one `files` compresses on the fly, how hard, and how much at a time.
 * Refuses to compress (encoder.h). Any number of workers may use one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_compression;

struct http_compression_options {
    char *const *types; /* "text/html", without parameters; copied */
    size_t type_count;
    uint64_t min_size, max_size; /* of a file */
    unsigned level;              /* HTTP_ENCODER_LEVEL_MIN to _MAX */
    unsigned max_at_once;
};

/* NULL: out of memory. */
struct http_compression *http_compression_new(const struct http_compression_options *options);
/* Everything begun has ended. NULL: nothing. */
void http_compression_free(struct http_compression *compression);

/* Whether a file of this type (parameters don't matter) and size is to be compressed at all. */
bool http_compression_covers(const struct http_compression *compression, const char *content_type,
                             uint64_t size);
int http_compression_level(const struct http_compression *compression);

/* One more at a time. false: there are enough; the file goes out as it is. */
bool http_compression_begin(struct http_compression *compression);
void http_compression_end(struct http_compression *compression);
