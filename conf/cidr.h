/* Ranges of addresses: "10.0.0.0/8", "2001:db8::/32", "192.0.2.7" (that one alone), "unix" (any UNIX socket).
 * Pure. Refuses to know what is allowed or refused by them. */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

/* false: *problem (static text) goes on "TEXT " with what is wrong and the remedy; *cidr is undefined. */
bool cidr_parse(const char *text, struct conf_cidr *cidr, const char **problem)
    __attribute__((warn_unused_result));
