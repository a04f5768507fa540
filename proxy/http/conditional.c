/* Entity tags and dates of a request, compared.
 * Refuses to trust what it can't read: a malformed date is ignored, a malformed tag matches nothing. */
#include "proxy/http/conditional.h"

#include "proxy/http/date.h"

/* Takes an entity-tag off the front of text. false: there is none. */
static bool take_tag(struct http_slice *text, bool *weak, struct http_slice *opaque)
{
    *weak = text->size >= 2 && text->at[0] == 'W' && text->at[1] == '/';
    size_t start = *weak ? 2 : 0, i = start + 1;
    if (text->size <= start || text->at[start] != '"')
        return false;
    while (i < text->size && text->at[i] != '"') {
        unsigned char c = (unsigned char)text->at[i];
        if (c <= ' ' || c == 0x7f)
            return false;
        i++;
    }
    if (i == text->size)
        return false;
    *opaque = (struct http_slice){text->at + start, i + 1 - start};
    text->at += i + 1;
    text->size -= i + 1;
    return true;
}

static bool is_weak(const char *etag)
{
    return etag[0] == 'W';
}

/* Whether a list of tags, or "*", names etag. A comma inside a tag is part of it. */
static bool list_matches(struct http_slice list, const char *etag, bool weak_counts)
{
    const char *const wanted = is_weak(etag) ? etag + 2 : etag;
    if (http_slice_is(list, "*"))
        return true;
    while (list.size > 0) {
        if (list.at[0] == ',' || list.at[0] == ' ' || list.at[0] == '\t') {
            list.at++;
            list.size--;
            continue;
        }
        bool weak;
        struct http_slice opaque;
        if (!take_tag(&list, &weak, &opaque))
            return false;
        if ((weak_counts || !(weak || is_weak(etag))) && http_slice_is(opaque, wanted))
            return true;
    }
    return false;
}

/* Over all lines of that name. present: there is one at least. */
static bool field_matches(const struct http_request *request, const char *name, const char *etag,
                          bool weak_counts, bool *present)
{
    bool matches = false;
    *present = false;
    for (unsigned i = 0; i < request->field_count; i++) {
        if (http_slice_is_nocase(request->fields[i].name, name)) {
            *present = true;
            matches = matches || list_matches(request->fields[i].value, etag, weak_counts);
        }
    }
    return matches;
}

static bool field_date(const struct http_request *request, const char *name, int64_t now, int64_t *date)
{
    struct http_slice value;
    return http_request_field(request, name, &value) && http_date_parse(value, now, date);
}

bool http_condition_is_settled(int64_t mtime, int64_t now)
{
    return mtime < now - 1 || mtime > now + 1;
}

enum http_condition http_condition_check(const struct http_request *request,
                                         const struct http_validators *validators)
{
    bool present;
    int64_t date;
    bool matches = field_matches(request, "If-Match", validators->etag, false, &present);
    if (present) {
        if (!matches)
            return HTTP_CONDITION_FAILED;
    } else if (field_date(request, "If-Unmodified-Since", validators->now, &date) &&
               validators->mtime > date) {
        return HTTP_CONDITION_FAILED;
    }
    matches = field_matches(request, "If-None-Match", validators->etag, true, &present);
    if (present)
        return matches ? HTTP_CONDITION_NOT_MODIFIED : HTTP_CONDITION_PROCEED;
    if (field_date(request, "If-Modified-Since", validators->now, &date) && validators->mtime <= date)
        return HTTP_CONDITION_NOT_MODIFIED;
    return HTTP_CONDITION_PROCEED;
}

bool http_condition_range(const struct http_request *request, const struct http_validators *validators)
{
    bool present = false;
    for (unsigned i = 0; i < request->field_count; i++)
        present = present || http_slice_is_nocase(request->fields[i].name, "If-Range");
    if (!present)
        return true;
    struct http_slice value;
    int64_t date;
    if (!http_request_field(request, "If-Range", &value))
        return false;
    if (http_date_parse(value, validators->now, &date))
        return date == validators->mtime && date < validators->now &&
               http_condition_is_settled(date, validators->now);
    return !is_weak(validators->etag) && http_slice_is(value, validators->etag);
}
