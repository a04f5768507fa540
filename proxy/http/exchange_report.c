/* What the log is told of one exchange: its request, as far as it was read, and how long things took.
 * Refuses to know where records go and how they are written. */
#include "proxy/http/http_exchange.h"

#include <string.h>

#include "proxy/http/request_id.h"

void http_exchange_begin_report(struct http_exchange *exchange, const struct report *template, bool is_first)
{
    struct report *report = &exchange->report;
    memcpy(report, template, REPORT_COMMON_SIZE);
    report->kind = REPORT_RESPONSE;
    clock_gettime(CLOCK_REALTIME, &report->began);
    report->status = 0;
    report->request_ms = report->ttfb_ms = 0;
    report->has_first_byte = false;
    report->request[0] = report->host[0] = report->referer[0] = report->user_agent[0] = '\0';
    report->request_id[0] = report->site[0] = '\0';
    exchange->began_ms = loop_now_ms();
    exchange->handshake_bytes = is_first ? template->directions[SESSION_TO_CLIENT].head_bytes : 0;
    report->directions[SESSION_TO_CLIENT].head_bytes = exchange->handshake_bytes;
    if (!is_first)
        report->directions[SESSION_TO_SERVER].head_bytes = 0;
}

/* Whatever the bytes are, they can be told; but for NUL, which ends a text and only a refused request line
 * can hold. */
static void set_text(char *text, size_t size, struct http_slice from)
{
    size_t length = from.size < size ? from.size : size - 1;
    if (length < from.size)
        while (length > 0 && ((unsigned char)from.at[length] & 0xc0) == 0x80)
            length--; /* not within a character */
    for (size_t i = 0; i < length; i++)
        text[i] = from.at[i] != '\0' ? from.at[i] : '?';
    text[length] = '\0';
}

static void name_request(struct http_exchange *exchange)
{
    struct http_slice given;
    char *id = exchange->report.request_id;
    if (exchange->ids.accepted && http_request_field(&exchange->request, "X-Request-Id", &given) &&
        request_id_valid(given))
        set_text(id, sizeof(exchange->report.request_id), given);
    else
        request_id_make(id);
}

void http_exchange_describe(struct http_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    struct report *report = &exchange->report;
    const struct {
        const char *name;
        char *text;
        size_t size;
    } told[] = {
        {"Host", report->host, sizeof(report->host)},
        {"Referer", report->referer, sizeof(report->referer)},
        {"User-Agent", report->user_agent, sizeof(report->user_agent)},
    };
    report->request_ms = loop_now_ms() - exchange->began_ms;
    name_request(exchange);
    set_text(report->request, sizeof(report->request), request->line);
    for (unsigned i = 0; i < request->field_count; i++)
        for (size_t j = 0; j < sizeof(told) / sizeof(told[0]); j++)
            if (told[j].text[0] == '\0' && http_slice_is_nocase(request->fields[i].name, told[j].name))
                set_text(told[j].text, told[j].size, request->fields[i].value);
}

void http_exchange_note_first_byte(struct http_exchange *exchange)
{
    exchange->report.has_first_byte = true;
    exchange->report.ttfb_ms = loop_now_ms() - exchange->began_ms;
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
