/* Fuzzes what a stranger's bytes reach first: the request parser, whole and cut in two, then the target, the
 * conditions and the dates of what it accepted. Asserts what the rest of the code relies on. */
#include <stdint.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "proxy/http/conditional.h"
#include "proxy/http/date.h"
#include "proxy/http/policy.h"
#include "proxy/http/request.h"
#include "proxy/http/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

/* It stays with the host, and within its line. */
static void check_location(const struct http_target *target)
{
    static const char *const bases[] = {"/", "https://example.org"};
    for (size_t i = 0; i < 2; i++) {
        char *line = site_location(bases[i], target, 0);
        CHECK(line && memcmp(line, "Location: ", 10) == 0);
        const char *value = line + 10;
        size_t size = strcspn(value, "\r\n"), base = i == 0 ? 0 : strlen(bases[i]);
        CHECK(strcmp(value + size, "\r\n") == 0);
        CHECK(memcmp(value, bases[i], base) == 0 && value[base] == '/');
        CHECK(value[base + 1] != '/' && value[base + 1] != '\\');
        free(line);
    }
}

/* Once folded a host stays as it is. */
static void check_host(struct http_slice host)
{
    char folded[CERT_NAME_SIZE], again[CERT_NAME_SIZE];
    if (host.at && site_host_fold(host, folded)) {
        CHECK(site_host_fold((struct http_slice){folded, strlen(folded)}, again));
        CHECK(strcmp(folded, again) == 0);
    }
}

/* What a `files` looks up by a path. The rules have every kind of pattern. */
static void check_policy(const char *path)
{
    static const char text[] = "files = { f = { root = \"/\"; cache_control = ( { match = "
                               "\"/a*[!b-d]?\\\\/*x\"; value = \"no-cache\"; }, "
                               "{ match = [ \"*.css\", \"*\" ]; value = \"no-store\"; } ); }; }; "
                               "listeners = { l = { address = \":0\"; files = \"f\"; }; };";
    static struct conf *conf;
    static struct http_policy *policy;
    if (!policy) {
        struct conf_problems problems = {0};
        conf = conf_load_text(text, NULL, NULL, &problems);
        CHECK(conf);
        policy = http_policy_new(&conf->files[0].policy);
    }
    CHECK(policy && http_policy_type(policy, path) && http_policy_cache_rule(policy, path));
}

/* What may be opened beneath a root, and written into a Location. */
static void check_target(const struct http_request *request)
{
    char *path = malloc(request->target.size + 1);
    CHECK(path);
    struct http_target target;
    if (http_target_parse(request->target, path, &target) == 0) {
        CHECK(target.size <= request->target.size && strlen(path) == target.size);
        CHECK(path[0] != '/' && (target.size == 0 || path[target.size - 1] != '/'));
        for (const char *segment = path; segment && target.size > 0; segment = strchr(segment, '/')) {
            segment += *segment == '/';
            size_t length = strcspn(segment, "/");
            CHECK(length > 0);
            CHECK(!(length == 1 && segment[0] == '.'));
            CHECK(!(length == 2 && segment[0] == '.' && segment[1] == '.'));
        }
        for (size_t i = 0; i < target.size; i++) {
            CHECK((unsigned char)path[i] >= ' ' && path[i] != 0x7f);
        }

        /* Encoded and parsed again it is the same path. */
        char *location = malloc(3 * target.size + 2), *again = malloc(3 * target.size + 2);
        CHECK(location && again);
        location[0] = '/';
        size_t length = http_target_encode(path, target.size, location + 1) + 1;
        struct http_target second;
        CHECK(http_target_parse((struct http_slice){location, length}, again, &second) == 0);
        CHECK(second.size == target.size && memcmp(again, path, target.size) == 0);
        free(location);
        free(again);
        check_location(&target);
        check_host(target.authority);
        check_policy(path);
    }
    free(path);
}

static void check_fields(const struct http_request *request)
{
    const struct http_validators validators = {.etag = "\"1-2-3\"", .mtime = 784111777, .now = 1763800000};
    (void)http_condition_check(request, &validators);
    (void)http_condition_range(request, &validators);
    for (unsigned i = 0; i < request->field_count; i++) {
        struct http_slice value = request->fields[i].value;
        int64_t date, again;
        if (http_date_parse(value, validators.now, &date)) {
            char text[HTTP_DATE_SIZE];
            http_date_format(date, text);
            CHECK(http_date_parse((struct http_slice){text, strlen(text)}, validators.now, &again));
            CHECK(date == again || date > INT64_C(253402300799)); /* a leap second past the year 9999 */
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = {.max_head = 2048, .max_uri = 512, .max_fields = 20};
    static struct http_field fields[2][20];
    static struct http_request whole, cut;
    char *text = malloc(size ? size : 1);
    CHECK(text);
    if (size > 0) {
        memcpy(text, data, size);
    }
    http_request_init(&whole, &limits, fields[0]);
    enum http_parse result = http_request_parse(&whole, text, size);
    CHECK(result != HTTP_PARSE_INCOMPLETE || size < limits.max_head);
    CHECK((result == HTTP_PARSE_REFUSED) == (whole.status != 0));
    CHECK(whole.limit == HTTP_LIMIT_NONE || whole.status == 414 || whole.status == 431);

    /* The place of the cut depends on the input, too. */
    size_t first = size > 0 ? data[size / 2] * size / 256 : 0;
    http_request_init(&cut, &limits, fields[1]);
    enum http_parse early = http_request_parse(&cut, text, first);
    enum http_parse late = early == HTTP_PARSE_INCOMPLETE ? http_request_parse(&cut, text, size) : early;
    CHECK(late == result && cut.status == whole.status && cut.head_size == whole.head_size);
    CHECK(cut.field_count == whole.field_count && cut.has_body == whole.has_body);

    if (result == HTTP_PARSE_COMPLETE) {
        CHECK(whole.head_size <= size && whole.head_size <= limits.max_head);
        CHECK(memcmp(text + whole.head_size - 4, "\r\n\r\n", 4) == 0);
        check_target(&whole);
        check_host(whole.host);
        check_fields(&whole);
    }
    free(text);
    return 0;
}
