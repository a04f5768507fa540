/* Reads Accept-Encoding. Refuses to guess: an element with a parameter that isn't a good weight is as if it
 * weren't there, so a coding is never sent because of a misunderstanding. */
#include "proxy/http/accept_encoding.h"

#include "proxy/http/request.h"

#define UNNAMED UINT16_MAX
#define QUALITY_MAX 1000

/* "0.5", "1", "1.000": one digit and up to three more. */
static bool parse_quality(struct http_slice text, uint16_t *quality)
{
    if (text.size == 0 || text.size > 5 || (text.at[0] != '0' && text.at[0] != '1') ||
        (text.size > 1 && text.at[1] != '.'))
        return false;
    unsigned value = (unsigned)(text.at[0] - '0') * QUALITY_MAX;
    unsigned unit = QUALITY_MAX;
    for (size_t i = 2; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        unit /= 10;
        value += (unsigned)(text.at[i] - '0') * unit;
    }
    *quality = (uint16_t)value;
    return value <= QUALITY_MAX;
}

/* "gzip", "gzip;q=0.5", "gzip ; Q=0.5". */
static bool parse_element(struct http_slice element, struct http_slice *name, uint16_t *quality)
{
    *quality = QUALITY_MAX;
    const char *semicolon = memchr(element.at, ';', element.size);
    if (!semicolon) {
        *name = element;
        return element.size > 0;
    }
    const size_t size = (size_t)(semicolon - element.at);
    *name = http_slice_trim((struct http_slice){element.at, size});
    struct http_slice weight = http_slice_trim((struct http_slice){semicolon + 1, element.size - size - 1});
    if (weight.size < 2 || strncasecmp(weight.at, "q=", 2) != 0)
        return false;
    return name->size > 0 && parse_quality((struct http_slice){weight.at + 2, weight.size - 2}, quality);
}

static void note(uint16_t *known, uint16_t quality)
{
    if (*known == UNNAMED || quality < *known)
        *known = quality;
}

static void parse_list(struct http_slice list, struct http_accept_encoding *accept, uint16_t *others)
{
    struct http_slice element, name;
    while (http_slice_next(&list, &element)) {
        uint16_t quality;
        enum http_coding coding;
        if (!parse_element(element, &name, &quality))
            continue;
        if (http_slice_is(name, "*"))
            note(others, quality);
        else if (http_coding_parse(name, &coding))
            note(&accept->quality[coding], quality);
    }
}

void http_accept_encoding_parse(const struct http_request *request, struct http_accept_encoding *accept)
{
    uint16_t others = UNNAMED;
    for (unsigned i = 0; i < HTTP_CODING_COUNT; i++)
        accept->quality[i] = UNNAMED;
    for (unsigned i = 0; i < request->field_count; i++)
        if (http_slice_is_nocase(request->fields[i].name, "Accept-Encoding"))
            parse_list(request->fields[i].value, accept, &others);
    for (unsigned i = 0; i < HTTP_CODING_COUNT; i++)
        if (accept->quality[i] == UNNAMED)
            accept->quality[i] = others == UNNAMED ? 0 : others;
}

bool http_accept_encoding_takes(const struct http_accept_encoding *accept, enum http_coding coding)
{
    const uint16_t quality = accept->quality[coding];
    return quality > 0 && quality >= accept->quality[HTTP_CODING_IDENTITY];
}
