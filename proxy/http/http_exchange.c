/* Makes the answer of one exchange: status, fields, conditions, range, and which bytes are its body.
 * Refuses to send (http_conn.c), and to know what the request's path means (the handler). */
#include "proxy/http/http_exchange.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/http/conditional.h"
#include "proxy/http/date.h"
#include "proxy/http/open_files.h"
#include "proxy/http/range.h"

#define ETAG_SIZE 56 /* three 64-bit numbers in hexadecimal, hyphens, quotes and the terminator */

struct http_exchange *http_exchange_new(struct http_conn *conn, struct loop *loop,
                                        const struct report *template, bool is_first)
{
    struct http_exchange *exchange = malloc(sizeof(*exchange));
    if (!exchange)
        return NULL;
    /* Field by field: clearing the table of header lines for every request would be the larger part. */
    exchange->conn = conn;
    exchange->loop = loop;
    exchange->data = NULL;
    http_request_init(&exchange->request);
    exchange->path = NULL;
    exchange->handed = exchange->answered = exchange->failed = exchange->close = false;
    exchange->head = (struct http_head){0};
    exchange->memory = NULL;
    exchange->open = NULL;
    exchange->open_files = NULL;
    exchange->disk = NULL;
    exchange->fill = (struct http_fill){0};
    exchange->body = ENDPOINT_NONE;
    exchange->flow = NULL;
    exchange->began_ms = loop_now_ms();
    exchange->outcome = OUTCOME_COMPLETE;
    exchange->report = *template;
    clock_gettime(CLOCK_REALTIME, &exchange->report.began);
    exchange->handshake_bytes = is_first ? template->directions[SESSION_TO_CLIENT].head_bytes : 0;
    exchange->report.directions[SESSION_TO_CLIENT].head_bytes = exchange->handshake_bytes;
    if (!is_first)
        exchange->report.directions[SESSION_TO_SERVER].head_bytes = 0;
    return exchange;
}

void http_exchange_free(struct http_exchange *exchange)
{
    if (!exchange)
        return;
    flow_free(exchange->flow);
    http_fill_stop(&exchange->fill);
    endpoint_close(&exchange->body);
    open_file_unref(exchange->open);
    free(exchange->memory);
    free(exchange->head.data);
    free(exchange->path);
    free(exchange);
}

/* For logs: visible ASCII only, so that it is valid in JSON and harmless on a terminal. */
void http_exchange_describe(struct http_exchange *exchange)
{
    struct http_slice line = exchange->request.line;
    char *out = exchange->report.request;
    size_t size =
        line.size < sizeof(exchange->report.request) ? line.size : sizeof(exchange->report.request) - 1;
    for (size_t i = 0; i < size; i++)
        out[i] = line.at[i] >= ' ' && line.at[i] <= '~' ? line.at[i] : '?';
    out[size] = '\0';
}

void http_exchange_update(const struct http_exchange *exchange, struct report *report)
{
    report->duration_ms = loop_now_ms() - exchange->began_ms;
    if (exchange->flow) {
        struct flow_report *direction = &report->directions[SESSION_TO_CLIENT];
        flow_report(exchange->flow, direction);
        direction->head_bytes += exchange->handshake_bytes;
    }
}

void http_exchange_set_data(struct http_exchange *exchange, void *data)
{
    exchange->data = data;
}

void *http_exchange_data(const struct http_exchange *exchange)
{
    return exchange->data;
}

struct open_files *http_exchange_open_files(const struct http_exchange *exchange)
{
    return exchange->open_files;
}

struct disk_port *http_exchange_disk(const struct http_exchange *exchange)
{
    return exchange->disk;
}

void http_exchange_note_sent(struct http_exchange *exchange)
{
    if (exchange->open && exchange->report.status == 200)
        open_file_note_cached(exchange->open);
}

static void begin(struct http_exchange *exchange, int status)
{
    assert(!exchange->answered);
    exchange->report.status = status;
    http_head_begin(&exchange->head, status);
}

/* Ends the head and hands the answer over. A body of no bytes is an empty memory, whatever it came from: it
 * has no mode that a policy could forbid. */
static void end(struct http_exchange *exchange)
{
    struct http_head *head = &exchange->head;
    if (exchange->close)
        http_head_add_text(head, "Connection: close\r\n");
    else if (exchange->request.minor == 0)
        http_head_add_text(head, "Connection: keep-alive\r\n");
    http_head_add_text(head, "\r\n");
    if (exchange->body.fd == -1 && !exchange->memory)
        endpoint_open_memory(&exchange->body, exchange->loop, NULL, 0);
    exchange->failed = exchange->failed || head->failed;
    exchange->answered = true;
    exchange->handed = false;
    http_conn_answered(exchange->conn);
}

static bool wants_body(const struct http_exchange *exchange)
{
    return exchange->request.method != HTTP_METHOD_HEAD;
}

void http_respond_memory(struct http_exchange *exchange, int status, const char *content_type,
                         const char *extra_headers, const void *body, size_t size)
{
    begin(exchange, status);
    http_head_add(&exchange->head, "Content-Type: %s\r\nContent-Length: %zu\r\n%s", content_type, size,
                  extra_headers ? extra_headers : "");
    if (size > 0 && wants_body(exchange)) {
        exchange->memory = malloc(size);
        if (exchange->memory) {
            memcpy(exchange->memory, body, size);
            endpoint_open_memory(&exchange->body, exchange->loop, exchange->memory, size);
        } else {
            exchange->failed = true;
        }
    }
    end(exchange);
}

void http_respond_status(struct http_exchange *exchange, int status, const char *extra_headers)
{
    char page[HTTP_PAGE_MAX];
    size_t size = http_status_page(status, page);
    http_respond_memory(exchange, status, HTTP_PAGE_TYPE, extra_headers, page, size);
}

/* Strong: any change of the file that the file system's clock can tell changes it, as does its replacement.
 */
static void make_etag(const struct http_file *file, char etag[ETAG_SIZE])
{
    const uint64_t parts[] = {file->mtime_ns, file->size, file->inode};
    char *at = etag;
    for (size_t i = 0; i < 3; i++) {
        *at++ = i == 0 ? '"' : '-';
        int shift = 60;
        while (shift > 0 && parts[i] >> shift == 0)
            shift -= 4;
        for (; shift >= 0; shift -= 4)
            *at++ = "0123456789abcdef"[parts[i] >> shift & 15];
    }
    *at++ = '"';
    *at = '\0';
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

static void drop_file(const struct http_file *file)
{
    if (file->open)
        open_file_unref(file->open);
    else
        close(file->fd);
}

static void take_file(struct http_exchange *exchange, const struct http_file *file, uint64_t first,
                      uint64_t last)
{
    endpoint_open_file(&exchange->body, exchange->loop, file->fd, first, last, file->is_regular);
    exchange->body.borrowed = file->open != NULL;
    exchange->open = file->open;
    if (!exchange->disk || file->in_memory || (file->open && open_file_is_cached(file->open)))
        return;
    http_fill_init(&exchange->fill, exchange->disk, file->fd, http_conn_filled, exchange->conn);
    exchange->body.fill = http_fill_ready;
    exchange->body.fill_arg = &exchange->fill;
}

/* 200 or 206 with bytes [first, last) of the file. */
static void respond_bytes(struct http_exchange *exchange, const struct http_file *file,
                          const struct http_validators *validators, int status, uint64_t first, uint64_t last)
{
    begin(exchange, status);
    http_head_add_text(&exchange->head, "Content-Type: ");
    http_head_add_text(&exchange->head, file->content_type);
    http_head_add_text(&exchange->head, "\r\nContent-Length: ");
    http_head_add_number(&exchange->head, last - first);
    http_head_add_text(&exchange->head, "\r\nAccept-Ranges: bytes\r\n");
    if (status == 206) {
        http_head_add(&exchange->head, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first,
                      last - 1, file->size);
    }
    add_validators(exchange, validators);
    if (wants_body(exchange) && last > first)
        take_file(exchange, file, first, last);
    else
        drop_file(file);
    end(exchange);
}

static void respond_whole_or_part(struct http_exchange *exchange, const struct http_file *file,
                                  const struct http_validators *validators)
{
    struct http_slice range;
    uint64_t first = 0, last = file->size;
    enum http_range kind = HTTP_RANGE_WHOLE;
    /* RFC 9110 14.2: Range means something for GET only, and only once. */
    if (exchange->request.method == HTTP_METHOD_GET &&
        http_request_field(&exchange->request, "Range", &range) &&
        http_condition_range(&exchange->request, validators))
        kind = http_range_parse(range, file->size, &first, &last);
    if (kind == HTTP_RANGE_UNSATISFIABLE) {
        char line[64];
        snprintf(line, sizeof(line), "Content-Range: bytes */%" PRIu64 "\r\n", file->size);
        drop_file(file);
        http_respond_status(exchange, 416, line);
        return;
    }
    respond_bytes(exchange, file, validators, kind == HTTP_RANGE_PART ? 206 : 200, first, last);
}

void http_respond_file(struct http_exchange *exchange, const struct http_file *file)
{
    char etag[ETAG_SIZE];
    make_etag(file, etag);
    const struct http_validators validators = {
        .etag = etag, .mtime = file->mtime, .now = http_date_now(NULL)};
    switch (http_condition_check(&exchange->request, &validators)) {
    case HTTP_CONDITION_PROCEED:
        respond_whole_or_part(exchange, file, &validators);
        return;
    case HTTP_CONDITION_FAILED:
        drop_file(file);
        http_respond_status(exchange, 412, NULL);
        return;
    case HTTP_CONDITION_NOT_MODIFIED:
        drop_file(file);
        begin(exchange, 304);
        add_validators(exchange, &validators);
        end(exchange);
        return;
    }
}
