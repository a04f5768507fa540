/* A stretch of somebody else's bytes, and comparing it: what the parsers of a request head hand out.
 * Refuses to own or to copy anything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct http_slice {
    const char *at; /* not terminated */
    size_t size;
};

/* tchar of RFC 9110 5.6.2. */
static inline bool http_is_token_char(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static inline bool http_slice_is(struct http_slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.at, text, slice.size) == 0;
}

static inline bool http_slice_is_nocase(struct http_slice slice, const char *text)
{
    return slice.size == strlen(text) && strncasecmp(slice.at, text, slice.size) == 0;
}

/* Without the spaces and tabs at both ends (RFC 9110, OWS). */
static inline struct http_slice http_slice_trim(struct http_slice slice)
{
    while (slice.size > 0 && (slice.at[0] == ' ' || slice.at[0] == '\t')) {
        slice.at++;
        slice.size--;
    }
    while (slice.size > 0 && (slice.at[slice.size - 1] == ' ' || slice.at[slice.size - 1] == '\t'))
        slice.size--;
    return slice;
}

/* Takes the next element off a comma-separated list without quoted strings, trimmed. false: the list is used
 * up. Start with *rest as the whole value; a NULL rest->at marks the end. */
static inline bool http_slice_next(struct http_slice *rest, struct http_slice *element)
{
    if (!rest->at)
        return false;
    const char *comma = memchr(rest->at, ',', rest->size);
    size_t size = comma ? (size_t)(comma - rest->at) : rest->size;
    *element = http_slice_trim((struct http_slice){rest->at, size});
    if (comma) {
        rest->at = comma + 1;
        rest->size -= size + 1;
    } else {
        rest->at = NULL;
        rest->size = 0;
    }
    return true;
}
