/* Names of requests, by which a log line, an answer and what a client or a proxy in front wrote down are
 * found to belong together. Refuses to know who is told. */
#pragma once

#include <stdbool.h>

#include "proxy/http/slice.h"

#define REQUEST_ID_MAX 64

/* A new one: 32 hexadecimal digits, of which no thread of any process makes the same again; they tell
 * nothing, neither how many there were nor when. Any thread. */
void request_id_make(char id[REQUEST_ID_MAX + 1]);

/* Whether a name that came with a request may be used for it: 1 to REQUEST_ID_MAX letters, digits and
 * `-._~+/=`, which do no harm in logs, headers and shells. */
bool request_id_valid(struct http_slice text);
