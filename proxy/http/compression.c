/* A list of types and a count. Refuses to know files and codings. */
#include "proxy/http/compression.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http_compression {
    char **types;
    size_t type_count;
    uint64_t min_size, max_size;
    unsigned level, max_at_once;
    _Atomic unsigned at_once;
};

struct http_compression *http_compression_new(const struct http_compression_options *options)
{
    struct http_compression *compression = calloc(1, sizeof(*compression));
    if (!compression)
        return NULL;
    compression->min_size = options->min_size;
    compression->max_size = options->max_size;
    compression->level = options->level;
    compression->max_at_once = options->max_at_once;
    compression->types = calloc(options->type_count + 1, sizeof(*compression->types));
    if (!compression->types)
        goto free_all;
    for (size_t i = 0; i < options->type_count; i++) {
        compression->types[i] = strdup(options->types[i]);
        if (!compression->types[i])
            goto free_all;
        compression->type_count++;
    }
    return compression;

free_all:
    http_compression_free(compression);
    return NULL;
}

void http_compression_free(struct http_compression *compression)
{
    if (!compression)
        return;
    for (size_t i = 0; i < compression->type_count; i++)
        free(compression->types[i]);
    free(compression->types);
    free(compression);
}

bool http_compression_covers(const struct http_compression *compression, const char *content_type,
                             uint64_t size)
{
    const size_t length = strcspn(content_type, "; \t");
    if (size < compression->min_size || size > compression->max_size)
        return false;
    for (size_t i = 0; i < compression->type_count; i++) {
        const char *type = compression->types[i];
        if (strlen(type) == length && strncasecmp(type, content_type, length) == 0)
            return true;
    }
    return false;
}

int http_compression_level(const struct http_compression *compression)
{
    return (int)compression->level;
}

bool http_compression_begin(struct http_compression *compression)
{
    if (atomic_fetch_add(&compression->at_once, 1) < compression->max_at_once)
        return true;
    atomic_fetch_sub(&compression->at_once, 1);
    return false;
}

void http_compression_end(struct http_compression *compression)
{
    atomic_fetch_sub(&compression->at_once, 1);
}
