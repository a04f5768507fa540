/* A table of names. Refuses to know what they are for. */
#include "proxy/http/coding.h"

static const struct {
    const char *name, *suffix;
} codings[HTTP_CODING_COUNT] = {
    [HTTP_CODING_IDENTITY] = {"identity", ""},
    [HTTP_CODING_BR] = {"br", ".br"},
    [HTTP_CODING_ZSTD] = {"zstd", ".zst"},
    [HTTP_CODING_GZIP] = {"gzip", ".gz"},
};

const char *http_coding_name(enum http_coding coding)
{
    return codings[coding].name;
}

const char *http_coding_suffix(enum http_coding coding)
{
    return codings[coding].suffix;
}

bool http_coding_parse(struct http_slice name, enum http_coding *coding)
{
    for (unsigned i = 0; i < HTTP_CODING_COUNT; i++) {
        if (http_slice_is_nocase(name, codings[i].name)) {
            *coding = (enum http_coding)i;
            return true;
        }
    }
    *coding = HTTP_CODING_GZIP;
    return http_slice_is_nocase(name, "x-gzip");
}
