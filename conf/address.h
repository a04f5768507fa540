/* What conf itself needs to know of addresses beyond conf.h: the directory of relative UNIX paths, and which
 * two can't be listened on at the same time.
 * Refuses to know names (nothing is looked up) and sockets (nothing is bound). */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

/* As conf_address_parse; a relative UNIX path is relative to `directory` (NULL: left as it is). */
bool address_parse(const char *text, const char *directory, struct conf_address *address,
                   const char **problem) __attribute__((warn_unused_result));

/* As conf_address_parse_server, with the directory. */
bool address_parse_server(const char *text, const char *directory, struct conf_address *address,
                          const char **problem) __attribute__((warn_unused_result));

/* 0 for a UNIX address. */
unsigned address_port(const struct conf_address *address);

/* Whether the kernel refuses to listen on both: the same port, and the same host or a wildcard that contains
 * it. Port 0 (the kernel chooses) never conflicts. */
bool address_conflict(const struct conf_address *a, const struct conf_address *b);
