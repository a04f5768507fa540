/* A route, or a path of a site, in words, for `plan`. */
#pragma once

#include <stddef.h>

#include "conf/conf.h"

/* "sni www.example.org, *.example.org; source 10.0.0.0/8 -> proxy:app"; "any -> deny", "any -> sites". Cut if
 * it is longer.
 */
void route_describe(const struct conf_route *route, char *text, size_t size);

/* "main /media/ -> files:media", "main = /old -> redirect", "main / -> 410"; path NULL: "main -> https".
 * Likewise. */
void site_describe(const struct conf_site *site, const struct conf_site_path *path, char *text, size_t size);
