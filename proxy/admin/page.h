/* The admin page: one self-contained HTML document that asks /status.json and /connections.json for what it
 * shows. Refuses to know the figures. */
#pragma once

#include <stddef.h>

/* The whole document; free() it. NULL: out of memory. */
char *page_html(size_t *size);

/* A Content-Security-Policy header line, CRLF included, that allows exactly the page's own style and script
 * (by hash) and requests to its own origin. Empty if it doesn't fit or hashing fails. */
void page_security_policy(char *line, size_t size);
