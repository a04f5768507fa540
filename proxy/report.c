/* See report.h. The names that the manual promises. */
#include "proxy/report.h"

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
