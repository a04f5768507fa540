/* Writes records as JSON, by hand: they are the larger part of what the log's thread does, and a library that
 * builds a tree of each took five times as long. Refuses to allocate. */
#include "proxy/report_json.h"

#include <stdio.h>

#include "proxy/line.h"

static const char digits[] = "0123456789abcdef";

/* A number of 16 bits in JSON's notation of characters. */
static void put_unit(struct line *line, unsigned unit)
{
    const char text[] = {'\\',
                         'u',
                         digits[unit >> 12 & 15],
                         digits[unit >> 8 & 15],
                         digits[unit >> 4 & 15],
                         digits[unit & 15]};

    line_put_bytes(line, text, sizeof(text));
}

static void put_code_point(struct line *line, uint32_t code_point)
{
    if (code_point > 0xffff) {
        put_unit(line, 0xd800 | ((code_point - 0x10000) >> 10));
        put_unit(line, 0xdc00 | ((code_point - 0x10000) & 0x3ff));
    } else {
        put_unit(line, code_point);
    }
}

/* The bytes of the character at `at` (RFC 3629: shortest form, no surrogates), which ends in a NUL; 0: it
 * isn't UTF-8. */
static size_t decode(const char *at, uint32_t *code_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *byte = (const unsigned char *)at;
    const size_t size = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;

    if (byte[0] < 0xc0 || byte[0] > 0xf4)
        return 0;
    *code_point = byte[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
        *code_point = *code_point << 6 | (byte[i] & 0x3f);
    }
    if (*code_point < least[size] || *code_point > 0x10ffff ||
        (*code_point >= 0xd800 && *code_point <= 0xdfff))
        return 0;
    return size;
}

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

static void put_ascii(struct line *line, char c)
{
    if (is_plain(c))
        line_put_char(line, c);
    else if (c == '"' || c == '\\')
        line_put_bytes(line, (const char[]){'\\', c}, 2);
    else if (c == '\n')
        line_put(line, "\\n");
    else if (c == '\r')
        line_put(line, "\\r");
    else if (c == '\t')
        line_put(line, "\\t");
    else
        put_unit(line, (unsigned char)c);
}

static void put_string(struct line *line, const char *text)
{
    line_put_char(line, '"');
    while (*text != '\0') {
        const char *plain = text;
        uint32_t code_point;
        size_t size;

        while (is_plain(*text))
            text++;
        line_put_bytes(line, plain, (size_t)(text - plain));
        if (*text == '\0')
            break;
        size = decode(text, &code_point);
        if (size > 0)
            put_code_point(line, code_point);
        else
            put_ascii(line, *text);
        text += size > 0 ? size : 1;
    }
    line_put_char(line, '"');
}

/* The next member's, of the object that was begun last. */
static void put_key(struct line *line, const char *key)
{
    if (line->size > 0 && line->text[line->size - 1] != '{')
        line_put_char(line, ',');
    line_put_char(line, '"');
    line_put(line, key);
    line_put(line, "\":");
}

static void put_text(struct line *line, const char *key, const char *text)
{
    put_key(line, key);
    put_string(line, text);
}

/* Nothing, where there is none. */
static void put_optional(struct line *line, const char *key, const char *text)
{
    if (text[0] != '\0')
        put_text(line, key, text);
}

static void put_number(struct line *line, const char *key, uint64_t number)
{
    put_key(line, key);
    line_put_number(line, number);
}

static void begin_object(struct line *line, const char *key)
{
    put_key(line, key);
    line_put_char(line, '{');
}

static void put_time(struct line *line, const struct timespec *time)
{
    static _Thread_local time_t second = -1;
    static _Thread_local char known[32]; /* many records are of one second */
    const unsigned ms = (unsigned)(time->tv_nsec / 1000000);

    if (time->tv_sec != second) {
        struct tm utc;

        second = time->tv_sec;
        gmtime_r(&second, &utc);
        strftime(known, sizeof(known), "\"%Y-%m-%dT%H:%M:%S", &utc);
    }
    put_key(line, "time");
    line_put(line, known);
    line_put_bytes(line,
                   (const char[]){'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                                  (char)('0' + ms % 10), 'Z', '"'},
                   6);
}

static void put_segment(struct line *line, const struct flow_segment *segment)
{
    line_put_char(line, '{');
    put_text(line, "mode", relay_mode_name(segment->mode));
    put_text(line, "source_crypto", relay_crypto_name(segment->source_crypto));
    put_text(line, "sink_crypto", relay_crypto_name(segment->sink_crypto));
    put_text(line, "reason", relay_reason_name(segment->reason));
    put_number(line, "bytes", segment->bytes);
    line_put_char(line, '}');
}

static void put_direction(struct line *line, const char *key, const struct flow_report *flow)
{
    begin_object(line, key);
    put_number(line, "bytes", flow->bytes);
    put_number(line, "user_bytes", flow->user_bytes);
    put_number(line, "kernel_bytes", flow->kernel_bytes);
    put_number(line, "head_bytes", flow->head_bytes);
    put_key(line, "segments");
    line_put_char(line, '[');
    for (unsigned i = 0; i < flow->segment_count; i++) {
        if (i > 0)
            line_put_char(line, ',');
        put_segment(line, &flow->segments[i]);
    }
    line_put(line, "]}");
}

/* peer: what the name in the peer's certificate is called. */
static void put_tls(struct line *line, const char *key, const struct tls_facts *facts, const char *peer)
{
    begin_object(line, key);
    put_text(line, "version", facts->version);
    put_text(line, "cipher", facts->cipher);
    put_text(line, "sni", facts->sni);
    put_key(line, "resumed");
    line_put(line, facts->resumed ? "true" : "false");
    put_optional(line, "alpn", facts->alpn);
    put_optional(line, peer, facts->peer_name);
    line_put_char(line, '}');
}

/* Bytes as the characters U+0000 to U+00FF: whatever they are, they can be told from the log. */
static void put_preview(struct line *line, const char *key, const struct preview *preview)
{
    put_key(line, key);
    line_put_char(line, '"');
    for (size_t i = 0; i < preview->size; i++)
        put_ascii(line, (char)preview->bytes[i]);
    line_put_char(line, '"');
}

static void put_response(struct line *line, const struct report *report)
{
    put_optional(line, "site", report->site);
    put_optional(line, "request", report->request);
    if (report->status != 0)
        put_number(line, "status", (uint64_t)report->status);
    put_optional(line, "host", report->host);
    put_optional(line, "referer", report->referer);
    put_optional(line, "user_agent", report->user_agent);
    put_optional(line, "request_id", report->request_id);
    put_number(line, "request_ms", report->request_ms);
    if (report->has_first_byte)
        put_number(line, "ttfb_ms", report->ttfb_ms);
}

/* What only a proxied connection has. */
static void put_connection(struct line *line, const struct report *report)
{
    if (report->has_preview[0] || report->has_preview[1]) {
        begin_object(line, "first_bytes");
        if (report->has_preview[SESSION_TO_CLIENT])
            put_preview(line, "to_client", &report->previews[SESSION_TO_CLIENT]);
        if (report->has_preview[SESSION_TO_SERVER])
            put_preview(line, "to_server", &report->previews[SESSION_TO_SERVER]);
        line_put_char(line, '}');
    }
    if (report->has_server_tls)
        put_tls(line, "server_tls", &report->server_tls, "server_name");
}

static void put_end(struct line *line, const struct report *report)
{
    put_number(line, "duration_ms", report->duration_ms);
    put_key(line, "closed_by");
    if (report->outcome == OUTCOME_OPEN)
        line_put(line, "null");
    else
        put_string(line, report_closed_by_name(report->closed_by));
    put_text(line, "outcome", report_outcome_name(report->outcome));
    put_optional(line, "detail", report->detail);
}

size_t report_write_json(const struct report *report, char text[REPORT_JSON_MAX])
{
    struct line line = {.text = text, .capacity = REPORT_JSON_MAX};

    line_put_char(&line, '{');
    put_number(&line, "id", report->id);
    put_time(&line, &report->began);
    put_text(&line, "listener", report->listener);
    put_text(&line, "client", report->client);
    put_optional(&line, "proxy", report->proxy);
    if (!report->has_tls)
        put_optional(&line, "sni", report->tls.sni);
    put_text(&line, "target", report->target);
    if (report->kind == REPORT_RESPONSE)
        put_response(&line, report);
    put_end(&line, report);
    if (report->has_tls) {
        put_tls(&line, "tls", &report->tls, "client_name");
    } else {
        put_key(&line, "tls");
        line_put(&line, "null");
    }
    if (report->kind == REPORT_CONNECTION)
        put_connection(&line, report);
    begin_object(&line, "directions");
    put_direction(&line, "to_client", &report->directions[SESSION_TO_CLIENT]);
    put_direction(&line, "to_server", &report->directions[SESSION_TO_SERVER]);
    line_put(&line, "}}");
    return line.failed ? 0 : line.size;
}
