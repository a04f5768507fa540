/* A record as a line of the combined format, which Apache began and nginx writes too, for the tools that read
 * it. Refuses to know where lines go. */
#pragma once

#include <stddef.h>

#include "proxy/report.h"

/* The longest line: every byte of request, referer, user agent and names escaped to four. */
#define REPORT_COMBINED_MAX 8192

/* CLIENT - - [TIME] "REQUEST" STATUS BYTES "REFERER" "USER AGENT", without the line's end. TIME is that of
 * the first byte, of the time zone of the process. Escaped as nginx does: quote, backslash and all that isn't
 * visible ASCII as \xHH, so that no client can forge a field or a line.
 * A connection that had no response has "TCP LISTENER TARGET" for a request and, as nginx's stream module, a
 * status for what it came to: see report_combined_status(). Returns the line's length, 0: no room. */
size_t report_write_combined(const struct report *report, char line[REPORT_COMBINED_MAX]);

/* The response's, or what the outcome comes to where the client saw none: 200 complete, 400 a handshake or
 * request that wasn't one, 403 refused by policy, 408 timeout, 499 the client broke off, 500 so did Sluice,
 * 502 the server did or couldn't be reached, 503 a limit or the end of the process. */
int report_combined_status(const struct report *report);
