/* What `run`, `serve` and `relay` have in common: a server in the foreground, and options shared by the last
 * two. Refuses to know where a configuration comes from. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "proxy/server.h"

struct command_server {
    struct conf *conf;             /* taken; NULL: there are only problems */
    const char *conf_path;         /* as in server_options */
    struct conf_problems problems; /* printed and cleared */
    void (*on_started)(const struct server *server, const void *arg); /* may be NULL */
    const void *arg;
};
/* Serves until told to stop. Returns the exit status. */
int command_server_run(struct command_server *command);

/* What `relay` and `serve` have in common on the command line. */
struct command_common {
    const char *listen, *mode, *admin; /* NULL: not given */
};
/* Whether they are well-formed. false: the usage error was told. */
bool command_common_check(const struct command_common *common, const char *command, const char *usage);
bool command_target_check(const char *address, const char *command, const char *usage);

/* A configuration being written as text. */
struct command_text {
    char *text;
    size_t size;
    FILE *stream;
};
/* A string in libconfig syntax, quotes included. */
void command_text_quote(struct command_text *text, const char *value);
/* Serves by the configuration that `write` writes; `name` stands for the file in messages. Returns the exit
 * status. */
int command_server_run_text(struct command_server *command, const char *name,
                            void (*write)(struct command_text *text, const void *arguments),
                            const void *arguments);
