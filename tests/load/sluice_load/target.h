/* What is loaded: an address, and how it is spoken to. Only loopback and UNIX sockets unless remote ones are
 * allowed. Refuses to know of connections. */
#ifndef SLUICE_LOAD_TARGET_H
#define SLUICE_LOAD_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct target {
    bool tls, http;
    char host[256];      /* for SNI and verification; of a UNIX socket "localhost" */
    char authority[288]; /* for Host: */
    char path[2048];     /* of http; "/" where the URL has none */
    struct sockaddr_storage address;
    socklen_t address_size;
};

enum target_result {
    TARGET_GOOD,
    TARGET_SYNTAX,     /* not a URL or an address */
    TARGET_UNRESOLVED, /* the name has no address */
    TARGET_REMOTE,     /* not loopback, or a name of which one address is not */
};

/* http://HOST[:PORT][/PATH] and https://…: the default ports are 80 and 443. The name is resolved here, once:
 * what was looked at is what is connected to. */
enum target_result target_parse_url(const char *text, bool allow_remote, struct target *target)
    __attribute__((warn_unused_result));

/* HOST:PORT, [V6]:PORT, :PORT (loopback), unix:/PATH, each also after tcp:// or tls://. */
enum target_result target_parse_address(const char *text, bool allow_remote, struct target *target)
    __attribute__((warn_unused_result));

/* Words for a result other than TARGET_GOOD. */
const char *target_result_text(enum target_result result);

/* Both reach the same socket in the same way. */
bool target_same_peer(const struct target *a, const struct target *b);

bool target_address_is_loopback(const struct sockaddr *address);

#endif
