/* Bodies as they ought to be: a file, a generated pattern, or a SHA-256.
 * Refuses to know how they arrive. */
#include "sluice_load/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const drain_names[] = {
    [DRAIN_COPY] = "copy", [DRAIN_TRUNC] = "trunc", [DRAIN_VERIFY] = "verify"};

const char *drain_name(enum drain drain)
{
    return drain_names[drain];
}

int drain_parse(const char *name, enum drain *drain)
{
    for (size_t i = 0; i < sizeof(drain_names) / sizeof(drain_names[0]); i++) {
        if (strcmp(name, drain_names[i]) == 0) {
            *drain = (enum drain)i;
            return 0;
        }
    }
    return -1;
}

int content_open(struct content *content, const char *path)
{
    struct stat status;
    void *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    memset(content, 0, sizeof(*content));
    if (fd == -1)
        return -1;
    if (fstat(fd, &status) == -1)
        goto fail;
    /* An empty file can't be mapped, and is nothing to compare with. */
    data =
        mmap(NULL, status.st_size > 0 ? (size_t)status.st_size : 1, PROT_READ,
             status.st_size > 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, status.st_size > 0 ? fd : -1, 0);
    if (data == MAP_FAILED)
        goto fail;
    close(fd);
    content->data = data;
    content->size = (uint64_t)status.st_size;
    return 0;
fail:
    close(fd);
    return -1;
}

int content_generate(struct content *content, size_t size)
{
    uint64_t x = UINT64_C(0x9e3779b97f4a7c15);
    uint8_t *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memset(content, 0, sizeof(*content));
    if (data == MAP_FAILED)
        return -1;
    /* xorshift64: not random, but no two stretches of it are alike. */
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t)(x >> 32);
    }
    content->data = data;
    content->size = size;
    content->cyclic = true;
    return 0;
}

int content_set_sha256(struct content *content, const char *hex)
{
    memset(content, 0, sizeof(*content));
    if (strlen(hex) != 64 || strspn(hex, "0123456789abcdefABCDEF") != 64)
        return -1;
    for (size_t i = 0; i < 32; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        content->sha256[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return 0;
}

void content_close(struct content *content)
{
    if (content->data != NULL)
        munmap((void *)(uintptr_t)content->data, content->size > 0 ? content->size : 1);
    memset(content, 0, sizeof(*content));
}

bool content_matches(const struct content *content, uint64_t offset, const uint8_t *data, size_t size)
{
    while (size > 0) {
        uint64_t at = content->cyclic ? offset % content->size : offset;
        size_t n = size;

        if (at >= content->size)
            return false;
        if (n > content->size - at) {
            if (!content->cyclic)
                return false;
            n = (size_t)(content->size - at);
        }
        if (memcmp(content->data + at, data, n) != 0)
            return false;
        offset += n;
        data += n;
        size -= n;
    }
    return true;
}

int content_hash_begin(EVP_MD_CTX **digest)
{
    if (*digest == NULL)
        *digest = EVP_MD_CTX_new();
    return *digest != NULL && EVP_DigestInit_ex(*digest, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

bool content_hash_matches(const struct content *content, EVP_MD_CTX *digest)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned size;

    return EVP_DigestFinal_ex(digest, sum, &size) == 1 && size == 32 && memcmp(sum, content->sha256, 32) == 0;
}
