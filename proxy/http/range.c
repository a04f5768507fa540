/* "bytes=first-last", "bytes=first-" and "bytes=-suffix".
 * Refuses to serve several ranges at once: a list of overlapping ones is a known way to exhaust servers. */
#include "proxy/http/range.h"

#include <stdbool.h>

/* Decimal digits up to the end or `stop`; a number past 64 bits is as good as the largest. false: no digit.
 */
static bool take_number(struct http_slice *text, uint64_t *number)
{
    size_t digits = 0;
    *number = 0;
    while (digits < text->size && text->at[digits] >= '0' && text->at[digits] <= '9') {
        uint64_t digit = (uint64_t)(text->at[digits] - '0');
        *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
        digits++;
    }
    text->at += digits;
    text->size -= digits;
    return digits > 0;
}

static enum http_range suffix(struct http_slice text, uint64_t size, uint64_t *first, uint64_t *end)
{
    uint64_t length;
    if (!take_number(&text, &length) || text.size > 0)
        return HTTP_RANGE_WHOLE;
    if (length == 0)
        return HTTP_RANGE_UNSATISFIABLE;
    if (size == 0) {
        /* Satisfiable by the letter, but Content-Range can't express a part of nothing. */
        return HTTP_RANGE_WHOLE;
    }
    *first = length < size ? size - length : 0;
    *end = size;
    return HTTP_RANGE_PART;
}

enum http_range http_range_parse(struct http_slice value, uint64_t size, uint64_t *first, uint64_t *end)
{
    if (value.size < 6 || strncasecmp(value.at, "bytes=", 6) != 0)
        return HTTP_RANGE_WHOLE;
    struct http_slice text = http_slice_trim((struct http_slice){value.at + 6, value.size - 6});
    if (text.size > 0 && text.at[0] == '-')
        return suffix((struct http_slice){text.at + 1, text.size - 1}, size, first, end);
    uint64_t from, last;
    if (!take_number(&text, &from) || text.size == 0 || text.at[0] != '-')
        return HTTP_RANGE_WHOLE;
    text.at++;
    text.size--;
    bool has_last = take_number(&text, &last);
    if (text.size > 0 || (has_last && last < from))
        return HTTP_RANGE_WHOLE;
    if (from >= size)
        return HTTP_RANGE_UNSATISFIABLE;
    *first = from;
    *end = has_last && last < size ? last + 1 : size;
    return HTTP_RANGE_PART;
}
