/* Reads a small file whole, and tells what is wrong with it.
 * Refuses to know what is in it. */
#include "certs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX \
    (4u << 20)         /* a long chain is some 20 KiB, a system's CA certificates 200; CRLs can be larger */
#define PATH_SHOWN 300 /* of a longer path only the end, which tells more than the beginning */

int cert_fail(struct cert_error *error, enum cert_fault fault, const char *path, const char *format, ...)
{
    size_t length = strlen(path);
    bool cut = length > PATH_SHOWN;
    error->fault = fault;
    int used = snprintf(error->text, sizeof(error->text), "%s%s: ", cut ? "..." : "",
                        cut ? path + length - PATH_SHOWN : path);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text + used, sizeof(error->text) - (size_t)used, format, arguments);
    va_end(arguments);
    return -1;
}

const char *cert_openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "unknown error";
}

void cert_file_clear(struct cert_file *file)
{
    OPENSSL_clear_free(file->data, file->size);
    *file = (struct cert_file){0};
}

static int read_all(int fd, struct cert_file *file)
{
    file->size = 0;
    while (file->size < FILE_MAX) {
        ssize_t n = read(fd, file->data + file->size, FILE_MAX - file->size);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return -1;
        }
        if (n == 0) {
            return 0;
        }
        file->size += (size_t)n;
    }
    errno = EFBIG;
    return -1;
}

/* O_NONBLOCK: opening a FIFO must not wait for its writer before fstat can refuse it. */
int cert_file_read(struct cert_file *file, const char *path, enum cert_fault fault, struct cert_error *error)
{
    *file = (struct cert_file){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd == -1) {
        return cert_fail(error, fault, path, "can't read: %s", strerror(errno));
    }
    int result = -1;
    struct stat status;
    if (fstat(fd, &status) == -1) {
        cert_fail(error, CERT_FAULT_SYSTEM, path, "fstat: %s", strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        cert_fail(error, fault, path, "not a regular file");
    } else if ((file->data = OPENSSL_malloc(FILE_MAX)) == NULL) {
        cert_fail(error, CERT_FAULT_SYSTEM, path, "out of memory");
    } else if (read_all(fd, file) == -1) {
        cert_fail(error, fault, path, "can't read: %s", strerror(errno));
    } else {
        file->mode = status.st_mode;
        result = 0;
    }
    if (result == -1) {
        cert_file_clear(file);
    }
    close(fd);
    return result;
}
