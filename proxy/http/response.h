/* The bytes of a response's head, and the small pages for errors.
 * Refuses to decide anything: which status and which fields is the caller's business. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing text. Zero-initialise; free data. */
struct http_head {
    char *data;
    size_t size, capacity;
    bool failed; /* out of memory: the head is useless */
};

/* "Not Found"; "Unknown" for a status that isn't used here. */
const char *http_status_text(int status);

/* Status line and Date. */
void http_head_begin(struct http_head *head, int status);
/* Appends whole lines or parts of one, each line with its CRLF. No value may hold CR or LF. */
void http_head_add(struct http_head *head, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same piece by piece, for what stands in every head: printf's share of a small file's processor time was
 * an eighth. */
void http_head_add_text(struct http_head *head, const char *text);
void http_head_add_bytes(struct http_head *head, const char *text, size_t size);
void http_head_add_number(struct http_head *head, uint64_t number);

#define HTTP_PAGE_MAX 192
/* The page for a status, in HTML. Nothing of the request stands in it, so there is nothing to escape.
 * Returns its length. */
size_t http_status_page(int status, char page[HTTP_PAGE_MAX]);
#define HTTP_PAGE_TYPE "text/html; charset=utf-8"
