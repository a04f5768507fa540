/* The sockets of one loop: an edge-triggered epoll set of our own, itself one event of libevent's base.
 * Registered with libevent each socket costs 168 bytes, an EPOLL_CTL_DEL before it is closed, and the
 * difference between data, the peer's end, an urgent byte and an error, which libevent folds into two bits:
 * that is what a recv() and a getsockopt() had to find out again. Here it costs 16 bytes and closing takes it
 * out. Refuses to know what the edges mean (endpoint.c). On the worker's thread only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct poller;

struct poll_entry {
    void (*on_edge)(struct poll_entry *entry, uint32_t events); /* EPOLLIN | EPOLLOUT ... */
    uint32_t slot;                                              /* owned by poller.c */
};

/* loop is borrowed: between two looks at the sockets its tasks are run. NULL and errno on failure. */
struct poller *poller_new(struct loop *loop);
void poller_free(struct poller *poller);

/* Watches fd for every edge (EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLPRI and errors). What it is ready for
 * already is told as an edge on the next turn. 0, or -1 and errno. */
int poller_add(struct poller *poller, struct poll_entry *entry, int fd) __attribute__((warn_unused_result));

/* `to` instead of `from` from now on, which is told anew what fd is ready for. 0; or -1 and errno: as before.
 */
int poller_move(struct poller *poller, struct poll_entry *to, const struct poll_entry *from, int fd)
    __attribute__((warn_unused_result));

/* No edge reaches the entry any more, also none that was fetched already. Its descriptor is to be closed at
 * once, which takes it out of the set. */
void poller_remove(struct poller *poller, const struct poll_entry *entry);
