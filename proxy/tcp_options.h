/* Sets on TCP sockets what the configuration says of them: keepalive, user timeout, congestion control, Fast
 * Open, the address to connect from. Refuses to know listeners, servers and connections. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "conf/conf.h"

/* keepalive, user_timeout and congestion. 0, or -1 and errno; *key: which one the kernel refused. What isn't
 * given stays as it is. */
int tcp_options_apply(int fd, const struct conf_tcp *tcp, const char **key)
    __attribute__((warn_unused_result));

/* The same on a listening socket, whose children inherit it, with fast_open; what isn't given becomes the
 * system's again. */
int tcp_options_apply_listening(int fd, const struct conf_tcp *tcp, const char **key)
    __attribute__((warn_unused_result));

/* The same on a socket about to be connected to a server of `family`, with source or transparent (from
 * `client`, used for nothing else) and, if `early`, fast_open. */
int tcp_options_apply_outgoing(int fd, int family, const struct conf_outgoing *outgoing,
                               const struct sockaddr_storage *client, bool early, const char **key)
    __attribute__((warn_unused_result));

/* Whether this host lets it be so: problems are added under `key` ("listeners.web"). Opens a socket to try.
 */
bool tcp_options_try_listening(const struct conf_listening *listening, const char *key,
                               struct conf_problems *problems);
bool tcp_options_try_outgoing(const struct conf_outgoing *outgoing, const char *key,
                              struct conf_problems *problems);

/* NULL, or why fast_open has no effect on this host. */
const char *tcp_options_fast_open_problem(bool listening);
