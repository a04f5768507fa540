/* The families of /metrics that tell of backends and their servers.
 * Refuses to know how the figures come about. */
#pragma once

#include <stdio.h>

#include "proxy/generation.h"

void metrics_write_backends(const struct generation *generation, FILE *stream);
