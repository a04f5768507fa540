/* In which codings a resource may be had, and which of them a client is offered first. Pure.
 * Refuses to know whether a coding can really be had: the next one is tried where it can't. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/http/accept_encoding.h"

struct http_offer {
    enum http_coding coding; /* not identity, which is always there */
    bool on_the_fly;         /* made while it is sent; else there is a file of it */
};
/* Every coding, once in each way. */
#define HTTP_OFFERS_MAX (2 * (HTTP_CODING_COUNT - 1))

/* Those of `offers` that the client takes, the best-liked first; between equals the order stays. Returns how
 * many there are. When none of them can be had it is identity. */
size_t http_offers_rank(const struct http_offer *offers, size_t count,
                        const struct http_accept_encoding *accept, struct http_offer ranked[HTTP_OFFERS_MAX]);
