/* Decodes segment by segment and drops empty ones, "." and "..": what is left can be opened beneath a root
 * and put into a Location without ever beginning with two slashes. Refuses to decode twice: %252e is the name
 * "%2e". */
#include "proxy/http/target.h"

#include <stdint.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool port_valid(struct http_slice text)
{
    unsigned port = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.at[i] - '0');
        if (port > UINT16_MAX)
            return false;
    }
    return true;
}

/* The length of the host part of an authority, 0 if it isn't one. */
static size_t host_length(struct http_slice text)
{
    size_t i = 0;
    if (text.size > 0 && text.at[0] == '[') {
        for (i = 1; i < text.size && (hex_digit(text.at[i]) >= 0 || text.at[i] == ':' || text.at[i] == '.');)
            i++;
        return i > 1 && i < text.size && text.at[i] == ']' ? i + 1 : 0;
    }
    while (i < text.size && text.at[i] != ':') {
        if (text.at[i] == '%') {
            if (text.size - i < 3 || hex_digit(text.at[i + 1]) < 0 || hex_digit(text.at[i + 2]) < 0)
                return 0;
            i += 3;
        } else if (is_unreserved(text.at[i])) {
            i++;
        } else {
            return 0;
        }
    }
    return i;
}

bool http_host_valid(struct http_slice text)
{
    size_t host = host_length(text);
    if (host == 0)
        return false;
    if (host == text.size)
        return true;
    return text.at[host] == ':' && port_valid((struct http_slice){text.at + host + 1, text.size - host - 1});
}

/* Cuts scheme and authority off; what is left may be empty. false: neither origin-form nor absolute-form. */
static bool cut_authority(struct http_slice *text, struct http_slice *cut)
{
    if (text->size > 0 && text->at[0] == '/')
        return true;
    size_t scheme;
    if (text->size >= 7 && strncasecmp(text->at, "http://", 7) == 0)
        scheme = 7;
    else if (text->size >= 8 && strncasecmp(text->at, "https://", 8) == 0)
        scheme = 8;
    else
        return false;
    struct http_slice authority = {text->at + scheme, 0};
    while (scheme + authority.size < text->size && authority.at[authority.size] != '/' &&
           authority.at[authority.size] != '?')
        authority.size++;
    text->at = authority.at + authority.size;
    text->size -= scheme + authority.size;
    *cut = authority;
    return http_host_valid(authority);
}

/* Decodes one segment to out. Its length, or -1: malformed, or a control character. */
static long decode_segment(struct http_slice segment, char *out, bool *encoded_slash)
{
    long size = 0;
    for (size_t i = 0; i < segment.size; i++) {
        char c = segment.at[i];
        if (c == '%') {
            int high = segment.size - i >= 3 ? hex_digit(segment.at[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(segment.at[i + 2]) : -1;
            if (low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
            *encoded_slash = *encoded_slash || c == '/';
        }
        if ((unsigned char)c < ' ' || c == 0x7f)
            return -1;
        out[size++] = c;
    }
    return size;
}

/* Appends the decoded segment that stands at path[size + 1], or drops it. The new size, or -1: above the
 * root. */
static long join_segment(char *path, size_t size, size_t segment_size)
{
    const char *segment = path + size + (size > 0);
    if (segment_size == 0 || (segment_size == 1 && segment[0] == '.'))
        return (long)size;
    if (segment_size == 2 && segment[0] == '.' && segment[1] == '.') {
        if (size == 0)
            return -1;
        while (size > 0 && path[--size] != '/') {
        }
        return (long)size;
    }
    if (size > 0)
        path[size] = '/';
    return (long)(size + (size > 0) + segment_size);
}

int http_target_parse(struct http_slice text, char *path, struct http_target *target)
{
    *target = (struct http_target){.path = path, .is_directory = true};
    if (!cut_authority(&text, &target->authority))
        return 400;
    const char *mark = text.size > 0 ? memchr(text.at, '?', text.size) : NULL;
    if (mark) {
        target->has_query = true;
        target->query = (struct http_slice){mark + 1, text.size - (size_t)(mark - text.at) - 1};
        text.size = (size_t)(mark - text.at);
    }

    bool encoded_slash = false;
    size_t size = 0;
    while (text.size > 0) {
        /* Here text begins with the slash before the segment. */
        const char *slash = memchr(text.at + 1, '/', text.size - 1);
        size_t raw = slash ? (size_t)(slash - text.at) - 1 : text.size - 1;
        long decoded =
            decode_segment((struct http_slice){text.at + 1, raw}, path + size + (size > 0), &encoded_slash);
        long joined = decoded < 0 ? -1 : join_segment(path, size, (size_t)decoded);
        if (joined < 0)
            return 400;
        target->is_directory = (size_t)joined <= size;
        size = (size_t)joined;
        text.at += raw + 1;
        text.size -= raw + 1;
    }
    path[size] = '\0';
    target->size = size;
    return encoded_slash ? 404 : 0;
}

struct http_slice http_target_rest(const struct http_target *target)
{
    return (struct http_slice){target->path + target->prefix, target->size - target->prefix};
}

bool http_target_is_hidden(const struct http_target *target)
{
    struct http_slice rest = http_target_rest(target);
    bool is_first = target->prefix == 0;
    while (rest.size > 0) {
        const char *slash = memchr(rest.at, '/', rest.size);
        const struct http_slice name = {rest.at, slash ? (size_t)(slash - rest.at) : rest.size};
        if (name.at[0] == '.' && !(is_first && http_slice_is(name, ".well-known")))
            return true;
        is_first = false;
        rest.at += name.size + (slash != NULL);
        rest.size -= name.size + (slash != NULL);
    }
    return false;
}

size_t http_target_encode(const char *path, size_t size, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)path[i];
        if (is_unreserved(path[i]) || c == '/') {
            out[n++] = path[i];
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    out[n] = '\0';
    return n;
}
