/* The life of one exchange, how its head begins and ends, and answers made in memory.
 * Refuses to send (http_conn.c), to answer with files (respond_file.c), and to know what the request's path
 * means (the handler). */
#include "proxy/http/http_exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/error_page.h"
#include "proxy/http/files.h"
#include "proxy/http/open_files.h"
#include "proxy/http/policy.h"

struct http_exchange *http_exchange_new(struct http_conn *conn, struct loop *loop,
                                        const struct http_limits *limits, const struct report *template,
                                        bool is_first)
{
    struct http_exchange *exchange =
        malloc(sizeof(*exchange) + limits->max_fields * sizeof(*exchange->fields));
    if (!exchange)
        return NULL;
    /* Field by field: clearing the table of header lines for every request would be the larger part. */
    exchange->conn = conn;
    exchange->loop = loop;
    exchange->handler = NULL;
    exchange->data = NULL;
    http_request_init(&exchange->request, limits, exchange->fields);
    exchange->files = NULL;
    exchange->page = NULL;
    exchange->secure = false;
    exchange->path = NULL;
    exchange->handed = exchange->answered = exchange->failed = exchange->close = false;
    exchange->streams = false;
    exchange->head = (struct http_head){0};
    exchange->memory = NULL;
    exchange->open = NULL;
    exchange->ids = (struct http_ids){0};
    exchange->open_files = NULL;
    exchange->disk = NULL;
    exchange->fill = (struct http_fill){0};
    exchange->body = ENDPOINT_NONE;
    exchange->multipart = NULL;
    exchange->encoded = NULL;
    exchange->flow = NULL;
    exchange->outcome = OUTCOME_COMPLETE;
    http_exchange_begin_report(exchange, template, is_first);
    return exchange;
}

void http_exchange_free(struct http_exchange *exchange)
{
    if (!exchange)
        return;
    error_page_cancel(exchange->page);
    flow_free(exchange->flow);
    http_multipart_free(exchange->multipart);
    http_fill_stop(&exchange->fill);
    endpoint_close(&exchange->body);
    http_encoded_body_free(exchange->encoded);
    open_file_unref(exchange->open);
    free(exchange->memory);
    free(exchange->head.data);
    free(exchange->path);
    free(exchange);
}

void http_exchange_set_data(struct http_exchange *exchange, void *data)
{
    exchange->data = data;
}

void *http_exchange_data(const struct http_exchange *exchange)
{
    return exchange->data;
}

bool http_handler_takes(const struct http_handler *handler, enum http_method method)
{
    return method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD ||
           (method == HTTP_METHOD_OTHER && handler->any_method);
}

void http_exchange_hand(struct http_exchange *exchange, const struct http_handler *handler)
{
    exchange->handler = handler;
    exchange->files = handler->files;
    if (!http_handler_takes(handler, exchange->request.method)) {
        http_respond_method(exchange);
        return;
    }
    exchange->handed = true;
    handler->handle(handler->arg, &exchange->request, exchange);
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->request;
}

void http_exchange_set_files(struct http_exchange *exchange, const struct http_files *files)
{
    exchange->files = files;
}

/* RFC 9112 6.1: a client of HTTP/1.0 may not know chunks. Of a stream no range can be had. */
bool http_exchange_takes_stream(const struct http_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    struct http_slice range;
    return exchange->streams && request->minor > 0 &&
           !(request->method == HTTP_METHOD_GET && http_request_field(request, "Range", &range));
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

void http_exchange_begin(struct http_exchange *exchange, int status)
{
    assert(!exchange->answered);
    exchange->report.status = status;
    http_head_begin(&exchange->head, status);
    const struct http_policy *policy = exchange->files ? http_files_policy(exchange->files) : NULL;
    const struct http_slice fields = http_policy_fields(policy, status, exchange->secure);
    http_head_add_bytes(&exchange->head, fields.at, fields.size);
}

void http_exchange_end(struct http_exchange *exchange)
{
    struct http_head *head = &exchange->head;
    if (exchange->ids.told) {
        http_head_add_text(head, "X-Request-Id: ");
        http_head_add_text(head, exchange->report.request_id);
        http_head_add_text(head, "\r\n");
    }
    if (exchange->close)
        http_head_add_text(head, "Connection: close\r\n");
    else if (exchange->request.minor == 0)
        http_head_add_text(head, "Connection: keep-alive\r\n");
    http_head_add_text(head, "\r\n");
    if (exchange->multipart)
        http_multipart_join(exchange->multipart, head, &exchange->body);
    if (exchange->body.fd == -1 && !exchange->memory)
        endpoint_open_memory(&exchange->body, exchange->loop, NULL, 0);
    exchange->failed = exchange->failed || head->failed;
    exchange->answered = true;
    exchange->handed = false;
    http_conn_answered(exchange->conn);
}

bool http_exchange_wants_body(const struct http_exchange *exchange)
{
    return exchange->request.method != HTTP_METHOD_HEAD;
}

void http_respond_memory(struct http_exchange *exchange, int status, const char *content_type,
                         const char *extra_headers, const void *body, size_t size)
{
    http_exchange_begin(exchange, status);
    http_head_add(&exchange->head, "Content-Type: %s\r\nContent-Length: %zu\r\n%s", content_type, size,
                  extra_headers ? extra_headers : "");
    if (size > 0 && http_exchange_wants_body(exchange)) {
        exchange->memory = malloc(size);
        if (exchange->memory) {
            memcpy(exchange->memory, body, size);
            endpoint_open_memory(&exchange->body, exchange->loop, exchange->memory, size);
        } else {
            exchange->failed = true;
        }
    }
    http_exchange_end(exchange);
}

void http_respond_method(struct http_exchange *exchange)
{
    http_respond_status(exchange, 405, "Allow: GET, HEAD\r\n");
}

void http_respond_status(struct http_exchange *exchange, int status, const char *extra_headers)
{
    if (!exchange->files || !error_page_start(exchange, status, extra_headers))
        http_respond_built_in(exchange, status, extra_headers);
}

void http_respond_built_in(struct http_exchange *exchange, int status, const char *extra_headers)
{
    char page[HTTP_PAGE_MAX];
    size_t size = http_status_page(status, page);
    http_respond_memory(exchange, status, HTTP_PAGE_TYPE, extra_headers, page, size);
}
