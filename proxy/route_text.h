/* A route in words, for `plan`. */
#pragma once

#include <stddef.h>

#include "conf/conf.h"

/* "sni www.example.org, *.example.org; source 10.0.0.0/8 -> proxy:app"; "any -> deny". Cut if it is longer.
 */
void route_describe(const struct conf_route *route, char *text, size_t size);
