/* One page with charts, made from the JSON document of a command: no other file, no script, light and dark.
 * Refuses to know how the figures came about. */
#ifndef SLUICE_LOAD_HTML_H
#define SLUICE_LOAD_HTML_H

#include <jansson.h>
#include <stdio.h>

/* document: of http, tcp, modes or peers. -1 with a message if the file could not be written. */
int html_write(const char *path, json_t *document) __attribute__((warn_unused_result));

#endif
