/* Plain diagnostics for people, on stderr, one line each, prefixed `sluice: `. May block: not for workers
 * (they use server_note). Refuses to know the access log. */
#pragma once

void errlog(const char *format, ...) __attribute__((format(printf, 1, 2)));
