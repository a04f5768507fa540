/* Which way Sluice says that the bytes of a listener went: read from /status.json, before and after a load.
 * Refuses to know which way they should have gone. */
#ifndef SLUICE_LOAD_PATHS_H
#define SLUICE_LOAD_PATHS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define PATHS_MAX 64
#define PATHS_REASONS 20

struct path_reason {
    char name[32];
    uint64_t count;
};

struct path {
    char direction[16], mode[16], source_crypto[8], sink_crypto[8];
    uint64_t bytes;
    struct path_reason reasons[PATHS_REASONS];
    size_t reason_count;
};

struct paths {
    struct path list[PATHS_MAX];
    size_t count;
    uint64_t user_bytes, kernel_bytes;
    uint64_t connections; /* open now */
};

/* -1 if the document does not tell of the listener in the form that it should have. */
int paths_read(json_t *status, const char *listener, struct paths *paths) __attribute__((warn_unused_result));

/* Leaves in `after` what was added since `before`; paths on which nothing went are gone. */
void paths_subtract(struct paths *after, const struct paths *before);

/* Finds the bytes that took another path than the one expected, in the direction to_client; NULL members
 * match anything. Returns the first such path, NULL if there is none. */
struct path_expected {
    const char *mode, *source_crypto, *sink_crypto;
};
const struct path *paths_stray(const struct paths *paths, const struct path_expected *expected);

/* The reasons of a path, "ktls_off, small_transfers". text holds 128 bytes and is returned. */
char *path_reasons_text(const struct path *path, char *text);

/* "splice 98 %, copy 2 %" of what went to the client. text holds 128 bytes and is returned. */
char *paths_used_text(const struct paths *paths, char *text);

/* [{"direction", "mode", "source_crypto", "sink_crypto", "bytes", "reasons": {…}}]. New reference. */
json_t *paths_json(const struct paths *paths);

#endif
