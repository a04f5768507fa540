/* Matches a path byte by byte, going back to the last `*` alone: whatever an earlier one could take over, the
 * last one can. Refuses to take memory. */
#include "proxy/http/glob.h"

#include <string.h>

void http_glob_init(struct http_glob *glob, const char *pattern)
{
    const size_t size = strlen(pattern);
    glob->kind = GLOB_PATTERN;
    glob->text = (struct http_slice){pattern, size};
    if (pattern[0] == '*' && !strpbrk(pattern + 1, "*?[\\")) {
        glob->kind = size == 1 ? GLOB_ANY : GLOB_SUFFIX;
        glob->text = (struct http_slice){pattern + 1, size - 1};
    }
}

/* The path with its first slash. */
static unsigned char byte_at(struct http_slice path, size_t i)
{
    return (unsigned char)(i == 0 ? '/' : path.at[i - 1]);
}

static unsigned char set_byte(const char **at)
{
    if (**at == '\\')
        (*at)++;
    return (unsigned char)*(*at)++;
}

/* Behind the opening bracket; leads behind the closing one. */
static bool set_matches(const char **pattern, unsigned char byte)
{
    const char *at = *pattern;
    const bool none = *at == '!' || *at == '^';
    bool found = false, first = true;
    for (at += none; first || *at != ']'; first = false) {
        const unsigned char low = set_byte(&at);
        unsigned char high = low;
        if (at[0] == '-' && at[1] != ']') {
            at++;
            high = set_byte(&at);
        }
        found = found || (byte >= low && byte <= high);
    }
    *pattern = at + 1;
    return found != none;
}

/* One element that isn't `*`, past which it leads. */
static bool element_matches(const char **pattern, unsigned char byte)
{
    const char *at = (*pattern)++;
    switch (*at) {
    case '?':
        return true;
    case '[':
        return set_matches(pattern, byte);
    case '\\':
        return (unsigned char)*(*pattern)++ == byte;
    default:
        return (unsigned char)*at == byte;
    }
}

static bool pattern_matches(struct http_slice text, struct http_slice path)
{
    const char *at = text.at, *end = text.at + text.size, *star = NULL;
    size_t i = 0, star_i = 0;
    while (i <= path.size) {
        const char *next = at;
        if (at < end && *at == '*') {
            star = ++at; /* takes nothing at first */
            star_i = i;
        } else if (at < end && element_matches(&next, byte_at(path, i))) {
            at = next;
            i++;
        } else if (star) {
            at = star; /* takes one more */
            i = ++star_i;
        } else {
            return false;
        }
    }
    while (at < end && *at == '*')
        at++;
    return at == end;
}

bool http_glob_matches(const struct http_glob *glob, struct http_slice path)
{
    const struct http_slice text = glob->text;
    switch (glob->kind) {
    case GLOB_ANY:
        return true;
    case GLOB_SUFFIX:
        if (text.size > path.size)
            return text.size == path.size + 1 && text.at[0] == '/' &&
                   memcmp(text.at + 1, path.at, path.size) == 0;
        return memcmp(path.at + path.size - text.size, text.at, text.size) == 0;
    case GLOB_PATTERN:
        break;
    }
    return pattern_matches(text, path);
}
