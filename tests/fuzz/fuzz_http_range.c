/* Fuzzes the Range field: whatever is asked for, the ranges lie within the file, apart from each other, cover
 * what each element alone would give, and nothing else but gaps. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "proxy/http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

#define FILE_MAX 512

/* What an element gives by itself; the unit stands in front of each. */
static enum http_range parse_one(struct http_slice element, uint64_t whole, struct http_ranges *one)
{
    char *text = malloc(6 + element.size);
    CHECK(text);
    memcpy(text, "bytes=", 6);
    if (element.size > 0)
        memcpy(text + 6, element.at, element.size);
    enum http_range kind = http_range_parse((struct http_slice){text, 6 + element.size}, whole, 0, one);
    CHECK(kind != HTTP_RANGE_PARTS || one->count == 1);
    free(text);
    return kind;
}

/* The bytes that are asked for, by a way that makes nothing of several. false: one is no range. */
static bool mark(struct http_slice list, uint64_t whole, bool asked[FILE_MAX])
{
    struct http_slice element;
    struct http_ranges one;
    while (http_slice_next(&list, &element)) {
        if (element.size == 0)
            continue;
        switch (parse_one(element, whole, &one)) {
        case HTTP_RANGE_WHOLE:
            return false;
        case HTTP_RANGE_UNSATISFIABLE:
            break;
        case HTTP_RANGE_PARTS:
            for (uint64_t i = one.at[0].first; i < one.at[0].end; i++)
                asked[i] = true;
        }
    }
    return true;
}

static void check(struct http_slice list, const struct http_ranges *ranges, uint64_t whole, uint64_t gap)
{
    bool asked[FILE_MAX] = {false}, sent[FILE_MAX] = {false};
    CHECK(ranges->count >= 1 && ranges->count <= HTTP_RANGES_MAX);
    CHECK(mark(list, whole, asked));
    for (unsigned i = 0; i < ranges->count; i++) {
        const uint64_t first = ranges->at[i].first, end = ranges->at[i].end;
        CHECK(first < end && end <= whole);
        CHECK(asked[first] && asked[end - 1]);
        for (unsigned j = 0; j < i; j++)
            CHECK(first > ranges->at[j].end + gap || ranges->at[j].first > end + gap);
        uint64_t idle = 0;
        for (uint64_t at = first; at < end; at++) {
            sent[at] = true;
            idle = asked[at] ? 0 : idle + 1;
            CHECK(idle <= gap);
        }
    }
    for (uint64_t i = 0; i < whole; i++)
        CHECK(!asked[i] || sent[i]);
}

/* Two bytes of the file's size, one of the gap, then the field without its unit. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const uint64_t whole = 1 + (data[0] + 256u * data[1]) % FILE_MAX, gap = data[2];
    char *text = malloc(6 + size - 3);
    CHECK(text);
    memcpy(text, "bytes=", 6);
    memcpy(text + 6, data + 3, size - 3);
    struct http_ranges ranges;
    struct http_slice value = {text, 6 + size - 3}, list = {text + 6, size - 3};
    if (http_range_parse(value, whole, gap, &ranges) == HTTP_RANGE_PARTS)
        check(list, &ranges, whole, gap);
    free(text);
    return 0;
}
