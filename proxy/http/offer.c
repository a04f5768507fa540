/* Insertion into a list of at most six. Refuses to look at files. */
#include "proxy/http/offer.h"

#include <assert.h>

size_t http_offers_rank(const struct http_offer *offers, size_t count,
                        const struct http_accept_encoding *accept, struct http_offer ranked[HTTP_OFFERS_MAX])
{
    size_t taken = 0;
    assert(count <= HTTP_OFFERS_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t at = taken;
        if (!http_accept_encoding_takes(accept, offers[i].coding))
            continue;
        while (at > 0 && accept->quality[ranked[at - 1].coding] < accept->quality[offers[i].coding]) {
            ranked[at] = ranked[at - 1];
            at--;
        }
        ranked[at] = offers[i];
        taken++;
    }
    return taken;
}
