/* Makes the demo's directory, page, file and certificates.
 * Refuses to know who serves them. */
#include "proxy/demo_site.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/dev_ca.h"

#define BLOCK_SIZE (1u << 20)

static const char page[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Sluice demo</title>\n"
    "<style>:root{color-scheme:light dark}body{max-width:36em;margin:3em auto;padding:0 1em;"
    "font:17px/1.6 system-ui,sans-serif}</style>\n"
    "<h1>It flows.</h1>\n"
    "<p>This page came through Sluice. Over plain HTTP its bytes went from the page cache to your socket "
    "without entering the server's memory; over HTTPS that depends on whether the kernel has kTLS.</p>\n"
    "<p>Fetch <a href=\"" DEMO_FILE_NAME "\">" DEMO_FILE_NAME "</a> and watch the admin page say which path "
    "every byte took, and why.</p>\n</html>\n";

static int fail(char *error, size_t size, const char *what, const char *path)
{
    snprintf(error, size, "%s: %s: %s", path, what, strerror(errno));
    return -1;
}

/* "DIRECTORY/demo" if the program lies in a build tree of its own; false otherwise. */
static bool build_directory(char *path, size_t size)
{
    char program[400], marker[600];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    char *slash;

    if (n <= 0 || n >= (ssize_t)sizeof(program) - 1)
        return false;
    program[n] = '\0';
    slash = strrchr(program, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    snprintf(marker, sizeof(marker), "%s/CMakeCache.txt", program);
    if (access(marker, F_OK) == -1)
        return false;
    snprintf(path, size, "%s/demo", program);
    return (mkdir(path, 0755) == 0 || errno == EEXIST) && access(path, W_OK | X_OK) == 0;
}

static int make_directories(struct demo_site *site, char *error, size_t error_size)
{
    const char *base = getenv("TMPDIR");
    char sub[600];

    if (!build_directory(site->directory, sizeof(site->directory))) {
        int n = snprintf(site->directory, sizeof(site->directory), "%s/sluice-demo-XXXXXX",
                         base != NULL && base[0] == '/' ? base : "/tmp");

        if (n < 0 || (size_t)n >= sizeof(site->directory) || mkdtemp(site->directory) == NULL) {
            fail(error, error_size, "can't make a directory", site->directory);
            site->directory[0] = '\0';
            return -1;
        }
        site->temporary = true;
    }
    snprintf(sub, sizeof(sub), "%s/site", site->directory);
    if (mkdir(sub, 0755) == -1 && errno != EEXIST)
        return fail(error, error_size, "can't make the directory", sub);
    snprintf(site->page, sizeof(site->page), "%s/site/index.html", site->directory);
    snprintf(site->file, sizeof(site->file), "%s/site/" DEMO_FILE_NAME, site->directory);
    snprintf(site->ca, sizeof(site->ca), "%s/certs/ca.pem", site->directory);
    return 0;
}

/* splitmix64: passes for random, so that nothing on the way can compress it, and is the same every time. */
static uint64_t next_number(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Hashes the content into digest and, with an fd, writes it. -1 and errno; ECANCELED when stopped. */
static int generate(int fd, unsigned char digest[DEMO_DIGEST_SIZE], const volatile int *stop)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint64_t *block = malloc(BLOCK_SIZE), state = 1, done = 0;
    int result = -1;

    errno = ENOMEM;
    if (hash == NULL || block == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        goto out;
    while (done < DEMO_FILE_SIZE) {
        size_t size = DEMO_FILE_SIZE - done < BLOCK_SIZE ? (size_t)(DEMO_FILE_SIZE - done) : BLOCK_SIZE;

        errno = ECANCELED;
        if (stop != NULL && *stop != 0)
            goto out;
        for (size_t i = 0; i < BLOCK_SIZE / sizeof(*block); i++)
            block[i] = next_number(&state);
        if (EVP_DigestUpdate(hash, block, size) != 1 ||
            (fd != -1 && write_all(fd, (const uint8_t *)block, size) == -1))
            goto out;
        done += size;
    }
    result = EVP_DigestFinal_ex(hash, digest, NULL) == 1 ? 0 : -1;
out:
    free(block);
    EVP_MD_CTX_free(hash);
    return result;
}

/* Whether the file that is there is the one that would be made. */
static bool file_is(const char *path, const unsigned char digest[DEMO_DIGEST_SIZE], const volatile int *stop)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint8_t *block = malloc(BLOCK_SIZE);
    unsigned char found[EVP_MAX_MD_SIZE];
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool same = false;
    ssize_t n = -1;

    if (fd == -1 || hash == NULL || block == NULL || fstat(fd, &status) == -1 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size != DEMO_FILE_SIZE || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        goto out;
    while ((stop == NULL || *stop == 0) && (n = read(fd, block, BLOCK_SIZE)) > 0)
        EVP_DigestUpdate(hash, block, (size_t)n);
    same =
        n == 0 && EVP_DigestFinal_ex(hash, found, NULL) == 1 && memcmp(found, digest, DEMO_DIGEST_SIZE) == 0;
out:
    if (fd != -1)
        close(fd);
    free(block);
    EVP_MD_CTX_free(hash);
    return same;
}

/* Makes it under another name and renames: another demo may be serving from the same directory. */
static int replace_file(const char *path, const char *text, unsigned char digest[DEMO_DIGEST_SIZE],
                        const volatile int *stop, char *error, size_t error_size)
{
    char fresh[640];
    int fd, result, reason;

    snprintf(fresh, sizeof(fresh), "%s.%ld", path, (long)getpid());
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd == -1)
        return fail(error, error_size, "can't write", fresh);
    result = text != NULL ? write_all(fd, (const uint8_t *)text, strlen(text)) : generate(fd, digest, stop);
    if (result == 0)
        result = rename(fresh, path);
    reason = errno;
    close(fd);
    if (result == -1) {
        unlink(fresh);
        errno = reason;
        return fail(error, error_size, "can't write", path);
    }
    return 0;
}

int demo_site_make(struct demo_site *site, const volatile int *stop, char *error, size_t error_size)
{
    char certs[600];

    memset(site, 0, sizeof(*site));
    if (make_directories(site, error, error_size) == -1)
        return -1;
    snprintf(certs, sizeof(certs), "%s/certs", site->directory);
    if (dev_ca_ensure(certs, error, error_size) == -1 ||
        replace_file(site->page, page, NULL, stop, error, error_size) == -1)
        goto undo;
    if (generate(-1, site->digest, stop) == -1) {
        fail(error, error_size, "can't make its content", DEMO_FILE_NAME);
        goto undo;
    }
    if (!file_is(site->file, site->digest, stop) &&
        replace_file(site->file, NULL, site->digest, stop, error, error_size) == -1)
        goto undo;
    return 0;
undo:
    demo_site_remove(site);
    return -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

void demo_site_remove(struct demo_site *site)
{
    if (site->temporary)
        (void)nftw(site->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    site->temporary = false;
}
