/* Puts the two tables together, sorted, with charsets where they belong, and searches that.
 * Refuses to check what the operator wrote: conf did. */
#include "proxy/http/mime.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "proxy/http/mime_types.h"

struct entry {
    const char *extension, *type;
    char *made; /* memory of type, where it was put together */
};

struct http_mime {
    struct entry otherwise; /* no extension, or one that isn't known */
    size_t count;
    struct entry entries[]; /* by extension, whatever its case */
};

/* RFC 8259 gives JSON none, and XML files say it themselves. */
static bool wants_charset(const char *type)
{
    static const char *const others[] = {"application/javascript", "application/xhtml+xml", "image/svg+xml"};
    if (strchr(type, ';'))
        return false; /* as the operator wrote it */
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcasecmp(type, others[i]) == 0)
            return true;
    return strncasecmp(type, "text/", 5) == 0;
}

static bool make(struct entry *entry, const char *extension, const char *type, const char *charset)
{
    *entry = (struct entry){.extension = extension, .type = type};
    if (strcmp(charset, "off") == 0 || !wants_charset(type))
        return true;
    if (asprintf(&entry->made, "%s; charset=%s", type, charset) == -1) {
        entry->made = NULL;
        return false;
    }
    entry->type = entry->made;
    return true;
}

static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    return strcasecmp(a->extension, b->extension);
}

static const struct entry *find(const struct http_mime *mime, const char *extension)
{
    const struct entry key = {.extension = extension};
    return bsearch(&key, mime->entries, mime->count, sizeof(key), compare);
}

static bool add(struct http_mime *mime, const char *extension, const char *type, const char *charset)
{
    return make(&mime->entries[mime->count++], extension, type, charset);
}

struct http_mime *http_mime_new(const struct conf_http_policy *conf)
{
    size_t most = mime_type_count;
    for (size_t i = 0; i < conf->mime_type_count; i++)
        most += conf->mime_types[i].extension_count;
    struct http_mime *mime = calloc(1, sizeof(*mime) + most * sizeof(mime->entries[0]));
    if (!mime)
        return NULL;
    bool good = make(&mime->otherwise, "", conf->default_type, conf->charset);
    for (size_t i = 0; i < conf->mime_type_count; i++)
        for (size_t j = 0; good && j < conf->mime_types[i].extension_count; j++)
            good = add(mime, conf->mime_types[i].extensions[j], conf->mime_types[i].type, conf->charset);
    qsort(mime->entries, mime->count, sizeof(mime->entries[0]), compare);
    /* What the operator named is left out; what is behind it isn't sorted yet. */
    const size_t theirs = mime->count;
    for (size_t i = 0; good && i < mime_type_count; i++) {
        const struct entry key = {.extension = mime_types[i].extension};
        if (!bsearch(&key, mime->entries, theirs, sizeof(key), compare))
            good = add(mime, mime_types[i].extension, mime_types[i].type, conf->charset);
    }
    qsort(mime->entries, mime->count, sizeof(mime->entries[0]), compare);
    if (good)
        return mime;
    http_mime_free(mime);
    return NULL;
}

void http_mime_free(struct http_mime *mime)
{
    if (!mime)
        return;
    for (size_t i = 0; i < mime->count; i++)
        free(mime->entries[i].made);
    free(mime->otherwise.made);
    free(mime);
}

const char *http_mime_type(const struct http_mime *mime, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *file = slash ? slash + 1 : name;
    const char *dot = strrchr(file, '.');
    /* ".html" is a hidden file called html, not a page. */
    const struct entry *entry = dot && dot != file ? find(mime, dot + 1) : NULL;
    return entry ? entry->type : mime->otherwise.type;
}
