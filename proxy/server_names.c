/* The server's part in names: changes reach the generation that serves, and what is new is waited for a
 * moment before anybody is let in. Refuses to know how names are looked up. */
#include <stdlib.h>
#include <unistd.h>

#include "proxy/mailbox.h"
#include "proxy/names/resolver.h"
#include "proxy/server_internal.h"

/* So that the first clients needn't be refused while the first answer is on its way; longer would only make a
 * start without a name server slow. Clients wait in the backlog meanwhile, or with the old generation. */
#define AWAIT_MS 2000u

static void on_names_changed(void *owner, void *arg)
{
    struct server *server = owner;

    (void)arg;
    if (server->state != SERVER_STOPPED)
        generation_refresh(server->generation);
}

/* On the resolver's thread, as the next one. */
static void on_change(void *arg)
{
    struct server *server = arg;

    while (!mailbox_post(server->mailbox, on_names_changed, NULL))
        usleep(1000);
}

static void on_note(void *arg, const char *text)
{
    server_note(arg, "%s", text);
}

struct resolver *server_names_new(struct server *server)
{
    return resolver_new(
        &(struct resolver_options){.on_change = on_change, .on_note = on_note, .arg = server});
}

void server_names_await(struct server *server, struct generation *generation)
{
    (void)resolver_wait(server->resolver, AWAIT_MS);
    generation_refresh(generation);
}
