/* Parses a request head line by line. A line is looked at once, when its end has come; only its length and
 * its very first byte are judged before. Framing, Host and Connection are judged at the empty line. Refuses
 * to guess: no obs-fold, no bare CR or LF, no space before a colon, no second Content-Length. */
#include "proxy/http/request.h"

#include <stdint.h>
#include <string.h>

static bool is_token(struct http_slice slice)
{
    for (size_t i = 0; i < slice.size; i++)
        if (!http_is_token_char(slice.at[i]))
            return false;
    return slice.size > 0;
}

static bool refuse(struct http_request *request, int status, const char *problem)
{
    request->status = status;
    request->problem = problem;
    return false;
}

static bool refuse_size(struct http_request *request, int status, enum http_limit limit)
{
    request->limit = limit;
    return refuse(request, status, http_limit_name(limit));
}

static enum http_method method_of(struct http_slice text)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {
        {"GET", HTTP_METHOD_GET},       {"HEAD", HTTP_METHOD_HEAD},    {"POST", HTTP_METHOD_OTHER},
        {"PUT", HTTP_METHOD_OTHER},     {"DELETE", HTTP_METHOD_OTHER}, {"PATCH", HTTP_METHOD_OTHER},
        {"OPTIONS", HTTP_METHOD_OTHER}, {"TRACE", HTTP_METHOD_OTHER},  {"CONNECT", HTTP_METHOD_CONNECT},
    };
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (http_slice_is(text, methods[i].name))
            return methods[i].method;
    return HTTP_METHOD_UNKNOWN;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool parse_version(struct http_request *request, struct http_slice text)
{
    if (text.size != 8 || memcmp(text.at, "HTTP/", 5) != 0 || !is_digit(text.at[5]) || text.at[6] != '.' ||
        !is_digit(text.at[7]))
        return refuse(request, 400, "malformed HTTP version");
    if (text.at[5] != '1')
        return refuse(request, 505, "HTTP version not supported");
    request->minor = text.at[7] == '0' ? 0 : 1;
    return true;
}

static bool parse_request_line(struct http_request *request, struct http_slice line)
{
    const char *end = line.at + line.size;
    const char *space = memchr(line.at, ' ', line.size);
    if (!space)
        return refuse(request, 400, "malformed request line");
    struct http_slice method = {line.at, (size_t)(space - line.at)};
    if (!is_token(method))
        return refuse(request, 400, "malformed method");
    const char *target = space + 1;
    space = memchr(target, ' ', (size_t)(end - target));
    if (!space || space == target)
        return refuse(request, 400, "malformed request line");
    request->target = (struct http_slice){target, (size_t)(space - target)};
    if (request->target.size > request->limits->max_uri)
        return refuse_size(request, 414, HTTP_LIMIT_MAX_URI);
    for (size_t i = 0; i < request->target.size; i++) {
        /* RFC 3986 has no byte outside visible ASCII, and a fragment is never sent. */
        if (target[i] <= ' ' || target[i] > '~' || target[i] == '#')
            return refuse(request, 400, "invalid character in the request target");
    }
    request->method = method_of(method);
    return parse_version(request, (struct http_slice){space + 1, (size_t)(end - space - 1)});
}

static bool parse_field(struct http_request *request, struct http_slice line)
{
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return refuse(request, 400, "folded header line");
    const char *colon = memchr(line.at, ':', line.size);
    if (!colon)
        return refuse(request, 400, "header line without a colon");
    struct http_slice name = {line.at, (size_t)(colon - line.at)};
    if (!is_token(name))
        return refuse(request, 400, "invalid header name");
    struct http_slice value = {colon + 1, line.size - name.size - 1};
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return refuse(request, 400, "control character in a header");
    }
    if (request->field_count == request->limits->max_fields)
        return refuse_size(request, 431, HTTP_LIMIT_MAX_FIELDS);
    request->fields[request->field_count++] = (struct http_field){name, http_slice_trim(value)};
    return true;
}

static bool parse_host(struct http_request *request, struct http_slice value)
{
    if (request->host.at)
        return refuse(request, 400, "more than one Host");
    if (!http_host_valid(value))
        return refuse(request, 400, "invalid Host");
    request->host = value;
    return true;
}

static bool parse_content_length(struct http_request *request, struct http_slice value, bool *seen)
{
    /* Also when both are equal: a list is one more way to be read differently by two programs. */
    if (*seen)
        return refuse(request, 400, "more than one Content-Length");
    *seen = true;
    uint64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        const uint64_t digit = (uint64_t)(value.at[i] - '0');
        if (!is_digit(value.at[i]) || length > (UINT64_MAX - digit) / 10)
            return refuse(request, 400, "invalid Content-Length");
        length = length * 10 + digit;
    }
    if (value.size == 0)
        return refuse(request, 400, "invalid Content-Length");
    request->content_length = length;
    request->has_body = request->has_body || length > 0;
    return true;
}

/* What the Transfer-Encoding lines said so far, taken together as one list. */
struct codings {
    bool seen, chunked, others;
};

static bool parse_transfer_encoding(struct http_request *request, struct http_slice value,
                                    struct codings *codings)
{
    codings->seen = true;
    struct http_slice coding;
    while (http_slice_next(&value, &coding)) {
        if (!is_token(coding) || codings->chunked)
            return refuse(request, 400, "invalid Transfer-Encoding");
        if (http_slice_is_nocase(coding, "chunked"))
            codings->chunked = true;
        else
            codings->others = true;
    }
    return true;
}

static void parse_connection(struct http_slice value, bool *closes, bool *keeps)
{
    struct http_slice option;
    while (http_slice_next(&value, &option)) {
        *closes = *closes || http_slice_is_nocase(option, "close");
        *keeps = *keeps || http_slice_is_nocase(option, "keep-alive");
    }
}

static bool judge_framing(struct http_request *request, bool has_length, const struct codings *codings)
{
    if (!codings->seen)
        return true;
    if (has_length)
        return refuse(request, 400, "Content-Length with Transfer-Encoding");
    if (request->minor == 0)
        return refuse(request, 400, "Transfer-Encoding in HTTP/1.0");
    if (!codings->chunked)
        return refuse(request, 400, "Transfer-Encoding does not end in chunked");
    if (codings->others)
        return refuse(request, 501, "unknown transfer coding");
    request->has_body = true;
    return true;
}

/* The empty line has come: what the fields mean together. */
static bool judge_fields(struct http_request *request)
{
    bool has_length = false, closes = false, keeps = false;
    struct codings codings = {0};
    for (unsigned i = 0; i < request->field_count; i++) {
        struct http_slice name = request->fields[i].name, value = request->fields[i].value;
        bool good = true;
        if (http_slice_is_nocase(name, "Host"))
            good = parse_host(request, value);
        else if (http_slice_is_nocase(name, "Content-Length"))
            good = parse_content_length(request, value, &has_length);
        else if (http_slice_is_nocase(name, "Transfer-Encoding"))
            good = parse_transfer_encoding(request, value, &codings);
        else if (http_slice_is_nocase(name, "Connection"))
            parse_connection(value, &closes, &keeps);
        else if (http_slice_is_nocase(name, "Expect"))
            request->expects_continue = true;
        if (!good)
            return false;
    }
    if (!request->host.at && request->minor > 0)
        return refuse(request, 400, "no Host");
    if (!judge_framing(request, has_length, &codings))
        return false;
    request->keep_alive = !closes && (request->minor > 0 || keeps);
    if (request->method == HTTP_METHOD_UNKNOWN)
        return refuse(request, 501, "unknown method");
    return true;
}

/* One line, its CRLF cut off. false: the head is at its end, complete or refused. */
static bool take_line(struct http_request *request, struct http_slice line)
{
    if (!request->in_fields) {
        if (line.size == 0) {
            /* RFC 9112 2.2: one empty line before the request line is tolerated. */
            request->begun = true;
            return true;
        }
        request->line = line;
        request->in_fields = true;
        return parse_request_line(request, line);
    }
    if (line.size > 0)
        return parse_field(request, line);
    request->head_size = request->line_at;
    judge_fields(request);
    return false;
}

/* What can be said before the line's end has come. Its first byte, so that a TLS handshake on a plain port is
 * refused at once; and its length. `size`: bytes of the line that are there, CR included. */
static bool judge_open_line(struct http_request *request, const char *at, size_t size)
{
    if (request->in_fields || size == 0)
        return true;
    if (!http_is_token_char(at[0]) && (at[0] != '\r' || request->begun))
        return refuse(request, 400, "not an HTTP request");
    const size_t most = request->limits->max_uri + HTTP_LINE_REST;
    if (size > most + 1) {
        request->line = (struct http_slice){at, most};
        return refuse_size(request, 414, HTTP_LIMIT_MAX_URI);
    }
    return true;
}

void http_request_init(struct http_request *request, const struct http_limits *limits,
                       struct http_field *fields)
{
    *request = (struct http_request){.limits = limits, .fields = fields};
}

enum http_parse http_request_parse(struct http_request *request, const char *buffer, size_t size)
{
    const size_t most = request->limits->max_head, limit = size < most ? size : most;
    bool more = request->status == 0 && request->head_size == 0;
    while (more) {
        const char *at = buffer + request->line_at;
        const char *end = memchr(buffer + request->scanned, '\n', limit - request->scanned);
        size_t length = end ? (size_t)(end - at) : limit - request->line_at;
        request->scanned = request->line_at + length;
        if (!judge_open_line(request, at, end && length == 0 ? 1 : length))
            break;
        if (!end) {
            if (limit == most) {
                refuse_size(request, 431, HTTP_LIMIT_MAX_HEAD);
                break;
            }
            return HTTP_PARSE_INCOMPLETE;
        }
        request->line_at = request->scanned = (size_t)(end - buffer) + 1;
        if (length == 0 || end[-1] != '\r') {
            refuse(request, 400, "line does not end in CRLF");
            break;
        }
        more = take_line(request, (struct http_slice){at, length - 1});
    }
    return request->status != 0 ? HTTP_PARSE_REFUSED : HTTP_PARSE_COMPLETE;
}

bool http_request_field(const struct http_request *request, const char *name, struct http_slice *value)
{
    bool found = false;
    for (unsigned i = 0; i < request->field_count; i++) {
        if (http_slice_is_nocase(request->fields[i].name, name)) {
            if (found)
                return false;
            found = true;
            *value = request->fields[i].value;
        }
    }
    return found;
}
