/* Text and ranges, in turn. Refuses to know sockets and HTTP's head. */
#include "proxy/http/multipart.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST "--" /* and the boundary: before the first part, with a CRLF before any other */
#define TYPE "\r\nContent-Type: "
#define RANGE "\r\nContent-Range: bytes "
#define NUMBER_MAX 20 /* digits of 64 bits */

static bool make_boundary(char boundary[HTTP_BOUNDARY_SIZE])
{
    uint8_t random[HTTP_BOUNDARY_SIZE / 2];
    if (getrandom(random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        return false;
    for (size_t i = 0; i < sizeof(random); i++) {
        boundary[2 * i] = "0123456789abcdef"[random[i] >> 4];
        boundary[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
    }
    boundary[2 * sizeof(random)] = '\0';
    return true;
}

uint64_t http_multipart_overhead(const char *content_type, uint64_t size)
{
    uint64_t digits = 1;
    while (size >= 10) {
        size /= 10;
        digits++;
    }
    return sizeof("\r\n" FIRST TYPE RANGE "-/\r\n\r\n") - 1 + HTTP_BOUNDARY_SIZE - 1 + strlen(content_type) +
           3 * digits;
}

static void add_part_text(struct http_head *text, const char *boundary, const char *content_type,
                          uint64_t first, uint64_t last, uint64_t size)
{
    http_head_add_text(text, text->size == 0 ? FIRST : "\r\n" FIRST);
    http_head_add_text(text, boundary);
    http_head_add_text(text, TYPE);
    http_head_add_text(text, content_type);
    http_head_add_text(text, RANGE);
    http_head_add_number(text, first);
    http_head_add_text(text, "-");
    http_head_add_number(text, last);
    http_head_add_text(text, "/");
    http_head_add_number(text, size);
    http_head_add_text(text, "\r\n\r\n");
}

struct http_multipart *http_multipart_new(const struct http_ranges *ranges, const char *content_type,
                                          uint64_t size)
{
    struct http_multipart *multipart =
        calloc(1, sizeof(*multipart) + (ranges->count + 1) * sizeof(multipart->parts[0]));
    if (!multipart)
        return NULL;
    struct http_head *text = &multipart->text;
    struct flow_part *part = multipart->parts;
    bool made = make_boundary(multipart->boundary);
    for (unsigned i = 0; i < ranges->count; i++, part++) {
        const uint64_t first = ranges->at[i].first, end = ranges->at[i].end;
        const size_t before = text->size;
        add_part_text(text, multipart->boundary, content_type, first, end - 1, size);
        part->head_size = part->generated = text->size - before;
        part->source.offset = first;
        part->source.end = end;
        part->next = part + 1;
        multipart->length += end - first;
    }
    const size_t before = text->size;
    http_head_add_text(text, "\r\n--");
    http_head_add_text(text, multipart->boundary);
    http_head_add_text(text, "--\r\n");
    part->source.end = text->size - before;
    multipart->length += text->size;
    if (!made || text->failed) {
        http_multipart_free(multipart);
        return NULL;
    }
    return multipart;
}

void http_multipart_join(struct http_multipart *multipart, struct http_head *head,
                         const struct endpoint *file)
{
    struct flow_part *first = multipart->parts, *part = first;
    const char *text = multipart->text.data;
    http_head_add_bytes(head, text, first->generated);
    for (; part->next; part = part->next) {
        const uint64_t offset = part->source.offset, end = part->source.end;
        part->source = *file;
        part->source.borrowed = true;
        part->source.offset = offset;
        part->source.end = end;
        part->head = text;
        text += part->generated;
    }
    endpoint_open_memory(&part->source, file->loop, text, part->source.end);
    first->head = head->data;
    first->head_size = head->size;
}

void http_multipart_free(struct http_multipart *multipart)
{
    if (!multipart)
        return;
    free(multipart->text.data);
    free(multipart);
}
