/* A record as JSON, with the names that the manual promises: a line of the access log, an element of
 * /connections.json. Refuses to know where it goes. */
#pragma once

#include <stddef.h>

#include "proxy/report.h"

/* The longest: every byte of every text escaped to six. */
#define REPORT_JSON_MAX (24u << 10)

/* One object, without the line's end. It is ASCII throughout: a client chooses some of the bytes, and they
 * are to be harmless wherever they are shown. What isn't UTF-8 is told as Latin-1. Returns its length, 0: no
 * room. */
size_t report_write_json(const struct report *report, char text[REPORT_JSON_MAX]);
