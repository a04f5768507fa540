/* One lookup of one name: /etc/hosts first, else DNS for its IPv4 and IPv6 addresses, or for its SRV records
 * and then the addresses of their hosts. By c-ares, on an event loop, without blocking it. Belongs to the
 * thread of its event_base. Refuses to know what the answer is for and when to ask again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/names/answer.h"

struct event_base;
struct lookup;

enum name_family { NAME_ANY, NAME_IPV4, NAME_IPV6 };

struct name_question {
    const char *host;
    uint16_t port; /* of its addresses; with srv the records tell */
    bool srv;
    enum name_family family;
    const char *servers; /* "127.0.0.1:53,[::1]:5353"; NULL: those of /etc/resolv.conf, as it is now */
    uint32_t timeout_ms; /* for all of it */
};

struct lookup_options {
    struct event_base *base;
    const struct name_question *question; /* borrowed until the end */
    /* Once, from the event loop, never before lookup_start() returns; the answer is valid within. The lookup
     * may be freed in it. */
    void (*on_end)(void *arg, const struct name_answer *answer);
    void *arg;
};

/* After ares_library_init(). NULL: out of memory or descriptors; nothing will be called. */
struct lookup *lookup_start(const struct lookup_options *options);

/* At any time; on_end won't be called any more. NULL: nothing. */
void lookup_free(struct lookup *lookup);
