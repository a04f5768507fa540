/* "bytes=first-last, first-, -suffix": read, then made one where they meet.
 * Refuses to guess: one range that can't be understood, and the field is ignored. */
#include "proxy/http/range.h"

#include <stdbool.h>

/* Decimal digits; a number past 64 bits is as good as the largest. false: no digit. */
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

/* One range-spec. WHOLE: it is none. PARTS: bytes [*first, *end), none only where the whole has none. */
static enum http_range take_spec(struct http_slice text, uint64_t size, uint64_t *first, uint64_t *end)
{
    uint64_t last = UINT64_MAX;
    const bool has_first = take_number(&text, first);
    if (text.size == 0 || text.at[0] != '-')
        return HTTP_RANGE_WHOLE;
    text.at++;
    text.size--;
    const bool has_last = take_number(&text, &last);
    if (text.size > 0 || !(has_first || has_last))
        return HTTP_RANGE_WHOLE;
    if (!has_first) { /* the last `last` bytes: of nothing, too, if the whole has none */
        *first = last < size ? size - last : 0;
        *end = size;
        return last > 0 ? HTTP_RANGE_PARTS : HTTP_RANGE_UNSATISFIABLE;
    }
    if (has_last && last < *first)
        return HTTP_RANGE_WHOLE;
    *end = has_last && last < size ? last + 1 : size;
    return *first < size ? HTTP_RANGE_PARTS : HTTP_RANGE_UNSATISFIABLE;
}

static void remove_range(struct http_ranges *ranges, unsigned index)
{
    ranges->count--;
    memmove(&ranges->at[index], &ranges->at[index + 1], (ranges->count - index) * sizeof(ranges->at[0]));
}

/* Adds [first, end) to ranges more than gap apart, and leaves them so. */
static void add_range(struct http_ranges *ranges, uint64_t first, uint64_t end, uint64_t gap)
{
    unsigned place = ranges->count;
    for (unsigned i = 0; i < ranges->count;) {
        const uint64_t from = ranges->at[i].first, to = ranges->at[i].end;
        if ((from > end && from - end > gap) || (first > to && first - to > gap)) {
            i++;
            continue;
        }
        /* What it has grown to may reach one that it did not before. */
        first = from < first ? from : first;
        end = to > end ? to : end;
        place = i < place ? i : place;
        remove_range(ranges, i);
        i = 0;
    }
    memmove(&ranges->at[place + 1], &ranges->at[place], (ranges->count - place) * sizeof(ranges->at[0]));
    ranges->at[place].first = first;
    ranges->at[place].end = end;
    ranges->count++;
}

enum http_range http_range_parse(struct http_slice value, uint64_t size, uint64_t gap,
                                 struct http_ranges *ranges)
{
    if (value.size < 6 || strncasecmp(value.at, "bytes=", 6) != 0)
        return HTTP_RANGE_WHOLE;
    struct http_slice rest = {value.at + 6, value.size - 6}, spec;
    unsigned asked = 0;
    bool any = false;
    ranges->count = 0;
    while (http_slice_next(&rest, &spec)) {
        uint64_t first, end;
        if (spec.size == 0) /* RFC 9110 5.6.1.2: lists may have empty elements */
            continue;
        if (++asked > HTTP_RANGES_ASKED_MAX)
            return HTTP_RANGE_WHOLE;
        switch (take_spec(spec, size, &first, &end)) {
        case HTTP_RANGE_WHOLE:
            return HTTP_RANGE_WHOLE;
        case HTTP_RANGE_PARTS:
            any = true;
            add_range(ranges, first, end, gap);
            break;
        case HTTP_RANGE_UNSATISFIABLE:
            break;
        }
    }
    if (asked == 0)
        return HTTP_RANGE_WHOLE;
    if (!any)
        return HTTP_RANGE_UNSATISFIABLE;
    /* A suffix of nothing is satisfiable, but Content-Range can't express a part of it. */
    return size == 0 || ranges->count > HTTP_RANGES_MAX ? HTTP_RANGE_WHOLE : HTTP_RANGE_PARTS;
}
