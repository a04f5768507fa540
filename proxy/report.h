/* What is known of one connection (proxy) or one response (files, admin): the record behind the access log
 * and /connections.json. A flat value: it can be posted to another thread as it is. Refuses to know how it is
 * written (report_json.h, report_combined.h) and where it goes (log.h, admin/). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "proxy/filters/preview.h"
#include "proxy/http/request_id.h"
#include "relay/flow.h"
#include "relay/session.h"
#include "relay/tls_facts.h"

enum report_closed_by { CLOSED_BY_CLIENT, CLOSED_BY_SERVER, CLOSED_BY_SLUICE };

enum report_outcome {
    OUTCOME_OPEN, /* still going: only in /connections.json */
    OUTCOME_COMPLETE,
    OUTCOME_RESET,     /* a side reset or broke, passed on to the other */
    OUTCOME_TRUNCATED, /* the source ended short: a file that shrank, TLS without close_notify */
    OUTCOME_TIMEOUT,
    OUTCOME_REFUSED,   /* the policy forbids what is possible; `detail` has the reason's name */
    OUTCOME_NO_SERVER, /* no server of the backend could be reached */
    OUTCOME_HANDSHAKE, /* TLS handshake failed; `detail` says why */
    OUTCOME_BAD_REQUEST,
    OUTCOME_LIMITED, /* a limit of the listener was reached; `detail` has its key */
    OUTCOME_STOPPED, /* drain deadline or SIGQUIT */
};
const char *report_outcome_name(enum report_outcome outcome);
const char *report_closed_by_name(enum report_closed_by closed_by);

/* What a record is of. */
enum report_kind { REPORT_CONNECTION, REPORT_RESPONSE };

struct report {
    enum report_kind kind;
    uint64_t id; /* of the connection, unique in this process; all responses on one connection share it */
    struct timespec began; /* CLOCK_REALTIME */
    uint64_t duration_ms;
    char listener[64];
    char client[80];  /* "127.0.0.1:40312", "[::1]:9", "unix:" */
    char proxy[80];   /* the proxy in front, whose PROXY header told the client; "" there was none */
    char target[256]; /* server address for a proxy; files:NAME or admin otherwise; "" not chosen yet */
    enum report_closed_by closed_by;
    enum report_outcome outcome;
    char detail[160]; /* a word or sentence on the outcome; "" none */
    bool has_tls;
    struct tls_facts tls;             /* of a ClientHello that was passed through, the `sni` alone */
    struct flow_report directions[2]; /* by enum session_direction */

    union {
        struct {                 /* REPORT_CONNECTION */
            bool has_server_tls; /* TLS with the server */
            struct tls_facts server_tls;
            bool has_preview[2]; /* by enum session_direction: a filter of type log kept the first bytes */
            struct preview previews[2];
        };
        struct { /* REPORT_RESPONSE. Texts are the client's bytes, cut at the end where they are longer; ""
                    where there is none */
            int status;          /* 0: none, or the client never saw it */
            uint64_t request_ms; /* from the first byte of the request to the end of its head */
            bool has_first_byte; /* the kernel was given the first bytes of the answer, */
            uint64_t ttfb_ms;    /* so long after the first byte of the request */
            char request[512];   /* "GET /x HTTP/1.1" */
            char site[64];       /* whose it is, of a listener with sites */
            char host[128];
            char referer[256];
            char user_agent[256];
            char request_id[REQUEST_ID_MAX + 1];
        };
    };
};
/* A response's record is begun with what is known of its connection, this much of that record. */
#define REPORT_COMMON_SIZE offsetof(struct report, has_server_tls)
