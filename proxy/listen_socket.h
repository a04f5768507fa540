/* Opens the listening sockets of one address. Refuses to know who uses them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "conf/conf.h"

struct listen_socket {
    int *fds; /* owned */
    size_t count;
    struct sockaddr_storage bound; /* with the real port */
    socklen_t bound_length;
    dev_t device; /* of the UNIX socket's file, to know it again */
    ino_t inode;
};

/* Opens `count` sockets in one REUSEPORT group (UNIX: one, whatever count says), bound and listening,
 * close-on-exec and non-blocking, as `listening` asks. 0, or -1 and *problem says why, with the remedy where
 * one is known. */
int listen_socket_open(struct listen_socket *socket, const struct conf_address *address,
                       const struct conf_listening *listening, size_t count, char *problem,
                       size_t problem_size) __attribute__((warn_unused_result));
/* What the configuration asks of them (NULL: nothing), also of those that are open already: what isn't asked
 * for any more becomes the system's. 0, or -1 and *problem says what the kernel refused. */
int listen_socket_apply(const struct listen_socket *socket, const struct conf_listening *listening,
                        char *problem, size_t problem_size) __attribute__((warn_unused_result));
/* Closes them; a UNIX socket's file is unlinked if it is still the one that was made here. */
void listen_socket_close(struct listen_socket *socket);
