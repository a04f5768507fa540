/* conf/schema: it is complete. Every key is documented, has a place to live in, loads, and stands in the
 * reference with its default; its default and its example are values that it accepts itself. */
#include "conf/schema.h"

#include <libconfig.h>

#include "conf_fixture.h"

/* One of everything, written by hand: a key that is new in the schema is missing here until someone adds it.
 */
#define ENCODED                                                                                       \
    "encoded = { root = \"/\"; precompressed = [ \"gzip\" ]; compress = { encodings = [ \"zstd\" ]; " \
    "types = [ \"text/html\" ]; min_size = 1; max_size = 1; level = 1; max_at_once = 1; }; }; "
#define HTTP                                                                                                \
    "http = { max_head = \"4KiB\"; max_uri = \"1KiB\"; max_fields = 9; max_body = 0; keepalive_requests = " \
    "0; keepalive_time = \"1s\"; min_receive_rate = 0; min_send_rate = 0; min_rate_window = \"1s\"; };\n"
#define LIMITED                                                                                             \
    "limited = { address = \":0\"; proxy = \"b\"; limits = { max_connections = 9; "                         \
    "max_connections_per_client = 1; "                                                                      \
    "connection_rate = 1; connection_burst = 1; client_prefix_v4 = 1; client_prefix_v6 = 1; max_clients = " \
    "1024; "                                                                                                \
    "bandwidth = { to_client = 1024; to_server = 1024; burst = 4096; }; }; };\n"
#define TCP                                                                                              \
    "keepalive = { idle = \"1s\"; interval = \"1s\"; count = 1; }; user_timeout = \"1s\"; congestion = " \
    "\"c\"; "
#define SOCKETS                                                                                        \
    "sockets = { address = \"unix:/x\"; proxy = \"b\"; backlog = 1; unix_mode = \"600\"; unix_user = " \
    "\"u\"; "                                                                                          \
    "unix_group = \"g\"; }; options = { address = \":0\"; proxy = \"b\"; tcp = { " TCP                 \
    "fast_open = 1; }; };\n"
#define OUTGOING                                                                                        \
    "outgoing = { servers = ( \"[::1]:1\" ); source = \"::1\"; tcp = { " TCP "fast_open = true; }; }; " \
    "transparent = { servers = ( \"[::1]:1\" ); transparent = true; }; "
#define HTTP_POLICY                                                                                          \
    "decorated = { error_pages = ( { status = [ 404 ]; path = \"/p\"; } ); cache_control = ( { match = "     \
    "\"*\"; value = \"v\"; } ); mime_types = ( { extensions = "                                              \
    "\"e\"; type = \"t/t\"; } ); default_type = \"t/t\"; charset = \"c\"; root = \"/\"; headers = ( { name " \
    "= \"n\"; value = \"v\"; always = true; } ); "                                                           \
    "server_header = \"off\"; hsts = { "                                                                     \
    "max_age = \"365d\"; include_subdomains = true; preload = true; }; }; "
#define SITES                                                                                           \
    "sites = { s = { hosts = [ \"h\" ]; canonical = \"h\"; redirect_https = true; https_port = 1; "     \
    "paths = ( { prefix = \"/\"; files = \"f\"; strip = true; }, { exact = \"/x\"; redirect = \"/y\"; " \
    "append = false; status = 308; } ); }; };\n"
#define SITED "sited = { address = \":0\"; sites = [ \"s\" ]; };\n"
static const char everything[] =
    "workers = 1; disk_threads = 1; user = \"a\"; group = \"b\"; capabilities = [ \"net_admin\" ]; pipe_size "
    "= 65536;\n"
    "log = { access = \"off\"; format = \"json\"; request_id_header = true; request_id_trusted = [ \"::1\" "
    "]; }; admin = { listen = \":0\"; };\n"
    "timeouts = { connect = \"1s\"; handshake = \"1s\"; header = \"1s\"; idle = \"1s\"; linger = \"1s\"; "
    "drain = "
    "\"1s\"; };\n" HTTP
    "resolve = { servers = [ \"127.0.0.1\" ]; timeout = \"1s\"; interval_min = \"1s\"; interval_max = "
    "\"1s\"; hold = \"1s\"; "
    "family = \"any\"; };\n"
    "tls = { t = { certs = ( { cert = \"c\"; key = \"k\"; ocsp = \"o\"; } ); "
    "client = { verify = \"optional\"; ca = \"c\"; crl = \"r\"; depth = 1; }; ktls = \"auto\"; min_version = "
    "\"1.2\"; "
    "max_version = \"1.3\"; suites = [ \"TLS_AES_128_GCM_SHA256\", \"ECDHE-RSA-AES128-GCM-SHA256\" ]; "
    "groups = [ \"P-256\" ]; alpn = [ \"http/1.1\" ]; }; };\n"
    "backends = { " OUTGOING
    "b = { servers = ( { address = \"127.0.0.1:1\"; weight = 1; max_connections = 1; backup = "
    "false; "
    "} ); balance = \"least_conn\"; "
    "tls = { verify = true; ca = \"c\"; crl = \"r\"; server_name = \"n\"; cert = \"c\"; key = \"k\"; ktls = "
    "\"auto\"; "
    "min_version = \"1.2\"; max_version = \"1.3\"; suites = [ \"TLS_AES_128_GCM_SHA256\", "
    "\"ECDHE-RSA-AES128-GCM-SHA256\" ]; groups = [ \"P-256\" ]; alpn = [ \"h2\" ]; }; "
    "slow_start = \"1s\"; queue = { size = 1; timeout = \"1s\"; }; "
    "resolve = { servers = [ \"127.0.0.1\" ]; timeout = \"1s\"; interval_min = \"1s\"; interval_max = "
    "\"1s\"; hold = \"1s\"; "
    "family = \"any\"; }; proxy_protocol = \"v2\"; "
    "panic = true; "
    "health = { type = \"https\"; interval = \"1s\"; jitter = 0; timeout = \"1s\"; rise = 1; fall = 1; path "
    "= \"/\"; host "
    "= \"h\"; status = [ \"200\" ]; }; eject = { failures = 1; base = \"1s\"; max = \"1s\"; share = 100; }; "
    "}; };\n"
    "files = { " HTTP_POLICY
    "f = { root = \"/\"; index = [ \"i\" ]; try_files = [ \"$uri\" ]; autoindex = \"json\"; "
    "symlinks = \"off\"; dotfiles "
    "= \"allow\"; }; " ENCODED "};\n"
    "listeners = { proxy = { address = \":0\"; proxy = \"b\"; "
    "filters = ( { type = \"log\"; direction = \"both\"; bytes = \"1\"; }, { type = \"capture\"; "
    "file = \"/x\"; max_size = \"4KiB\"; }, { type = \"deny\"; patterns = [ \"x\" ]; }, "
    "{ type = \"substitute\"; find = \"x\"; replace = \"y\"; } ); }; files = { address = \":0\"; tls = "
    "\"t\"; "
    "files = "
    "\"f\"; relay = \"sendfile\"; require_zero_copy = true; timeouts = { connect = \"1s\"; handshake = "
    "\"1s\"; header "
    "= \"1s\"; idle = \"1s\"; linger = \"1s\"; drain = \"1s\"; }; " HTTP "};\n" LIMITED SOCKETS SITED
    "routed = { address = \":0\"; tls = \"t\"; allow = [ \"10.0.0.0/8\" ]; deny = [ \"10.1.0.0/16\" ]; "
    "proxy_protocol = { trusted = [ \"unix\" ]; }; routes = ( { sni = [ \"*.example.org\" ]; proxy = \"b\"; "
    "}, "
    "{ alpn = [ \"http/1.1\" ]; files = \"f\"; }, { sni = [ \"s\" ]; sites = [ \"s\" ]; }, { source = [ "
    "\"::1\" ]; deny = true; } ); }; };\n" SITES;

typedef void visit(const struct schema_key *key, const char *path, void *context);

static void walk(const struct schema_section *section, const char *path, visit *on_key, void *context)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct schema_key *key = &section->keys[i];
        char inner[256];
        snprintf(inner, sizeof(inner), "%s%s%s", path, path[0] != '\0' ? "." : "", key->name);
        on_key(key, inner, context);
        if (key->section != NULL) {
            char below[300];
            snprintf(below, sizeof(below), "%s%s", inner,
                     key->type == SCHEMA_NAMED  ? ".NAME"
                     : key->type == SCHEMA_LIST ? "[]"
                                                : "");
            walk(key->section, below, on_key, context);
        }
    }
}

static void check_documented(const struct schema_key *key, const char *path, void *context)
{
    (void)context;
    bool plain = key->section == NULL;
    print_message("%s\n", path);
    assert_true(key->help != NULL && strlen(key->help) >= 10);
    assert_null(strpbrk(key->help, "|\n")); /* a cell of a table */
    assert_true(key->help[0] >= 'A' && key->help[0] <= 'Z');
    assert_true(key->help[strlen(key->help) - 1] != '.');
    assert_true(key->example != NULL && key->example[0] != '\0');
    assert_false(key->required && key->fallback != NULL);
    assert_true(plain || key->fallback == NULL);
    char expected[SCHEMA_EXPECTED_MAX];
    schema_describe(key, expected);
    assert_true(strlen(expected) > 0 && strlen(expected) < SCHEMA_EXPECTED_MAX - 1);
}

static void check_shape(const struct schema_key *key, const char *path, void *context)
{
    (void)context;
    bool elements = key->type == SCHEMA_NAMED || key->type == SCHEMA_LIST;
    bool number = key->type == SCHEMA_INTEGER || key->type == SCHEMA_INTEGERS ||
                  key->type == SCHEMA_DURATION || key->type == SCHEMA_AGE || key->type == SCHEMA_SIZE;
    print_message("%s\n", path);
    assert_int_equal(key->section != NULL, elements || key->type == SCHEMA_GROUP);
    bool refers = key->type == SCHEMA_REFERENCE || key->type == SCHEMA_REFERENCES;
    assert_int_equal(key->target != NULL, refers);
    if (key->target != NULL) {
        assert_int_equal(schema_find(&schema_root, key->target)->type, SCHEMA_NAMED);
    }
    assert_true(key->choices != NULL || (key->type != SCHEMA_CHOICE && key->type != SCHEMA_LOG));
    assert_true(!number || key->min < key->max);
    assert_true(key->type != SCHEMA_DURATION || key->max <= UINT32_MAX);
    assert_true(key->count_offset != 0 ||
                (!elements && key->type != SCHEMA_STRINGS && key->type != SCHEMA_INTEGERS &&
                 key->type != SCHEMA_REFERENCES && key->type != SCHEMA_LOG));
    assert_true(!elements || key->section->size > 0);
    /* The loader knows how to copy what is inherited. */
    for (size_t i = 0; key->inherits_offset != 0 && i < key->section->count; i++) {
        enum schema_type type = key->section->keys[i].type;
        assert_true(type == SCHEMA_INTEGER || type == SCHEMA_BOOLEAN || type == SCHEMA_DURATION ||
                    type == SCHEMA_SIZE || type == SCHEMA_CHOICE || type == SCHEMA_STRINGS);
    }
    assert_true(!key->takes_names || key->type == SCHEMA_ADDRESS);
    /* conf_reloadable compares these types alone, at the top level, and tells their place. */
    bool comparable = key->type == SCHEMA_INTEGER || key->type == SCHEMA_SIZE || key->type == SCHEMA_STRING ||
                      key->type == SCHEMA_STRINGS;
    assert_true(!key->fixed || (comparable && strchr(path, '.') == NULL && key->place_offset != 0));
}

static void test_documented(void **state)
{
    (void)state;
    walk(&schema_root, "", check_documented, NULL);
}

static void test_shape(void **state)
{
    (void)state;
    walk(&schema_root, "", check_shape, NULL);
}

static bool given(const config_setting_t *setting, const char *path);

static bool given_in_any(const config_setting_t *setting, const char *path)
{
    for (int i = 0; i < config_setting_length(setting); i++) {
        if (given(config_setting_get_elem(setting, (unsigned)i), path)) {
            return true;
        }
    }
    return false;
}

/* Whether the tree has this path of the schema: of the elements that NAME and [] stand for, any will do. */
static bool given(const config_setting_t *setting, const char *path)
{
    if (*path == '\0') {
        return true;
    }
    size_t length = strcspn(path, ".");
    const char *rest = path[length] == '.' ? path + length + 1 : path + length;
    if (strncmp(path, "NAME.", 5) == 0) {
        return given_in_any(setting, rest);
    }
    bool list = length > 2 && path[length - 1] == ']';
    char *name = strndup(path, list ? length - 2 : length);
    const config_setting_t *member = config_setting_get_member(setting, name);
    free(name);
    return member != NULL && (list ? given_in_any(member, rest) : given(member, rest));
}

static void check_given(const struct schema_key *key, const char *path, void *context)
{
    (void)key;
    if (!given(context, path)) {
        fail_msg("%s isn't among everything that is loaded", path);
    }
}

static void test_every_key_loads(void **state)
{
    (void)state;
    config_t config;
    config_init(&config);
    assert_int_equal(config_read_string(&config, everything), CONFIG_TRUE);
    walk(&schema_root, "", check_given, config_root_setting(&config));
    config_destroy(&config);
    conf_free(fixture_good(everything, "/"));
}

/* Each top-level key with its example, in a configuration that has what examples refer to. */
static void test_examples_load(void **state)
{
    (void)state;
    static const char base[] = "tls = { main = { certs = ( { cert = \"c\"; key = \"k\"; } ); }; };\n";
    for (size_t i = 0; i < schema_root.count; i++) {
        const struct schema_key *key = &schema_root.keys[i];
        char text[2048] = "";
        if (strcmp(key->name, "tls") != 0) {
            snprintf(text, sizeof(text), "%s", base);
        }
        size_t at = strlen(text);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s = %s;\n", key->name, key->example);
        if (strcmp(key->name, "files") != 0) { /* which the example of `sites` names, too */
            at += (size_t)snprintf(text + at, sizeof(text) - at, "files = { media = { root = \"/\"; }; };\n");
        }
        if (strcmp(key->name, "listeners") != 0) {
            snprintf(text + at, sizeof(text) - at,
                     "listeners = { l = { address = \":0\"; files = \"media\"; tls = \"main\"; }; };\n");
        }
        struct conf_problems problems = {0};
        struct conf *conf = conf_load_text(text, "test.conf", "/", &problems);
        /* The example of a root names a directory that needn't be here. */
        if (conf == NULL && strcmp(key->name, "files") == 0) {
            assert_int_equal(problems.count, 1);
            assert_string_equal(problems.items[0].key, "files.media.root");
        } else {
            conf_problems_print(&problems, stderr);
            assert_non_null(conf);
        }
        conf_free(conf);
        conf_problems_clear(&problems);
    }
}

/* And each listener's and timeout's. */
static void test_inner_examples_load(void **state)
{
    (void)state;
    const struct schema_section *listener = schema_find(&schema_root, "listeners")->section;
    for (size_t i = 0; i < listener->count; i++) {
        const struct schema_key *key = &listener->keys[i];
        bool target = strcmp(key->name, "proxy") == 0 || strcmp(key->name, "files") == 0 ||
                      strcmp(key->name, "routes") == 0 || strcmp(key->name, "sites") == 0;
        char text[2048];
        snprintf(text, sizeof(text),
                 "tls = { main = { certs = ( { cert = \"c\"; key = \"k\"; } ); }; };"
                 "backends = { app = { servers = ( \"127.0.0.1:1\" ); }; }; files = { media = { root = "
                 "\"/\"; }; }; sites = { main = { paths = ( { files = \"media\"; } ); }; };"
                 "listeners = { l = { %s %s %s = %s; }; };",
                 strcmp(key->name, "address") == 0     ? ""
                 : strncmp(key->name, "unix_", 5) == 0 ? "address = \"unix:/x\";"
                                                       : "address = \":0\";",
                 target                           ? ""
                 : strcmp(key->name, "http") == 0 ? "files = \"media\";"
                                                  : "proxy = \"app\";",
                 key->name, key->example);
        conf_free(fixture_good(text, "/"));
    }
    const struct schema_section *timeouts = schema_find(&schema_root, "timeouts")->section;
    for (size_t i = 0; i < timeouts->count; i++) {
        char text[1024];
        snprintf(text, sizeof(text), FIXTURE_BASE "timeouts = { %s = %s; };", timeouts->keys[i].name,
                 timeouts->keys[i].example);
        conf_free(fixture_good(text, "/"));
    }
}

static void check_in_reference(const struct schema_key *key, const char *path, void *context)
{
    const char *reference = context;
    char heading[256], row[256];
    const char *last = strrchr(path, '.');
    snprintf(heading, sizeof(heading), last != NULL ? "**`%.*s`**" : "**Top level**", (int)(last - path),
             path);
    snprintf(row, sizeof(row), "\n| `%s` | ", key->name);
    const char *table = strstr(reference, last != NULL ? heading : "**Top level**");
    assert_non_null(table);
    const char *end = strstr(table, "\n\n**");
    const char *line = strstr(table, row);
    assert_non_null(line);
    assert_true(end == NULL || line < end);
    const char *help = strstr(line, key->help), *next = strchr(line + 1, '\n');
    assert_true(help != NULL && help < next);
    bool inherited = strncmp(path, "listeners.NAME.timeouts", 23) == 0 ||
                     strncmp(path, "listeners.NAME.http.", 20) == 0 ||
                     strncmp(path, "backends.NAME.resolve.", 22) == 0;
    if (key->fallback != NULL && !inherited) {
        const char *fallback = strstr(line, key->fallback);
        assert_true(fallback != NULL && fallback < next);
    }
}

static void test_reference(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    schema_print_reference(stream);
    assert_int_equal(fclose(stream), 0);
    walk(&schema_root, "", check_in_reference, text);
    assert_non_null(
        strstr(text, "| `workers` | a whole number from 0 to 1024, e.g. `4` | `0` | no: restart | "));
    assert_non_null(strstr(text, "| `address` | an address in quotes, e.g. `\":8080\"` | required | yes | "));
    assert_non_null(strstr(text, "**`listeners.NAME.timeouts`**"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented),          cmocka_unit_test(test_shape),
        cmocka_unit_test(test_every_key_loads),     cmocka_unit_test(test_examples_load),
        cmocka_unit_test(test_inner_examples_load), cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
