/* An HTTP connection with a handler of the test's, and files without names to answer with.
 * Refuses to know what is expected of the answers. */
#pragma once

#include "http_fixture.h"

#include <sys/mman.h>

#include "proxy/http/request.h"
#include "proxy/http/respond_file.h"

#define HOST "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

/* --- A handler that keeps what it is asked, and answers when the test says so --- */

struct later {
    struct http_exchange *asked[64];
    char paths[64][64];
    unsigned count, cancelled;
    bool at_once; /* the page is the path itself */
};

static inline void later_handle(void *arg, const struct http_request *request, struct http_exchange *exchange)
{
    struct later *later = arg;
    unsigned i = later->count++;
    assert_true(i < 64);
    later->asked[i] = exchange;
    snprintf(later->paths[i], sizeof(later->paths[i]), "%s", request->resolved.path);
    http_exchange_set_data(exchange, later);
    assert_ptr_equal(http_exchange_data(exchange), later);
    if (later->at_once)
        http_respond_memory(exchange, 200, "text/plain", NULL, later->paths[i], strlen(later->paths[i]));
}

static inline void later_cancel(void *arg, struct http_exchange *exchange)
{
    struct later *later = arg;
    assert_ptr_equal(exchange, later->asked[later->count - 1]);
    later->cancelled++;
}

static inline struct http_handler handler_of(struct later *later)
{
    return (struct http_handler){.handle = later_handle, .cancel = later_cancel, .arg = later};
}

static inline bool asked(struct fixture *f, size_t n)
{
    return ((struct later *)f->options.handler.arg)->count >= n;
}

static inline void begin(struct fixture *f, struct later *later, bool at_once)
{
    *later = (struct later){.at_once = at_once};
    struct http_handler handler = handler_of(later);
    fixture_init(f, &handler);
}

/* A file of that many bytes without a name, each position telling where it is. */
static inline int make_file(size_t size)
{
    int fd = memfd_create("body", MFD_CLOEXEC);
    assert_true(fd != -1);
    uint32_t block[4096];
    for (size_t at = 0; at < size; at += sizeof(block)) {
        for (size_t i = 0; i < 4096; i++)
            block[i] = (uint32_t)(at / 4 + i) * 2654435761u;
        size_t n = size - at < sizeof(block) ? size - at : sizeof(block);
        assert_int_equal(write(fd, block, n), n);
    }
    return fd;
}

static inline bool file_bytes_are(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint32_t word = (uint32_t)(i / 4) * 2654435761u;
        if (((const unsigned char *)&word)[i % 4] != (unsigned char)bytes[i])
            return false;
    }
    return true;
}

static inline struct http_file file_of(int fd, size_t size)
{
    return (struct http_file){.fd = fd,
                              .size = size,
                              .mtime = 784111777,
                              .mtime_ns = 784111777000000000,
                              .inode = 7,
                              .is_regular = true,
                              .content_type = "application/octet-stream"};
}

/* --- Answers --- */

static inline void answer_with_file(struct fixture *f, struct later *later, const struct http_file *file,
                                    const char *request)
{
    unsigned n = later->count;
    fixture_send(f, request);
    assert_true(fixture_wait(f, asked, n + 1));
    http_respond_file(later->asked[n], file);
}

static inline struct response ask_file(struct fixture *f, struct later *later, size_t size,
                                       const char *request)
{
    size_t offset = f->received_size;
    unsigned reports = f->report_count;
    const struct http_file file = file_of(make_file(size), size);
    answer_with_file(f, later, &file, request);
    assert_true(fixture_wait(f, fixture_has_reports, reports + 1));
    assert_true(fixture_wait(f, fixture_has_received, offset + 1));
    fixture_turn(f);
    bool has_body = strncmp(request, "HEAD ", 5) != 0 && f->reports[reports].status != 304;
    return fixture_response(f, &offset, has_body);
}
