/* What a body ought to be, and what is done with it: read into memory, thrown away in the kernel, or
 * verified. Refuses to know how it arrives. */
#ifndef SLUICE_LOAD_CONTENT_H
#define SLUICE_LOAD_CONTENT_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum drain {
    DRAIN_COPY,   /* into memory, unseen */
    DRAIN_TRUNC,  /* the kernel throws it away: the cheapest receiver there is */
    DRAIN_VERIFY, /* compared with the content, or hashed */
};

const char *drain_name(enum drain drain);
int drain_parse(const char *name, enum drain *drain);

struct content {
    const uint8_t *data; /* NULL: compare by the hash */
    uint64_t size;
    bool cyclic; /* it is repeated without end */
    uint8_t sha256[32];
};

/* Maps a file. -1 with errno. */
int content_open(struct content *content, const char *path) __attribute__((warn_unused_result));

/* SIZE bytes that no compressor shortens and that are the same in every process, repeated without end. -1: no
 * memory. */
int content_generate(struct content *content, size_t size) __attribute__((warn_unused_result));

/* 64 hexadecimal digits; -1 otherwise. */
int content_set_sha256(struct content *content, const char *hex) __attribute__((warn_unused_result));

void content_close(struct content *content);

/* Whether data is what stands from offset on. */
bool content_matches(const struct content *content, uint64_t offset, const uint8_t *data, size_t size);

/* Of a body that is hashed: begin, add pieces, then compare. The digest is made by the first begin. */
int content_hash_begin(EVP_MD_CTX **digest) __attribute__((warn_unused_result));
bool content_hash_matches(const struct content *content, EVP_MD_CTX *digest);

#endif
