/* HTTP/1 response heads and chunked bodies (RFC 9112).
 * Refuses to know of connections and of what the body should be. */
#include "sluice_load/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t response_head_size(const char *data, size_t size)
{
    const char *end = memmem(data, size, "\r\n\r\n", 4);

    return end != NULL ? (size_t)(end - data) + 4 : 0;
}

/* The value of a field line if it has this name; not terminated: it goes on to the end of the line. */
static const char *field_value(const char *line, size_t size, const char *name)
{
    size_t length = strlen(name);

    if (size <= length || line[length] != ':' || strncasecmp(line, name, length) != 0)
        return NULL;
    line += length + 1;
    while (*line == ' ' || *line == '\t')
        line++;
    return line;
}

/* Digits up to the end of the line or to `end`. */
static int parse_number(const char *text, char end, uint64_t *number)
{
    uint64_t value = 0;

    if (*text < '0' || *text > '9')
        return -1;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (value > (INT64_MAX - 9) / 10)
            return -1;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *number = value;
    return *text == end || *text == '\r' || *text == ' ' ? 0 : -1;
}

static bool value_has(const char *value, const char *end, const char *token)
{
    size_t length = strlen(token);

    for (; value + length <= end; value++) {
        if (strncasecmp(value, token, length) == 0)
            return true;
    }
    return false;
}

static int parse_field(const char *line, const char *end, struct response_head *head)
{
    size_t size = (size_t)(end - line);
    const char *value;

    if ((value = field_value(line, size, "Content-Length")) != NULL) {
        if (head->framing == RESPONSE_CHUNKED)
            return 0;
        head->framing = RESPONSE_LENGTH;
        return parse_number(value, '\r', &head->length);
    }
    if ((value = field_value(line, size, "Transfer-Encoding")) != NULL) {
        if (!value_has(value, end, "chunked"))
            return -1;
        head->framing = RESPONSE_CHUNKED;
    } else if ((value = field_value(line, size, "Content-Range")) != NULL) {
        if (strncasecmp(value, "bytes ", 6) == 0 && value[6] != '*')
            return parse_number(value + 6, '-', &head->range_first);
    } else if ((value = field_value(line, size, "Connection")) != NULL) {
        if (value_has(value, end, "close"))
            head->keep_alive = false;
        else if (value_has(value, end, "keep-alive"))
            head->keep_alive = true;
    }
    return 0;
}

int response_head_parse(const char *data, size_t size, bool bodyless, struct response_head *head)
{
    const char *end = data + size, *line = data, *next;

    memset(head, 0, sizeof(*head));
    if (size < 16 || strncmp(data, "HTTP/1.", 7) != 0 || (data[7] != '0' && data[7] != '1') || data[8] != ' ')
        return -1;
    for (int i = 9; i < 12; i++) {
        if (data[i] < '0' || data[i] > '9')
            return -1;
        head->status = head->status * 10 + (data[i] - '0');
    }
    head->keep_alive = data[7] == '1';
    head->framing = RESPONSE_UNTIL_END;
    while ((next = memmem(line, (size_t)(end - line), "\r\n", 2)) != NULL) {
        if (line != data && parse_field(line, next, head) == -1)
            return -1;
        line = next + 2;
    }
    if (bodyless || head->status < 200 || head->status == 204 || head->status == 304) {
        head->framing = RESPONSE_LENGTH;
        head->length = 0;
    } else if (head->framing == RESPONSE_UNTIL_END) {
        head->keep_alive = false;
    }
    return 0;
}

enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_AFTER_CR, CHUNK_AFTER_LF, CHUNK_TRAILER, CHUNK_OVER };

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte that is not of the body. */
static int chunks_take(struct response_chunks *chunks, uint8_t c)
{
    int digit = hex_digit(c);

    switch (chunks->state) {
    case CHUNK_SIZE:
        if (digit >= 0 && chunks->digits < 15) {
            chunks->left = chunks->left * 16 + (uint64_t)digit;
            chunks->digits++;
            return 0;
        }
        if (chunks->digits == 0 || (c != '\r' && c != ';' && c != ' '))
            return -1;
        chunks->state = CHUNK_EXTENSION;
        return 0;
    case CHUNK_EXTENSION:
        if (c == '\n') {
            chunks->state = chunks->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
            chunks->line = 0;
        }
        return 0;
    case CHUNK_AFTER_CR:
        chunks->state = CHUNK_AFTER_LF;
        return c == '\r' ? 0 : -1;
    case CHUNK_AFTER_LF:
        chunks->state = CHUNK_SIZE;
        chunks->digits = 0;
        chunks->left = 0;
        return c == '\n' ? 0 : -1;
    case CHUNK_TRAILER:
        if (c == '\n' && chunks->line == 0)
            chunks->state = CHUNK_OVER;
        else if (c == '\n')
            chunks->line = 0;
        else if (c != '\r')
            chunks->line++;
        return 0;
    }
    return -1;
}

enum response_chunk response_chunks_step(struct response_chunks *chunks, const uint8_t **data, size_t *size,
                                         const uint8_t **piece, size_t *piece_size)
{
    while (chunks->state != CHUNK_OVER && *size > 0) {
        if (chunks->state == CHUNK_DATA) {
            *piece = *data;
            *piece_size = *size < chunks->left ? *size : (size_t)chunks->left;
            *data += *piece_size;
            *size -= *piece_size;
            chunks->left -= *piece_size;
            if (chunks->left == 0)
                chunks->state = CHUNK_AFTER_CR;
            return RESPONSE_CHUNK_PIECE;
        }
        if (chunks_take(chunks, **data) == -1)
            return RESPONSE_CHUNK_BAD;
        ++*data;
        --*size;
    }
    return chunks->state == CHUNK_OVER ? RESPONSE_CHUNK_END : RESPONSE_CHUNK_MORE;
}
