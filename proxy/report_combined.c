/* See report_combined.h. Refuses to allocate: a line is bounded, as are the texts of a record. */
#include "proxy/report_combined.h"

#include <stdio.h>

#include "proxy/line.h"

static void put_escaped(struct line *line, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;

        if (byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\')
            line_put_bytes(line, text, 1);
        else
            line_put_bytes(line, (const char[]){'\\', 'x', digits[byte >> 4], digits[byte & 15]}, 4);
    }
}

/* A client's text: "-" where there is none. */
static void put_quoted(struct line *line, const char *text)
{
    line_put(line, " \"");
    put_escaped(line, text[0] != '\0' ? text : "-");
    line_put(line, "\"");
}

/* "127.0.0.1:80" and "[::1]:80" without their ports; "unix:" without its path, which may hold anything. */
static void put_client(struct line *line, const char *client)
{
    const char *colon = strrchr(client, ':');

    if (strncmp(client, "unix:", 5) == 0)
        line_put(line, "unix:");
    else if (colon == NULL)
        line_put(line, "-");
    else if (client[0] == '[')
        line_put_bytes(line, client + 1, (size_t)(colon - client) - 2);
    else
        line_put_bytes(line, client, (size_t)(colon - client));
}

/* strftime()'s %b would be the locale's. */
static void put_time(struct line *line, time_t seconds)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static _Thread_local time_t second = -1;
    static _Thread_local char known[64]; /* many records are of one second */

    if (seconds != second) {
        struct tm local;
        long minutes;

        second = seconds;
        localtime_r(&second, &local);
        minutes = local.tm_gmtoff / 60;
        snprintf(known, sizeof(known), " - - [%02d/%s/%d:%02d:%02d:%02d %c%02ld%02ld]", local.tm_mday,
                 months[local.tm_mon], local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec,
                 minutes < 0 ? '-' : '+', (minutes < 0 ? -minutes : minutes) / 60,
                 (minutes < 0 ? -minutes : minutes) % 60);
    }
    line_put(line, known);
}

static int broken_status(enum report_closed_by closed_by)
{
    switch (closed_by) {
    case CLOSED_BY_CLIENT:
        return 499;
    case CLOSED_BY_SERVER:
        return 502;
    case CLOSED_BY_SLUICE:
        break;
    }
    return 500;
}

int report_combined_status(const struct report *report)
{
    if (report->kind == REPORT_RESPONSE && report->status != 0)
        return report->status;
    switch (report->outcome) {
    case OUTCOME_OPEN:
    case OUTCOME_COMPLETE:
        return 200;
    case OUTCOME_RESET:
    case OUTCOME_TRUNCATED:
        return broken_status(report->closed_by);
    case OUTCOME_TIMEOUT:
        return 408;
    case OUTCOME_REFUSED:
        return 403;
    case OUTCOME_NO_SERVER:
        return 502;
    case OUTCOME_HANDSHAKE:
    case OUTCOME_BAD_REQUEST:
        return 400;
    case OUTCOME_LIMITED:
    case OUTCOME_STOPPED:
        return 503;
    }
    return 500;
}

size_t report_write_combined(const struct report *report, char text[REPORT_COMBINED_MAX])
{
    const bool is_response = report->kind == REPORT_RESPONSE;
    struct line line = {.text = text, .capacity = REPORT_COMBINED_MAX};

    put_client(&line, report->client);
    put_time(&line, report->began.tv_sec);
    if (is_response) {
        put_quoted(&line, report->request);
    } else {
        line_put(&line, " \"TCP ");
        put_escaped(&line, report->listener);
        line_put(&line, " ");
        put_escaped(&line, report->target[0] != '\0' ? report->target : "-");
        line_put(&line, "\"");
    }
    line_put(&line, " ");
    line_put_number(&line, (uint64_t)report_combined_status(report));
    line_put(&line, " ");
    line_put_number(&line, report->directions[SESSION_TO_CLIENT].bytes);
    put_quoted(&line, is_response ? report->referer : "");
    put_quoted(&line, is_response ? report->user_agent : "");
    return line.failed ? 0 : line.size;
}
