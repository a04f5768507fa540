/* The table of raw requests against the parsers of heads and bodies: given whole, and cut in two at every
 * place (of long ones, at some). Both must come to what the table says, and agree where a request ends. */
#include "requests_table.h"

#include "http_limits_fixture.h"
#include "proxy/http/body.h"
#include "proxy/http/target.h"

#define SERVED 0 /* for the parsers; what becomes of it is the handler's business */

struct outcome {
    int status;  /* of a refused one, or SERVED */
    bool keeps;  /* another one may follow */
    size_t size; /* of a whole request, its body included */
};

static struct outcome refused(int status)
{
    return (struct outcome){.status = status};
}

/* What a target comes to, for the methods that look at it. */
static int target_status(const struct http_request *request)
{
    struct http_target target;
    char *path = malloc(request->target.size + 1);
    assert_non_null(path);
    int status = http_target_parse(request->target, path, &target);
    free(path);
    return request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD ? status : SERVED;
}

/* One request in two pieces, the first of `cut` bytes. */
static struct outcome judge(const char *raw, size_t size, size_t cut)
{
    static struct http_request request;
    fixture_request_init(&request);
    enum http_parse parse = http_request_parse(&request, raw, cut);
    if (parse == HTTP_PARSE_INCOMPLETE)
        parse = http_request_parse(&request, raw, size);
    assert_int_not_equal(parse, HTTP_PARSE_INCOMPLETE);
    if (parse == HTTP_PARSE_REFUSED)
        return refused(request.status);

    struct outcome outcome = {.size = request.head_size, .status = target_status(&request)};
    outcome.keeps = request.keep_alive && !request.expects_continue && request.method != HTTP_METHOD_CONNECT;
    if (!request.has_body)
        return outcome;
    struct http_body body;
    http_body_init(&body, &request, &fixture_http_limits);
    if (request.expects_continue && body.status == 0)
        return outcome;
    size_t used = 0, middle = cut > outcome.size ? cut - outcome.size : 0;
    enum http_body_status status = http_body_skip(&body, raw + outcome.size, middle, &used);
    outcome.size += used;
    if (status == HTTP_BODY_MORE) {
        status = http_body_skip(&body, raw + outcome.size, size - outcome.size, &used);
        outcome.size += used;
    }
    assert_int_not_equal(status, HTTP_BODY_MORE);
    return status == HTTP_BODY_DONE ? outcome : refused(body.status);
}

/* Whether the parsers refuse what the table says is refused; a handler's statuses are theirs to serve. */
static bool agrees(int found, int status)
{
    switch (status) {
    case 413:
    case 414:
    case 431:
    case 501:
    case 505:
    case 400:
        return found == status;
    case 404: /* of an encoded slash, or of a file that isn't there */
        return found == SERVED || found == 404;
    default:
        return found == SERVED;
    }
}

static bool row_holds(const struct raw_request *row, size_t cut)
{
    size_t at = 0;
    for (unsigned i = 0; i < row->status_count; i++) {
        const bool is_last = i + 1 == row->status_count;
        const size_t in_first = cut > at ? cut - at : 0;
        struct outcome outcome = judge(row->raw + at, row->size - at, in_first);
        if (!agrees(outcome.status, row->statuses[i]) || outcome.keeps != (!is_last || row->keeps))
            return false;
        at += outcome.size;
    }
    return !row->keeps || at == row->size; /* the next one begins where this one ends */
}

static void check_row(const struct raw_request *row, void *context)
{
    const size_t step = row->size < 2000 ? 1 : row->size / 97;
    size_t cut = 0;
    while (cut < row->size && row_holds(row, cut))
        cut += step;
    if (cut < row->size || !row_holds(row, row->size)) {
        print_error("requests.txt:%d, cut at %zu\n", row->line, cut);
        ++*(unsigned *)context;
    }
}

static void test_table(void **state)
{
    (void)state;
    unsigned failures = 0;
    assert_true(requests_each(check_row, &failures) >= 150);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
