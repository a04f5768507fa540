/* Answers an exchange with a file: validators, conditions, range, and which bytes are the body.
 * Refuses to send (http_conn.c), and to know how the file was found (the handler). */
#include "proxy/http/respond_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/http/conditional.h"
#include "proxy/http/date.h"
#include "proxy/http/http_exchange.h"
#include "proxy/http/open_files.h"
#include "proxy/http/policy.h"
#include "proxy/http/range.h"

/* W/, three 64-bit numbers in hexadecimal, a coding, hyphens, quotes, ~ and the terminator */
#define ETAG_SIZE 68

/* Any change of the file that its file system's clock can tell changes it, as does its replacement. One that
 * it can't tell yet makes the tag weak, and marks it: a few seconds later the same file has another. A coding
 * stands in it since the same file may be linked under both names; one that is given on the way makes it
 * weak, since another release of a library may find other bytes. */
static void make_etag(const struct http_file *file, int64_t now, char etag[ETAG_SIZE])
{
    const uint64_t parts[] = {file->mtime_ns, file->size, file->inode};
    const bool settled = http_condition_is_settled(file->mtime, now);
    char *at = etag;
    if (!settled || file->compression)
        at = stpcpy(at, "W/");
    for (size_t i = 0; i < 3; i++) {
        *at++ = i == 0 ? '"' : '-';
        int shift = 60;
        while (shift > 0 && parts[i] >> shift == 0)
            shift -= 4;
        for (; shift >= 0; shift -= 4)
            *at++ = "0123456789abcdef"[parts[i] >> shift & 15];
    }
    if (file->coding != HTTP_CODING_IDENTITY) {
        *at++ = '-';
        at = stpcpy(at, http_coding_name(file->coding));
    }
    if (!settled)
        *at++ = '~';
    *at++ = '"';
    *at = '\0';
}

/* What a cache must know of every answer that has the file, or stands for it. */
static void add_caching(struct http_exchange *exchange, const struct http_file *file)
{
    if (file->cache)
        http_head_add_bytes(&exchange->head, file->cache->line.at, file->cache->line.size);
    if (file->varies)
        http_head_add_text(&exchange->head, "Vary: Accept-Encoding\r\n");
}

static void add_coding(struct http_exchange *exchange, const struct http_file *file)
{
    if (file->coding == HTTP_CODING_IDENTITY)
        return;
    http_head_add_text(&exchange->head, "Content-Encoding: ");
    http_head_add_text(&exchange->head, http_coding_name(file->coding));
    http_head_add_text(&exchange->head, "\r\n");
}

static void add_validators(struct http_exchange *exchange, const struct http_validators *validators)
{
    char date[HTTP_DATE_SIZE];
    /* RFC 9110 8.8.2.1: never later than Date. */
    http_date_format(validators->mtime < validators->now ? validators->mtime : validators->now, date);
    http_head_add_text(&exchange->head, "Last-Modified: ");
    http_head_add_text(&exchange->head, date);
    http_head_add_text(&exchange->head, "\r\nETag: ");
    http_head_add_text(&exchange->head, validators->etag);
    http_head_add_text(&exchange->head, "\r\n");
}

void http_file_drop(const struct http_file *file)
{
    if (file->open)
        open_file_unref(file->open);
    else
        close(file->fd);
}

/* Whether a disk may have to be waited for; then exchange->fill does that. */
static bool needs_fill(struct http_exchange *exchange, const struct http_file *file)
{
    if (!exchange->disk || file->in_memory || (file->open && open_file_is_cached(file->open)))
        return false;
    http_fill_init(&exchange->fill, &(struct http_fill_options){.disk = exchange->disk,
                                                                .fd = file->fd,
                                                                .end = file->size,
                                                                .on_filled = http_conn_filled,
                                                                .arg = exchange->conn});
    return true;
}

static void take_file(struct http_exchange *exchange, const struct http_file *file, uint64_t first,
                      uint64_t last)
{
    endpoint_open_file(&exchange->body, exchange->loop, file->fd, first, last, file->is_regular);
    exchange->body.borrowed = file->open != NULL;
    exchange->open = file->open;
    if (needs_fill(exchange, file)) {
        exchange->body.fill = http_fill_ready;
        exchange->body.fill_arg = &exchange->fill;
    }
}

/* The same, to be compressed on the way. false: it can't be now; nothing was taken. */
static bool take_encoded(struct http_exchange *exchange, const struct http_file *file)
{
    exchange->encoded = http_encoded_body_new(&(struct http_encoded_body_options){
        .loop = exchange->loop,
        .fd = file->fd,
        .size = file->size,
        .coding = file->coding,
        .compression = file->compression,
        .fill = needs_fill(exchange, file) ? http_fill_ready : NULL,
        .fill_arg = &exchange->fill,
        .on_more = http_conn_filled,
        .arg = exchange->conn,
    });
    if (!exchange->encoded)
        return false;
    endpoint_open_stream(&exchange->body, exchange->loop, file->fd, http_encoded_body_make,
                         exchange->encoded);
    exchange->body.borrowed = file->open != NULL;
    exchange->open = file->open;
    return true;
}

/* 200 with all of the file, compressed on the way: in chunks, since nobody knows how long it will be. */
static void respond_encoded(struct http_exchange *exchange, const struct http_file *file,
                            const struct http_validators *validators)
{
    if (!http_exchange_wants_body(exchange)) {
        http_file_drop(file);
    } else if (!take_encoded(exchange, file)) {
        struct http_file as_it_is = *file;
        as_it_is.coding = HTTP_CODING_IDENTITY;
        as_it_is.compression = NULL;
        http_respond_file(exchange, &as_it_is);
        return;
    }
    http_exchange_begin(exchange, 200);
    http_head_add_text(&exchange->head, "Content-Type: ");
    http_head_add_text(&exchange->head, file->content_type);
    http_head_add_text(&exchange->head, "\r\nTransfer-Encoding: chunked\r\n");
    add_coding(exchange, file);
    add_caching(exchange, file);
    add_validators(exchange, validators);
    http_exchange_end(exchange);
}

/* What the body is; the fields that stand for the file follow. */
static void add_content(struct http_exchange *exchange, const char *type, const char *boundary,
                        uint64_t length)
{
    http_head_add_text(&exchange->head, "Content-Type: ");
    http_head_add_text(&exchange->head, type);
    http_head_add_text(&exchange->head, boundary);
    http_head_add_text(&exchange->head, "\r\nContent-Length: ");
    http_head_add_number(&exchange->head, length);
    http_head_add_text(&exchange->head, "\r\nAccept-Ranges: bytes\r\n");
}

/* 200 or 206 with bytes [first, last) of the file. */
static void respond_bytes(struct http_exchange *exchange, const struct http_file *file,
                          const struct http_validators *validators, int status, uint64_t first, uint64_t last)
{
    http_exchange_begin(exchange, status);
    add_content(exchange, file->content_type, "", last - first);
    add_coding(exchange, file);
    add_caching(exchange, file);
    if (status == 206) {
        http_head_add(&exchange->head, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first,
                      last - 1, file->size);
    }
    add_validators(exchange, validators);
    if (http_exchange_wants_body(exchange) && last > first)
        take_file(exchange, file, first, last);
    else
        http_file_drop(file);
    http_exchange_end(exchange);
}

/* 206 with one or several ranges. */
static void respond_ranges(struct http_exchange *exchange, const struct http_file *file,
                           const struct http_validators *validators, const struct http_ranges *ranges)
{
    if (ranges->count == 1) {
        respond_bytes(exchange, file, validators, 206, ranges->at[0].first, ranges->at[0].end);
        return;
    }
    /* A Content-Encoding beside multipart/byteranges is taken to be that of the whole body: no parts then. */
    if (file->coding == HTTP_CODING_IDENTITY)
        exchange->multipart = http_multipart_new(ranges, file->content_type, file->size);
    if (!exchange->multipart) {
        respond_bytes(exchange, file, validators, 200, 0, file->size);
        return;
    }
    http_exchange_begin(exchange, 206);
    add_content(exchange, "multipart/byteranges; boundary=", exchange->multipart->boundary,
                exchange->multipart->length);
    add_caching(exchange, file);
    add_validators(exchange, validators);
    take_file(exchange, file, 0, file->size);
    http_exchange_end(exchange);
}

static void respond_unsatisfiable(struct http_exchange *exchange, const struct http_file *file)
{
    char line[64];
    snprintf(line, sizeof(line), "Content-Range: bytes */%" PRIu64 "\r\n", file->size);
    http_file_drop(file);
    http_respond_status(exchange, 416, line);
}

static void respond_content(struct http_exchange *exchange, const struct http_file *file,
                            const struct http_validators *validators)
{
    struct http_slice value;
    struct http_ranges ranges;
    enum http_range kind = HTTP_RANGE_WHOLE;
    if (file->compression) {
        respond_encoded(exchange, file, validators);
        return;
    }
    /* RFC 9110 14.2: Range means something for GET only, and only once. */
    if (exchange->request.method == HTTP_METHOD_GET &&
        http_request_field(&exchange->request, "Range", &value) &&
        http_condition_range(&exchange->request, validators)) {
        const uint64_t gap = http_multipart_overhead(file->content_type, file->size);
        kind = http_range_parse(value, file->size, gap, &ranges);
    }
    switch (kind) {
    case HTTP_RANGE_WHOLE:
        respond_bytes(exchange, file, validators, 200, 0, file->size);
        return;
    case HTTP_RANGE_PARTS:
        respond_ranges(exchange, file, validators, &ranges);
        return;
    case HTTP_RANGE_UNSATISFIABLE:
        respond_unsatisfiable(exchange, file);
        return;
    }
}

void http_respond_file(struct http_exchange *exchange, const struct http_file *file)
{
    char etag[ETAG_SIZE];
    const int64_t now = http_date_now(NULL);
    make_etag(file, now, etag);
    const struct http_validators validators = {.etag = etag, .mtime = file->mtime, .now = now};
    switch (http_condition_check(&exchange->request, &validators)) {
    case HTTP_CONDITION_PROCEED:
        respond_content(exchange, file, &validators);
        return;
    case HTTP_CONDITION_FAILED:
        http_file_drop(file);
        http_respond_status(exchange, 412, NULL);
        return;
    case HTTP_CONDITION_NOT_MODIFIED:
        http_file_drop(file);
        http_exchange_begin(exchange, 304);
        add_caching(exchange, file);
        add_validators(exchange, &validators);
        http_exchange_end(exchange);
        return;
    }
}

void http_respond_page(struct http_exchange *exchange, int status, const struct http_file *file,
                       const char *extra_headers)
{
    http_exchange_begin(exchange, status);
    http_head_add(&exchange->head, "Content-Type: %s\r\nContent-Length: %" PRIu64 "\r\n%s",
                  file->content_type, file->size, extra_headers ? extra_headers : "");
    if (http_exchange_wants_body(exchange) && file->size > 0)
        take_file(exchange, file, 0, file->size);
    else
        http_file_drop(file);
    http_exchange_end(exchange);
}
