/* Writes heads. One allocation serves nearly all of them; only a long Location needs another.
 * Refuses to reflect: no byte of a request reaches a page. */
#include "proxy/http/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/date.h"

#define HEAD_CAPACITY 512 /* a 206 with every field takes about 400 */

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {416, "Range Not Satisfiable"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Unknown";
}

static bool reserve(struct http_head *head, size_t size)
{
    if (head->failed)
        return false;
    if (head->capacity - head->size >= size)
        return true;
    size_t capacity = head->capacity ? head->capacity : HEAD_CAPACITY;
    while (capacity - head->size < size)
        capacity *= 2;
    char *data = realloc(head->data, capacity);
    if (!data) {
        head->failed = true;
        return false;
    }
    head->data = data;
    head->capacity = capacity;
    return true;
}

void http_head_add(struct http_head *head, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0 || !reserve(head, (size_t)size + 1)) {
        head->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(head->data + head->size, (size_t)size + 1, format, args);
    va_end(args);
    head->size += (size_t)size;
}

void http_head_add_bytes(struct http_head *head, const char *text, size_t size)
{
    if (size == 0 || !reserve(head, size))
        return;
    memcpy(head->data + head->size, text, size);
    head->size += size;
}

void http_head_add_text(struct http_head *head, const char *text)
{
    http_head_add_bytes(head, text, strlen(text));
}

void http_head_add_number(struct http_head *head, uint64_t number)
{
    char digits[20]; /* of 2^64 */
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    http_head_add_bytes(head, digits + at, sizeof(digits) - at);
}

void http_head_begin(struct http_head *head, int status)
{
    const char *date;
    http_date_now(&date);
    http_head_add_text(head, "HTTP/1.1 ");
    http_head_add_number(head, (uint64_t)status);
    http_head_add_text(head, " ");
    http_head_add_text(head, http_status_text(status));
    http_head_add_text(head, "\r\nDate: ");
    http_head_add_text(head, date);
    http_head_add_text(head, "\r\n");
}

size_t http_status_page(int status, char page[HTTP_PAGE_MAX])
{
    const char *text = http_status_text(status);
    int size = snprintf(page, HTTP_PAGE_MAX,
                        "<!doctype html>\n<html lang=\"en\"><title>%d %s</title>\n<h1>%d %s</h1>\n</html>\n",
                        status, text, status, text);
    return size > 0 && size < HTTP_PAGE_MAX ? (size_t)size : 0;
}
