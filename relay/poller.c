/* See poller.h. An edge carries the number of a slot and the slot's serial, never a pointer: one that was
 * fetched before its socket was closed, or comes from a descriptor that a forked child still holds, finds
 * another serial and is dropped. */
#include "relay/poller.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "relay/loop.h"

/* Edges fetched at a time. */
#define POLLER_BATCH 64
/* Looks at the sockets before libevent gets its turn, with listeners, timers and messages: a busy worker
 * spares itself that part of a turn, and nobody there waits longer than for these. */
#define POLLER_ROUNDS 8

struct slot {
    struct poll_entry *entry; /* NULL: free */
    uint32_t serial;
    uint32_t next_free; /* index + 1; 0: the last */
};

struct poller {
    struct loop *loop;
    struct event *event;
    int epoll_fd;
    struct slot *slots;
    uint32_t slot_room, slot_count; /* those behind the count were never used, nor touched */
    uint32_t first_free;            /* as next_free */
};

static void dispatch(struct poller *poller, const struct epoll_event *edge)
{
    const uint32_t index = (uint32_t)edge->data.u64, serial = (uint32_t)(edge->data.u64 >> 32);
    const struct slot *slot = &poller->slots[index];
    if (slot->entry != NULL && slot->serial == serial)
        slot->entry->on_edge(slot->entry, edge->events);
}

static void on_edges(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct poller *poller = arg;
    struct epoll_event edges[POLLER_BATCH];
    for (int round = 0; round < POLLER_ROUNDS; round++) {
        const int count = epoll_wait(poller->epoll_fd, edges, POLLER_BATCH, 0);
        for (int i = 0; i < count; i++)
            dispatch(poller, &edges[i]);
        /* A batch that wasn't full has emptied the set; whatever came since wakes libevent. */
        if (!loop_run(poller->loop) && count < POLLER_BATCH)
            return;
    }
}

struct poller *poller_new(struct loop *loop)
{
    struct poller *poller = calloc(1, sizeof(*poller));
    if (poller == NULL)
        return NULL;
    poller->loop = loop;
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd == -1)
        goto free_poller;
    poller->event = event_new(loop->base, poller->epoll_fd, EV_READ | EV_PERSIST, on_edges, poller);
    if (poller->event == NULL || event_add(poller->event, NULL) == -1)
        goto close_fd;
    return poller;

close_fd:
    if (poller->event != NULL)
        event_free(poller->event);
    close(poller->epoll_fd);
    errno = ENOMEM;
free_poller:
    free(poller);
    return NULL;
}

void poller_free(struct poller *poller)
{
    if (poller == NULL)
        return;
    event_free(poller->event);
    close(poller->epoll_fd);
    free(poller->slots);
    free(poller);
}

/* A slot to be had at first_free. -1: out of memory. */
static int have_free_slot(struct poller *poller)
{
    if (poller->first_free != 0)
        return 0;
    if (poller->slot_count == poller->slot_room) {
        const uint32_t room = poller->slot_room != 0 ? 2 * poller->slot_room : POLLER_BATCH;
        struct slot *slots = realloc(poller->slots, room * sizeof(*slots));
        if (slots == NULL)
            return -1;
        poller->slots = slots;
        poller->slot_room = room;
    }
    poller->slots[poller->slot_count++] = (struct slot){0};
    poller->first_free = poller->slot_count;
    return 0;
}

static int watch(struct poller *poller, int operation, uint32_t index, uint32_t serial, int fd)
{
    struct epoll_event edge = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
                               .data.u64 = (uint64_t)serial << 32 | index};
    return epoll_ctl(poller->epoll_fd, operation, fd, &edge);
}

int poller_add(struct poller *poller, struct poll_entry *entry, int fd)
{
    if (have_free_slot(poller) == -1)
        return -1;
    const uint32_t index = poller->first_free - 1;
    struct slot *slot = &poller->slots[index];
    if (watch(poller, EPOLL_CTL_ADD, index, slot->serial, fd) == -1)
        return -1;
    poller->first_free = slot->next_free;
    slot->entry = entry;
    entry->slot = index;
    return 0;
}

int poller_move(struct poller *poller, struct poll_entry *to, const struct poll_entry *from, int fd)
{
    struct slot *slot = &poller->slots[from->slot];
    if (watch(poller, EPOLL_CTL_MOD, from->slot, slot->serial + 1, fd) == -1)
        return -1;
    slot->serial++;
    slot->entry = to;
    to->slot = from->slot;
    return 0;
}

void poller_remove(struct poller *poller, const struct poll_entry *entry)
{
    struct slot *slot = &poller->slots[entry->slot];
    slot->entry = NULL;
    slot->serial++;
    slot->next_free = poller->first_free;
    poller->first_free = entry->slot + 1;
}
