/* See body.h: a machine that looks at framing byte by byte and steps over content. */
#include "proxy/http/body.h"

#include <stdbool.h>

/* A size has as many digits at most, leading zeros included: those of 2^64. */
#define DIGITS_MAX 16

static bool refuse(struct http_body *body, int status, const char *problem)
{
    body->state = HTTP_BODY_AT_REFUSAL;
    body->status = status;
    body->problem = problem;
    return false;
}

static bool expect(struct http_body *body, bool found, enum http_body_state next, const char *problem)
{
    if (!found)
        return refuse(body, 400, problem);
    body->state = next;
    return true;
}

/* -1: none. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool take_size(struct http_body *body, char c)
{
    const int value = hex_value(c);
    if (value != -1) {
        if (body->digits == DIGITS_MAX)
            return refuse(body, 400, "invalid chunk size");
        body->digits++;
        body->left = body->left << 4 | (uint64_t)value;
        return true;
    }
    if (body->digits == 0 || (c != '\r' && c != ';'))
        return refuse(body, 400, "invalid chunk size");
    body->state = c == ';' ? HTTP_BODY_EXTENSION : HTTP_BODY_SIZE_LF;
    return true;
}

/* The line with the size has ended. */
static bool begin_data(struct http_body *body)
{
    if (body->left >= body->room) /* this line's LF is still in it */
        return refuse(body, 413, http_limit_name(HTTP_LIMIT_MAX_BODY));
    body->state = body->left > 0 ? HTTP_BODY_DATA : HTTP_BODY_TRAILER;
    return true;
}

static void begin_size(struct http_body *body)
{
    body->state = HTTP_BODY_SIZE;
    body->left = 0;
    body->digits = 0;
}

/* What may stand in an extension and in a trailer's value. */
static bool is_text(char c)
{
    return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static bool take_text(struct http_body *body, char c, enum http_body_state at_cr, const char *problem)
{
    return c == '\r' ? expect(body, true, at_cr, NULL) : is_text(c) || refuse(body, 400, problem);
}

static bool take_trailer(struct http_body *body, char c)
{
    if (c == '\r' && body->state == HTTP_BODY_TRAILER)
        return expect(body, true, HTTP_BODY_END_LF, NULL);
    if (c == ':' && body->state == HTTP_BODY_TRAILER_NAME)
        return expect(body, true, HTTP_BODY_TRAILER_VALUE, NULL);
    return expect(body, http_is_token_char(c), HTTP_BODY_TRAILER_NAME, "invalid trailer name");
}

/* One byte of the framing. false: refused. */
static bool take(struct http_body *body, char c)
{
    switch (body->state) {
    case HTTP_BODY_SIZE:
        return take_size(body, c);
    case HTTP_BODY_EXTENSION:
        return take_text(body, c, HTTP_BODY_SIZE_LF, "control character in a chunk extension");
    case HTTP_BODY_SIZE_LF:
        return expect(body, c == '\n', HTTP_BODY_DATA, "chunk size does not end in CRLF") && begin_data(body);
    case HTTP_BODY_DATA_CR:
        return expect(body, c == '\r', HTTP_BODY_DATA_LF, "chunk does not end in CRLF");
    case HTTP_BODY_DATA_LF:
        if (!expect(body, c == '\n', HTTP_BODY_SIZE, "chunk does not end in CRLF"))
            return false;
        begin_size(body);
        return true;
    case HTTP_BODY_TRAILER:
    case HTTP_BODY_TRAILER_NAME:
        return take_trailer(body, c);
    case HTTP_BODY_TRAILER_VALUE:
        return take_text(body, c, HTTP_BODY_TRAILER_LF, "control character in a trailer");
    case HTTP_BODY_TRAILER_LF:
        return expect(body, c == '\n', HTTP_BODY_TRAILER, "trailer does not end in CRLF");
    case HTTP_BODY_END_LF:
        return expect(body, c == '\n', HTTP_BODY_AT_END, "trailer does not end in CRLF");
    case HTTP_BODY_CONTENT:
    case HTTP_BODY_DATA:
    case HTTP_BODY_AT_END:
    case HTTP_BODY_AT_REFUSAL:
        break;
    }
    return false;
}

/* Content: how many of `size` bytes are. */
static size_t step_over(struct http_body *body, size_t size)
{
    const size_t n = body->left < size ? (size_t)body->left : size;
    body->left -= n;
    if (body->left == 0)
        body->state = body->state == HTTP_BODY_CONTENT ? HTTP_BODY_AT_END : HTTP_BODY_DATA_CR;
    return n;
}

void http_body_init(struct http_body *body, const struct http_request *request,
                    const struct http_limits *limits)
{
    *body = (struct http_body){.room = limits->max_body};
    if (request->content_length == 0) {
        begin_size(body);
        return;
    }
    body->state = HTTP_BODY_CONTENT;
    body->left = request->content_length;
    if (body->left > body->room)
        refuse(body, 413, http_limit_name(HTTP_LIMIT_MAX_BODY));
}

enum http_body_status http_body_skip(struct http_body *body, const char *data, size_t size, size_t *used)
{
    size_t at = 0;
    while (at < size && body->state < HTTP_BODY_AT_END) {
        if (body->room == 0) {
            refuse(body, 413, http_limit_name(HTTP_LIMIT_MAX_BODY));
            break;
        }
        size_t n = 1;
        if (body->state == HTTP_BODY_CONTENT || body->state == HTTP_BODY_DATA)
            n = step_over(body, size - at);
        else if (!take(body, data[at]))
            break;
        body->room -= n;
        at += n;
    }
    *used = body->state == HTTP_BODY_AT_END ? at : size;
    if (body->state == HTTP_BODY_AT_END)
        return HTTP_BODY_DONE;
    return body->state == HTTP_BODY_AT_REFUSAL ? HTTP_BODY_REFUSED : HTTP_BODY_MORE;
}
