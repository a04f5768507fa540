/* A listing as a document: a page for people, or JSON for programs. Any name is shown as it is and harms
 * nobody: markup is escaped, links are percent-encoded, what isn't UTF-8 shows U+FFFD and keeps its bytes in
 * the link. Pure. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "proxy/http/listing.h"

/* Where the listing is, as its client sees it. */
struct listing_place {
    const char *path; /* decoded, terminated, without slashes at its ends: "" the top of the host */
    size_t prefix;    /* so much of it is above the root (target.h): nothing leads there */
};

/* A function of this kind writes the document; whether it fitted into memory, the stream knows. */
typedef void listing_writer(FILE *stream, const struct listing *listing, const struct listing_place *place);

listing_writer listing_write_html, listing_write_json;

/* What both are made of (listing_text.c). */

/* As far as bytes are UTF-8, they stand there; each of the others as U+FFFD, and on the page whatever would
 * turn the direction of the text. */
void listing_put_html(FILE *stream, const char *text, size_t size);
void listing_put_json(FILE *stream, const char *text, size_t size);
/* Percent-encoded: a relative reference that begins with no scheme. */
void listing_put_link(FILE *stream, const char *text, size_t size);
