/* HTTP dates: IMF-fixdate out, the three formats of RFC 9110 5.6.7 in.
 * Knows only UTC and English, whatever the locale and time zone of the process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http/slice.h"

#define HTTP_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and its terminator */

/* Seconds since 1970; anything outside the years 0 to 9999 is moved to the nearest end. */
void http_date_format(int64_t seconds, char out[HTTP_DATE_SIZE]);

/* now: for the two-digit years of RFC 850, of which none lies more than 50 years ahead. false: not a date. */
bool http_date_parse(struct http_slice text, int64_t now, int64_t *seconds);

/* The current second, and its text: made once a second and thread. Valid until the next call. */
int64_t http_date_now(const char **text);
