/* The beginning of an HTTP/1 response, as far as a health check looks at it (RFC 9112, section 4). Pure. */
#pragma once

#include <stddef.h>

enum status_line { STATUS_LINE_PARTIAL, STATUS_LINE_BAD, STATUS_LINE_GOOD };

/* "HTTP/1.0 200" or "HTTP/1.1 200", then a space or the end of the line; what follows is not looked at.
 * *status only if GOOD. PARTIAL: more bytes are needed to tell. */
enum status_line status_line_parse(const char *bytes, size_t length, unsigned *status);
/* No more than these are ever needed. */
#define STATUS_LINE_MAX 13
