/* /metrics: the Prometheus text exposition, format 0.0.4. Names and labels are an interface (README).
 * Refuses to know how the figures come about and how they are fetched. */
#pragma once

#include <stdio.h>

#include "proxy/admin/view.h"

/* Series with a mode label appear once they have begun; all others from the start. */
void metrics_write(const struct admin_view *view, FILE *stream);

/* value between quotes, escaped as the format asks: backslash, quote, line feed. */
void metrics_write_label(FILE *stream, const char *name, const char *value);
/* HELP and TYPE of a family. */
void metrics_write_help(FILE *stream, const char *name, const char *type, const char *help);
