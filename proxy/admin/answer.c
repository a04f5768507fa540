/* Answers an exchange of the admin listener.
 * Refuses to know what is in the body. */
#include "proxy/admin/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void answer_text(struct http_exchange *exchange, int status, const char *content_type,
                 const char *extra_headers, const char *text, size_t size)
{
    char headers[1024];

    snprintf(headers, sizeof(headers), "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s",
             extra_headers != NULL ? extra_headers : "");
    http_respond_memory(exchange, status, content_type, headers, text, size);
}

void answer_json(struct http_exchange *exchange, json_t *body, const char *extra_headers)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    if (text == NULL) {
        http_respond_status(exchange, 500, NULL);
        return;
    }
    answer_text(exchange, 200, "application/json", extra_headers, text, strlen(text));
    free(text);
}
