/* Names in documents. Refuses to know the documents. */
#include <stdbool.h>
#include <string.h>

#include "proxy/http/listing_page.h"
#include "proxy/http/target.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The length of the character in UTF-8 (RFC 3629) that text begins with; 0: it begins with none. */
static size_t character(const unsigned char *text, size_t size)
{
    static const struct {
        unsigned char first, last, second_min, second_max, size;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last)
            continue;
        if (forms[i].size > size)
            return 0;
        for (size_t at = 1; at < forms[i].size; at++)
            if (text[at] < (at == 1 ? forms[i].second_min : 0x80) ||
                text[at] > (at == 1 ? forms[i].second_max : 0xbf))
                return 0;
        return forms[i].size;
    }
    return 0;
}

/* What stands for a character of that length; NULL: itself. */
typedef const char *escaping(const char *text, size_t length);

static void put(FILE *stream, const char *text, size_t size, escaping *escape)
{
    while (size > 0) {
        size_t length = character((const unsigned char *)text, size);
        const char *instead = length == 0 ? REPLACEMENT : escape(text, length);
        if (length == 0)
            length = 1;
        if (instead)
            fputs(instead, stream);
        else
            fwrite(text, 1, length, stream);
        text += length;
        size -= length;
    }
}

/* U+202A to U+202E and U+2066 to U+2069: with them "exe.txt" can look like "txt.exe". */
static bool turns_direction(const char *text, size_t length)
{
    return length == 3 && ((memcmp(text, "\xe2\x80\xaa", 3) >= 0 && memcmp(text, "\xe2\x80\xae", 3) <= 0) ||
                           (memcmp(text, "\xe2\x81\xa6", 3) >= 0 && memcmp(text, "\xe2\x81\xa9", 3) <= 0));
}

static const char *escape_html(const char *text, size_t length)
{
    switch (text[0]) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return turns_direction(text, length) ? REPLACEMENT : NULL;
    }
}

/* Control characters are in no name that is listed. */
static const char *escape_json(const char *text, size_t length)
{
    (void)length;
    return text[0] == '"' ? "\\\"" : text[0] == '\\' ? "\\\\" : NULL;
}

void listing_put_html(FILE *stream, const char *text, size_t size)
{
    put(stream, text, size, escape_html);
}

void listing_put_json(FILE *stream, const char *text, size_t size)
{
    put(stream, text, size, escape_json);
}

void listing_put_link(FILE *stream, const char *text, size_t size)
{
    char encoded[3 * 256 + 1];
    while (size > 0) {
        const size_t part = size < 256 ? size : 256;
        const size_t length = http_target_encode(text, part, encoded);
        fwrite(encoded, 1, length, stream);
        text += part;
        size -= part;
    }
}
