/* See report.h: a record as JSON, with the names that DESIGN and the manual promise.
 * Refuses to know where it goes. */
#include "proxy/report.h"

#include <stdio.h>

const char *report_outcome_name(enum report_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_OPEN:
        return "open";
    case OUTCOME_COMPLETE:
        return "complete";
    case OUTCOME_RESET:
        return "reset";
    case OUTCOME_TRUNCATED:
        return "truncated";
    case OUTCOME_TIMEOUT:
        return "timeout";
    case OUTCOME_REFUSED:
        return "refused";
    case OUTCOME_NO_SERVER:
        return "no_server";
    case OUTCOME_HANDSHAKE:
        return "handshake";
    case OUTCOME_BAD_REQUEST:
        return "bad_request";
    case OUTCOME_LIMITED:
        return "limited";
    case OUTCOME_STOPPED:
        return "stopped";
    }
    return "unknown";
}

const char *report_closed_by_name(enum report_closed_by closed_by)
{
    switch (closed_by) {
    case CLOSED_BY_CLIENT:
        return "client";
    case CLOSED_BY_SERVER:
        return "server";
    case CLOSED_BY_SLUICE:
        return "sluice";
    }
    return "unknown";
}

/* A client chooses some of these bytes (request, SNI): what isn't UTF-8 is shown as Latin-1, so that every
 * record can be written. */
static json_t *text_to_json(const char *text)
{
    char utf8[2 * 512 + 1];
    size_t length = 0;
    json_t *value = json_string(text);

    if (value != NULL)
        return value;
    for (; *text != '\0' && length + 2 < sizeof(utf8); text++) {
        const unsigned char byte = (unsigned char)*text;

        if (byte < 0x80) {
            utf8[length++] = (char)byte;
        } else {
            utf8[length++] = (char)(0xc0 | byte >> 6);
            utf8[length++] = (char)(0x80 | (byte & 0x3f));
        }
    }
    utf8[length] = '\0';
    return json_string(utf8);
}

/* Bytes as the characters U+0000 to U+00FF: whatever they are, they can be told from the log. */
static json_t *bytes_to_json(const struct preview *preview)
{
    char utf8[2 * PREVIEW_MAX];
    size_t length = 0;

    for (size_t i = 0; i < preview->size; i++) {
        const uint8_t byte = preview->bytes[i];

        if (byte >= 0x80)
            utf8[length++] = (char)(0xc0 | byte >> 6);
        utf8[length++] = (char)(byte < 0x80 ? byte : 0x80 | (byte & 0x3f));
    }
    return json_stringn(utf8, length);
}

static json_t *previews_to_json(const struct report *report)
{
    json_t *object = json_object();

    if (report->has_preview[SESSION_TO_CLIENT])
        (void)json_object_set_new(object, "to_client", bytes_to_json(&report->previews[SESSION_TO_CLIENT]));
    if (report->has_preview[SESSION_TO_SERVER])
        (void)json_object_set_new(object, "to_server", bytes_to_json(&report->previews[SESSION_TO_SERVER]));
    return object;
}

static json_t *time_to_json(const struct timespec *time)
{
    char seconds[32], text[48];
    struct tm utc;

    gmtime_r(&time->tv_sec, &utc);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof(text), "%s.%03dZ", seconds, (int)(time->tv_nsec / 1000000));
    return json_string(text);
}

static json_t *segment_to_json(const struct flow_segment *segment)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I}", "mode", relay_mode_name(segment->mode), "source_crypto",
                     relay_crypto_name(segment->source_crypto), "sink_crypto",
                     relay_crypto_name(segment->sink_crypto), "reason", relay_reason_name(segment->reason),
                     "bytes", (json_int_t)segment->bytes);
}

static json_t *direction_to_json(const struct flow_report *flow)
{
    json_t *segments = json_array();

    for (unsigned i = 0; i < flow->segment_count; i++)
        if (json_array_append_new(segments, segment_to_json(&flow->segments[i])) == -1) {
            json_decref(segments);
            return NULL;
        }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "bytes", (json_int_t)flow->bytes, "user_bytes",
                     (json_int_t)flow->user_bytes, "kernel_bytes", (json_int_t)flow->kernel_bytes,
                     "head_bytes", (json_int_t)flow->head_bytes, "segments", segments);
}

/* peer: what the name in the peer's certificate is called. */
static json_t *tls_to_json(const struct tls_facts *facts, const char *peer)
{
    json_t *object = json_pack("{s:s, s:s, s:o, s:b}", "version", facts->version, "cipher", facts->cipher,
                               "sni", text_to_json(facts->sni), "resumed", facts->resumed);
    int failed = 0;

    if (facts->alpn[0] != '\0')
        failed |= json_object_set_new(object, "alpn", json_string(facts->alpn));
    if (facts->peer_name[0] != '\0')
        failed |= json_object_set_new(object, peer, json_string(facts->peer_name));
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static int add_text(json_t *object, const char *key, const char *text)
{
    return text[0] != '\0' ? json_object_set_new(object, key, text_to_json(text)) : 0;
}

static int add_number(json_t *object, const char *key, uint64_t number)
{
    return json_object_set_new(object, key, json_integer((json_int_t)number));
}

static int add_response(json_t *object, const struct report *report)
{
    int failed = 0;

    failed |= add_text(object, "site", report->site);
    failed |= add_text(object, "request", report->request);
    if (report->status != 0)
        failed |= add_number(object, "status", (uint64_t)report->status);
    failed |= add_text(object, "host", report->host);
    failed |= add_text(object, "referer", report->referer);
    failed |= add_text(object, "user_agent", report->user_agent);
    failed |= add_text(object, "request_id", report->request_id);
    failed |= add_number(object, "request_ms", report->request_ms);
    if (report->has_first_byte)
        failed |= add_number(object, "ttfb_ms", report->ttfb_ms);
    return failed;
}

/* What only a proxied connection has. */
static int add_connection(json_t *object, const struct report *report)
{
    int failed = 0;

    if (report->has_preview[0] || report->has_preview[1])
        failed |= json_object_set_new(object, "first_bytes", previews_to_json(report));
    if (report->has_server_tls)
        failed |= json_object_set_new(object, "server_tls", tls_to_json(&report->server_tls, "server_name"));
    return failed;
}

json_t *report_to_json(const struct report *report)
{
    json_t *root = json_object();
    int failed = 0;

    failed |= add_number(root, "id", report->id);
    failed |= json_object_set_new(root, "time", time_to_json(&report->began));
    failed |= json_object_set_new(root, "listener", text_to_json(report->listener));
    failed |= json_object_set_new(root, "client", text_to_json(report->client));
    failed |= add_text(root, "proxy", report->proxy);
    if (!report->has_tls)
        failed |= add_text(root, "sni", report->tls.sni);
    failed |= json_object_set_new(root, "target", text_to_json(report->target));
    if (report->kind == REPORT_RESPONSE)
        failed |= add_response(root, report);
    failed |= add_number(root, "duration_ms", report->duration_ms);
    failed |= json_object_set_new(root, "closed_by",
                                  report->outcome == OUTCOME_OPEN
                                      ? json_null()
                                      : json_string(report_closed_by_name(report->closed_by)));
    failed |= json_object_set_new(root, "outcome", json_string(report_outcome_name(report->outcome)));
    failed |= add_text(root, "detail", report->detail);
    failed |= json_object_set_new(root, "tls",
                                  report->has_tls ? tls_to_json(&report->tls, "client_name") : json_null());
    if (report->kind == REPORT_CONNECTION)
        failed |= add_connection(root, report);
    failed |= json_object_set_new(
        root, "directions",
        json_pack("{s:o, s:o}", "to_client", direction_to_json(&report->directions[SESSION_TO_CLIENT]),
                  "to_server", direction_to_json(&report->directions[SESSION_TO_SERVER])));
    if (failed != 0) {
        json_decref(root);
        return NULL;
    }
    return root;
}
