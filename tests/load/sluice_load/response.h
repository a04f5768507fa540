/* Reads the answers of an HTTP/1 server: the head, and the chunks of a body that comes in chunks. Pure: bytes
 * in, findings out. Refuses to know of connections and of what the body should be. */
#ifndef SLUICE_LOAD_RESPONSE_H
#define SLUICE_LOAD_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum response_framing { RESPONSE_LENGTH, RESPONSE_CHUNKED, RESPONSE_UNTIL_END };

struct response_head {
    int status;
    enum response_framing framing;
    uint64_t length;      /* of RESPONSE_LENGTH */
    uint64_t range_first; /* offset of the body in the whole, from Content-Range; otherwise 0 */
    bool keep_alive;      /* the connection outlives this response */
};

/* Bytes up to the end of the empty line that ends the head; 0: it has not all come. */
size_t response_head_size(const char *data, size_t size);

/* A whole head. -1 if it cannot be understood. bodyless: the request was HEAD. */
int response_head_parse(const char *data, size_t size, bool bodyless, struct response_head *head)
    __attribute__((warn_unused_result));

struct response_chunks {
    int state; /* 0 initially */
    uint64_t left;
    unsigned digits, line;
};

enum response_chunk {
    RESPONSE_CHUNK_MORE,  /* all of it is taken, more is to come */
    RESPONSE_CHUNK_PIECE, /* *piece of the body; call again with the rest */
    RESPONSE_CHUNK_END,   /* the body is over; what is left belongs to nobody */
    RESPONSE_CHUNK_BAD,
};

/* Moves *data and *size past what it took. */
enum response_chunk response_chunks_step(struct response_chunks *chunks, const uint8_t **data, size_t *size,
                                         const uint8_t **piece, size_t *piece_size);

#endif
