/* The operator's page for an error: a file beneath the root of the exchange's `files`, found as any other is.
 * Refuses to know why there is an error. */
#pragma once

#include <stdbool.h>

struct error_page;
struct http_exchange;

/* The exchange has files. true: it will be answered with that status, before this returns or later, by the
 * page, or by the built-in one if it can't be opened; until then exchange->page holds it, and the handler is
 * through. false: the files have no page for it. extra_headers: whole lines, copied; may be NULL. */
bool error_page_start(struct http_exchange *exchange, int status, const char *extra_headers)
    __attribute__((warn_unused_result));
/* The exchange ends before its answer. NULL: nothing. */
void error_page_cancel(struct error_page *page);
