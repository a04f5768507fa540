/* What this host can do (relay/probe.h), shown: as the JSON that `sluice probe --json` prints, and as a
 * table. Refuses to know how it was found out. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "relay/probe.h"

/* {"kernel","openssl","splice","sendfile","mmap","ktls":{VERSION:{CIPHER:{"tx","rx","reason"}}},"pipe":{...}}
 * and, where there is one, "warning". "reason": why tx isn't there, or else why rx isn't; null when both are.
 * A limit that doesn't exist is null. A new reference; NULL: out of memory. */
json_t *probe_to_json(const struct probe *probe);

void probe_print(const struct probe *probe, FILE *stream);
