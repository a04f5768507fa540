/* See mailbox.h. Senders push onto a stack with one compare-and-swap; the reader takes the whole stack and
 * turns it round. Refuses to know what a message means. */
#include "proxy/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct message {
    struct message *next;
    mailbox_fn *fn;
    void *arg;
};

/* In place of the stack once the mailbox takes nothing more. */
static struct message closed;

struct mailbox {
    _Atomic(struct message *) top;
    int fd;
    struct event *event;
    void *owner;
};

static void run_messages(struct mailbox *mailbox, struct message *stack)
{
    struct message *queue = NULL, *message;

    while ((message = stack) != NULL) {
        stack = message->next;
        message->next = queue;
        queue = message;
    }
    while ((message = queue) != NULL) {
        queue = message->next;
        message->fn(mailbox->owner, message->arg);
        free(message);
    }
}

static void on_wakeup(evutil_socket_t fd, short what, void *arg)
{
    struct mailbox *mailbox = arg;
    uint64_t count;
    ssize_t n;

    (void)what;
    /* Emptied before the stack is taken: a message pushed in between wakes us once more. */
    n = read(fd, &count, sizeof(count));
    (void)n;
    if (atomic_load_explicit(&mailbox->top, memory_order_acquire) != &closed)
        run_messages(mailbox, atomic_exchange_explicit(&mailbox->top, NULL, memory_order_acq_rel));
}

struct mailbox *mailbox_new(struct event_base *base, void *owner)
{
    struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

    if (mailbox == NULL)
        return NULL;
    mailbox->owner = owner;
    mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->fd == -1)
        goto free_mailbox;
    mailbox->event = event_new(base, mailbox->fd, EV_READ | EV_PERSIST, on_wakeup, mailbox);
    if (mailbox->event == NULL || event_add(mailbox->event, NULL) == -1)
        goto close_fd;
    return mailbox;

close_fd:
    if (mailbox->event != NULL)
        event_free(mailbox->event);
    close(mailbox->fd);
    errno = ENOMEM;
free_mailbox:
    free(mailbox);
    return NULL;
}

bool mailbox_post(struct mailbox *mailbox, mailbox_fn *fn, void *arg)
{
    const uint64_t one = 1;
    struct message *message = malloc(sizeof(*message));
    struct message *top;
    ssize_t n;

    if (message == NULL)
        return false;
    message->fn = fn;
    message->arg = arg;
    top = atomic_load_explicit(&mailbox->top, memory_order_relaxed);
    do {
        if (top == &closed) {
            free(message);
            return false;
        }
        message->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->top, &top, message, memory_order_release,
                                                    memory_order_relaxed));
    /* Only whoever finds the stack empty needs to wake the reader. EAGAIN: it is awake 2^64 times over. */
    if (top == NULL) {
        n = write(mailbox->fd, &one, sizeof(one));
        (void)n;
    }
    return true;
}

void mailbox_close(struct mailbox *mailbox)
{
    struct message *stack = atomic_exchange_explicit(&mailbox->top, &closed, memory_order_acq_rel);

    if (stack != &closed)
        run_messages(mailbox, stack);
}

void mailbox_free(struct mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    mailbox_close(mailbox);
    event_free(mailbox->event);
    close(mailbox->fd);
    free(mailbox);
}
