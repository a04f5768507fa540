/* conf: every class of semantic error, with its exact line, key and remedy, and that all come at once. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X63 X50 "xxxxxxxxxxxxx"

#define APP "backends = { app = { servers = ( \"127.0.0.1:9001\" ); }; };\n"
#define WEB "listeners = { web = { address = \"127.0.0.1:0\"; proxy = \"app\"; }; };\n"
#define SERVERS "( \"127.0.0.1:9001\", { address = \"127.0.0.1:9002\"; weight = 2; } )"
#define CERTS "( { cert = \"certs/example.pem\"; key = \"certs/example.key\"; } )"

/* What is unknown. */
static const struct fixture_case unknown[] = {
    {FIXTURE_BASE "worker = 1;", "test.conf:2: worker: unknown key: did you mean `workers`?\n"},
    {FIXTURE_BASE "\nroutes = ( );", "test.conf:3: routes: unknown key: known here are workers, user, group, "
                                     "capabilities, disk_threads, pipe_size, log, admin, "
                                     "timeouts, http, resolve, tls, backends, files, sites, listeners\n"},
    {FIXTURE_BASE "log = {\nacces = \"off\"; };",
     "test.conf:3: log.acces: unknown key: did you mean `access`?\n"},
    {FIXTURE_BASE "admin = { listen = \":0\";\nport = 1; };",
     "test.conf:3: admin.port: unknown key: known here are listen\n"},
    {FIXTURE_BASE "timeouts = {\n\nidel = \"1s\"; };",
     "test.conf:4: timeouts.idel: unknown key: did you mean `idle`?\n"},
    {FIXTURE_BASE "tls = { t = { certs = ( { cert = \"a\"; key = \"b\";\nkeys = \"b\"; } ); }; };",
     "test.conf:3: tls.t.certs[0].keys: unknown key: did you mean `key`?\n"},
    {APP "listeners = { web = { address = \":0\"; proxy = \"app\";\n  tiemouts = { }; }; };",
     "test.conf:3: listeners.web.tiemouts: unknown key: did you mean `timeouts`?\n"},
    {APP "listeners = { web = { address = \":0\"; proxy = \"app\";\n timeouts = { idel = \"1s\"; }; }; };",
     "test.conf:3: listeners.web.timeouts.idel: unknown key: did you mean `idle`?\n"},
    {"backends = { app = { server = ( \"127.0.0.1:1\" ); }; };\n" WEB,
     "test.conf:1: backends.app.server: unknown key: did you mean `servers`?\n"
     "test.conf:1: backends.app.servers: missing: add servers = " SERVERS ";\n"},

    /* References. */
    {APP "listeners = { web = { address = \":0\";\nproxy = \"ap\"; }; };",
     "test.conf:3: listeners.web.proxy: there is no \"ap\" under `backends`: did you mean \"app\"?\n"},
    {"backends = { one = { servers = ( \"127.0.0.1:1\" ); }; two = { servers = ( \"127.0.0.1:2\" ); }; };\n"
     "listeners = { web = { address = \":0\"; proxy = \"zzz\"; }; };",
     "test.conf:2: listeners.web.proxy: there is no \"zzz\" under `backends`: define it there as "
     "{ app = { servers = ( \"127.0.0.1:9001\" ); }; }\n"},
    {"files = { media = { root = \"/\"; }; };\nlisteners = { web = { address = \":0\"; files = \"medai\"; }; "
     "};",
     "test.conf:2: listeners.web.files: there is no \"medai\" under `files`: did you mean \"media\"?\n"},
    {APP "listeners = { web = { address = \":0\"; proxy = \"app\"; tls = \"main\"; }; };",
     "test.conf:2: listeners.web.tls: there is no \"main\" under `tls`: define it there as { main = { certs "
     "= " CERTS "; }; }\n"},
};

/* Types. */
static const struct fixture_case types[] = {
    {FIXTURE_BASE "workers = \"4\";",
     "test.conf:2: workers: expected a whole number from 0 to 1024, such as 4; found a string\n"},
    {FIXTURE_BASE "workers = 1.5;", "test.conf:2: workers: expected a whole number from 0 to 1024, such as "
                                    "4; found a number with a fraction\n"},
    {FIXTURE_BASE "user = 1000;",
     "test.conf:2: user: expected a string in quotes, such as \"nobody\"; found a number\n"},
    {FIXTURE_BASE "group = \"\";",
     "test.conf:2: group: expected a string in quotes, such as \"nogroup\"; found an empty string\n"},
    {FIXTURE_BASE "capabilities = \"net_admin\";", "test.conf:2: capabilities: expected a list of any of "
                                                   "\"net_bind_service\", \"net_admin\", \"sys_resource\", "
                                                   "such as [ \"net_bind_service\" ]; found a string\n"},
    {FIXTURE_BASE "capabilities = (\n{ } );",
     "test.conf:3: capabilities[0]: expected a list of any of \"net_bind_service\", \"net_admin\", "
     "\"sys_resource\", such as [ \"net_bind_service\" ]; found a group in { }\n"},
    {FIXTURE_BASE "pipe_size = true;",
     "test.conf:2: pipe_size: expected a size from 64KiB to 16MiB, such as \"1MiB\"; found a boolean\n"},
    {FIXTURE_BASE "log = \"stderr\";",
     "test.conf:2: log: expected a group in braces, such as { access = \"stdout\"; }; found a string\n"},
    {FIXTURE_BASE "admin = \":9400\";", "test.conf:2: admin: expected a group in braces, such as { listen = "
                                        "\"127.0.0.1:9400\"; }; found a string\n"},
    {FIXTURE_BASE "admin = { listen = 9400; };", "test.conf:2: admin.listen: expected an address in quotes, "
                                                 "such as \"127.0.0.1:9400\"; found a number\n"},
    {FIXTURE_BASE "timeouts = { idle = 60; };", "test.conf:2: timeouts.idle: expected a duration in quotes "
                                                "from 1ms to 7d, such as \"60s\"; found a number\n"},
    {FIXTURE_BASE "tls = ( );",
     "test.conf:2: tls: expected a group in braces, of named groups, such as { main = { certs = " CERTS
     "; }; }; found a list in ( )\n"},
    {FIXTURE_BASE "tls = {\na = 5; };",
     "test.conf:3: tls.a: expected a group in braces; tls is, for example, { main = { certs = " CERTS
     "; }; }\n"},
    {FIXTURE_BASE "tls = { a = {\ncerts = { }; }; };",
     "test.conf:3: tls.a.certs: expected a list in parentheses, such as " CERTS "; found a group in { }\n"},
    {FIXTURE_BASE "tls = { a = { certs = (\n\"a.pem\" ); }; };",
     "test.conf:3: tls.a.certs[0]: expected a group in braces; certs is, for example, " CERTS "\n"},
    {"backends = { app = { servers = (\n\"127.0.0.1:1\",\n5 ); }; };\n" WEB,
     "test.conf:3: backends.app.servers[1]: expected a group in braces; servers is, for example, " SERVERS
     "\n"},
    {"backends = { app = { servers = \"127.0.0.1:1\"; }; };\n" WEB,
     "test.conf:1: backends.app.servers: expected a list in parentheses, such as " SERVERS
     "; found a string\n"},
    {FIXTURE_BASE "files = { f = { root = \"/\";\nindex = \"index.html\"; }; };",
     "test.conf:3: files.f.index: expected a list of strings, such as [ \"index.html\", \"index.htm\" ]; "
     "found a "
     "string\n"},
    {APP "listeners = { web = { address = \":0\";\nproxy = true; }; };",
     "test.conf:3: listeners.web.proxy: expected a name defined under `backends`, in quotes, such as "
     "\"app\"; found "
     "a boolean\n"},
    {APP "listeners = { web = { address = \":0\"; proxy = \"app\";\nrequire_zero_copy = \"yes\"; }; };",
     "test.conf:3: listeners.web.require_zero_copy: expected true or false, such as true; found a string\n"},
    {APP "listeners = { web = { address = \":0\"; proxy = \"app\"; relay = 1; }; };",
     "test.conf:2: listeners.web.relay: expected one of \"auto\", \"splice\", \"sendfile\", \"mmap\", "
     "\"copy\", such "
     "as \"splice\"; found a number\n"},
};

/* Ranges, choices, units, addresses, names. */
static const struct fixture_case values[] = {
    {FIXTURE_BASE "workers = 1025;",
     "test.conf:2: workers: 1025 is out of range: choose a whole number from 0 to 1024\n"},
    {FIXTURE_BASE "workers = -1;",
     "test.conf:2: workers: -1 is out of range: choose a whole number from 0 to 1024\n"},
    {FIXTURE_BASE "workers = 4294967297L;",
     "test.conf:2: workers: 4294967297 is out of range: choose a whole number from 0 to 1024\n"},
    {FIXTURE_BASE "pipe_size = 65535;",
     "test.conf:2: pipe_size: 65535 is out of range: choose a size from 64KiB to 16MiB\n"},
    {FIXTURE_BASE "pipe_size = \"17MiB\";",
     "test.conf:2: pipe_size: 17MiB is out of range: choose a size from 64KiB to 16MiB\n"},
    {FIXTURE_BASE "pipe_size = \"1M\";", "test.conf:2: pipe_size: \"1M\" needs one of the units KiB, MiB, "
                                         "GiB, TiB right after the number, or none for "
                                         "bytes, such as \"1MiB\"\n"},
    {FIXTURE_BASE "timeouts = {\nidle = \"0s\"; };",
     "test.conf:3: timeouts.idle: 0s is out of range: choose a duration in quotes from 1ms to 7d\n"},
    {FIXTURE_BASE "timeouts = { drain = \"169h\"; };",
     "test.conf:2: timeouts.drain: 169h is out of range: choose a duration in quotes from 1ms to 7d\n"},
    {FIXTURE_BASE "timeouts = { connect = \"5\"; };", "test.conf:2: timeouts.connect: \"5\" needs one of the "
                                                      "units ms, s, m, h, d right after the number, such as "
                                                      "\"5s\"\n"},
    {FIXTURE_BASE "log = { access = \"stdeer\"; };", "test.conf:2: log.access: \"stdeer\" is not one of "
                                                     "\"off\", \"stderr\", \"stdout\", or a path with a / in "
                                                     "quotes: did you mean \"stderr\"?\n"},
    {FIXTURE_BASE "log = { format = \"text\"; };",
     "test.conf:2: log.format: \"text\" is not one of \"json\", \"combined\"\n"},
    {FIXTURE_BASE "capabilities = [ \"net_admin\",\n\"net_bind_servce\" ];",
     "test.conf:3: capabilities[1]: \"net_bind_servce\" is unknown: expected a list of any of "
     "\"net_bind_service\", "
     "\"net_admin\", \"sys_resource\": did you mean \"net_bind_service\"?\n"},
    {APP "listeners = { web = { address = \":0\"; proxy = \"app\";\nrelay = \"splcie\"; }; };",
     "test.conf:3: listeners.web.relay: \"splcie\" is not one of \"auto\", \"splice\", \"sendfile\", "
     "\"mmap\", "
     "\"copy\": did you mean \"splice\"?\n"},
    {FIXTURE_BASE
     "files = { f = { root = \"/\";\nprecompressed = [ \"br\", \"br\" ];\n"
     "compress = {\ntypes = [ \"text\", \"image/png\", \"text/html; charset=utf-8\", \"text/*\" ];\n"
     "min_size = \"2KiB\";\nmax_size = \"1KiB\"; }; }; };",
     "test.conf:3: files.f.precompressed[1]: \"br\" is listed before: once is enough\n"
     "test.conf:5: files.f.compress.types[0]: \"text\" is no content type, such as \"text/html\"\n"
     "test.conf:5: files.f.compress.types[1]: \"image/png\" is compressed already: take it out\n"
     "test.conf:5: files.f.compress.types[2]: \"text/html; charset=utf-8\" is to be written without "
     "parameters\n"
     "test.conf:5: files.f.compress.types[3]: \"text/*\" stands for itself only: name each type\n"
     "test.conf:7: files.f.compress.max_size: no file is at least min_size and at most max_size: exchange "
     "them, "
     "or delete one\n"},
    {FIXTURE_BASE "files = { f = { root = \"/\"; index = [\n\"a/b\",\n\"\" ]; }; };",
     "test.conf:3: files.f.index[0]: \"a/b\" contains /: leave it out\n"
     "test.conf:4: files.f.index[1]: expected a list of strings, such as [ \"index.html\", \"index.htm\" ]; "
     "found an "
     "empty string\n"},
    {"backends = { app = { servers = (\n{ address = \"127.0.0.1:1\";\nweight = 257; } ); }; };\n" WEB,
     "test.conf:3: backends.app.servers[0].weight: 257 is out of range: choose a whole number from 1 to "
     "256\n"},

    {FIXTURE_BASE "admin = {\nlisten = \"localhost:80\"; };",
     "test.conf:3: admin.listen: \"localhost:80\" is not a numeric address (names are not looked up): write, "
     "for "
     "example, \"127.0.0.1:80\", \"[::1]:80\", \":80\" or \"unix:/run/name.sock\"\n"},
    {FIXTURE_BASE "admin = { listen = \"unix:/" X50 X50 "xxxxxxx\"; };",
     "test.conf:2: admin.listen: \"unix:/" X50 X50
     "xxxxxxx\" is too long: a UNIX socket's absolute path has at most 107 bytes\n"},
    {FIXTURE_BASE "admin = { listen = \"unix:" X50 X50 "xxx\"; };", /* "/etc/" makes it 108 */
     "test.conf:2: admin.listen: \"unix:" X50 X50
     "xxx\" is too long: a UNIX socket's absolute path has at most 107 bytes\n"},
    {"backends = { app = { servers = (\n\"127.0.0.1:0\",\n\":80\",\n\"10.0.0.256:80\" ); }; };\n" WEB,
     "test.conf:2: backends.app.servers[0].address: \"127.0.0.1:0\" has port 0, to which nothing connects: "
     "write the "
     "port that the server listens on\n"
     "test.conf:3: backends.app.servers[1].address: \":80\" names no host: write the server's, such as "
     "\"127.0.0.1:9001\"\n"
     "test.conf:4: backends.app.servers[2].address: \"10.0.0.256:80\" is not a numeric address (names "
     "are not "
     "looked up): write, for example, \"127.0.0.1:80\", \"[::1]:80\", \":80\" or \"unix:/run/name.sock\"\n"},

    {APP "listeners = { w" X63 " = { address = \":0\"; proxy = \"app\"; }; };",
     "test.conf:2: listeners.w" X63 ": too long a name: it has 64 letters, and 63 are allowed\n"},
    {APP "listeners = { web* = { address = \":0\"; proxy = \"app\"; }; };",
     "test.conf:2: listeners.web*: not a name: use letters, digits, _ and -, a letter first\n"},
    {APP "listeners = { admin = { address = \":0\"; proxy = \"app\"; }; };",
     "test.conf:2: listeners.admin: the name is taken by the listener of `admin`: choose another\n"},
};

/* What is missing, or given too often. */
static const struct fixture_case missing[] = {
    {APP, "test.conf:1: listeners: missing: add listeners = { web = { address = \":8080\"; files = "
          "\"media\"; }; };\n"},
    {APP "listeners = { };",
     "test.conf:2: listeners: empty: at least one is needed, such as { web = { address = "
     "\":8080\"; files = \"media\"; }; }\n"},
    {FIXTURE_BASE "\nadmin = { };", "test.conf:3: admin.listen: missing: add listen = \"127.0.0.1:9400\";\n"},
    {FIXTURE_BASE "tls = { t = {\nktls = \"off\"; }; };",
     "test.conf:2: tls.t.certs: missing: add certs = " CERTS ";\n"},
    {FIXTURE_BASE "tls = { t = { certs = ( ); }; };",
     "test.conf:2: tls.t.certs: empty: at least one is needed, such as " CERTS "\n"},
    {FIXTURE_BASE "tls = { t = { certs = (\n{ cert = \"a\"; },\n{ key = \"b\"; } ); }; };",
     "test.conf:3: tls.t.certs[0].key: missing: add key = \"certs/example.key\";\n"
     "test.conf:4: tls.t.certs[1].cert: missing: add cert = \"certs/example.pem\";\n"},
    {"backends = { app = {\nservers = ( ); }; };\n" WEB,
     "test.conf:2: backends.app.servers: empty: at least one is needed, such as " SERVERS "\n"},
    {"backends = { app = { servers = (\n{ weight = 1; } ); }; };\n" WEB,
     "test.conf:2: backends.app.servers[0].address: missing: add address = \"127.0.0.1:9001\";\n"},
    {FIXTURE_BASE "files = {\nf = { }; };",
     "test.conf:3: files.f.root: missing: add root = \"/srv/media\";\n"},
    {APP "listeners = {\nweb = { proxy = \"app\"; }; };",
     "test.conf:3: listeners.web.address: missing: add address = \":8080\";\n"},
    {"listeners = {\nweb = { address = \":0\"; }; };", "test.conf:2: listeners.web: nothing to do: add proxy "
                                                       "= \"NAME\"; with a name under `backends`, files = "
                                                       "\"NAME\"; with one under `files`, or sites = [ "
                                                       "\"NAME\" ]; with some under `sites`\n"},
    {APP
     "files = { f = { root = \"/\"; }; }; listeners = { web = { address = \":0\";\nproxy = \"app\";\nfiles = "
     "\"f\"; }; };",
     "test.conf:4: listeners.web.files: `proxy` and `files` are both given, and a listener does one: delete "
     "one of "
     "them\n"},
    {APP
     "files = { f = { root = \"/\"; }; }; listeners = { web = { address = \":0\";\nfiles = \"f\";\nproxy = "
     "\"app\"; }; };",
     "test.conf:4: listeners.web.proxy: `files` and `proxy` are both given, and a listener does one: delete "
     "one of "
     "them\n"},
    {FIXTURE_BASE "files = { f = {\nroot = \"/no/such\"; }; };",
     "test.conf:3: files.f.root: /no/such: No such file or directory: name a directory that can be read\n"},
    {FIXTURE_BASE "files = { f = { root = \"passwd\"; }; };",
     "test.conf:2: files.f.root: /etc/passwd: Not a directory: name a directory that can be read\n"},
};

static void test_unknown(void **state)
{
    (void)state;
    fixture_check(unknown, COUNT(unknown), "/etc");
}

static void test_types(void **state)
{
    (void)state;
    fixture_check(types, COUNT(types), "/etc");
}

static void test_values(void **state)
{
    (void)state;
    fixture_check(values, COUNT(values), "/etc");
}

static void test_missing(void **state)
{
    (void)state;
    fixture_check(missing, COUNT(missing), "/etc");
}

/* Two addresses, on lines 2 and 3; `taken`: the conflict is told on line 3. */
static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool taken;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1:80", true},
        {"127.0.0.1:80", "127.0.0.1:81", false},
        {"127.0.0.1:80", "127.0.0.2:80", false},
        {"127.0.0.1:80", "0.0.0.0:80", true},
        {":80", "0.0.0.0:80", true},
        {":80", "[::]:80", true},
        {":80", "127.0.0.1:80", true},
        {"[::1]:80", ":80", true},
        {"[::]:80", "0.0.0.0:80", false},
        {"[::]:80", "[::1]:80", true},
        {"[::]:80", "127.0.0.1:80", false},
        {":0", ":0", false},
        {"127.0.0.1:0", "127.0.0.1:0", false},
        {"unix:a", "unix:a", true},
        {"unix:a", "unix:/etc/a", true}, /* the directory is /etc */
        {"unix:a", "unix:b", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int with_admin = 0; with_admin < 2; with_admin++) {
            char text[1024];
            /* The same must be told of two listeners, and of the admin listener and another. */
            snprintf(text, sizeof(text),
                     with_admin ? APP "admin = { listen = \"%s\"; };\n"
                                      "listeners = { b = { address = \"%s\"; proxy = \"app\"; }; };"
                                : APP "listeners = { a = { address = \"%s\"; proxy = \"app\"; };\n"
                                      "b = { address = \"%s\"; proxy = \"app\"; }; };",
                     cases[i].first, cases[i].second);
            if (!cases[i].taken) {
                conf_free(fixture_good(text, "/etc"));
                continue;
            }
            char expected[512];
            snprintf(
                expected, sizeof(expected),
                "test.conf:3: listeners.b.address: \"%s\" is already taken by %s (\"%s\", line 2): choose "
                "another %s\n",
                cases[i].second, with_admin ? "admin" : "listeners.a", cases[i].first,
                strncmp(cases[i].first, "unix", 4) == 0 ? "path" : "port");
            char *printed = fixture_bad(text, "/etc");
            assert_string_equal(printed, expected);
            free(printed);
        }
    }
}

/* Forced modes: `key` NULL is good. The listener is on line 4 with one key a line: relay on 5, zero copy
 * on 6. */
static void test_modes(void **state)
{
    (void)state;
    static const struct {
        const char *target, *tls, *relay;
        bool zero_copy;
        const char *problem; /* its beginning; NULL: none */
    } cases[] = {
        {"proxy", NULL, "auto", true, NULL},
        {"proxy", NULL, "splice", true, NULL},
        {"proxy", NULL, "copy", false, NULL},
        {"proxy", NULL, "sendfile", false, "5: listeners.web.relay: \"sendfile\" reads files"},
        {"proxy", NULL, "mmap", false, "5: listeners.web.relay: \"mmap\" reads files"},
        {"proxy", NULL, "copy", true,
         "6: listeners.web.require_zero_copy: relay = \"copy\" brings every byte"},
        {"proxy", "auto", "splice", true, NULL},
        {"proxy", "require", "splice", true, NULL},
        {"proxy", "off", "auto", false, NULL},
        {"proxy", "off", "copy", false, NULL},
        {"proxy", "off", "splice", false,
         "5: listeners.web.relay: \"splice\" can't be had with TLS in user space"},
        {"proxy", "off", "auto", true,
         "6: listeners.web.require_zero_copy: TLS in user space copies every byte"},
        {"files", NULL, "auto", true, NULL},
        {"files", NULL, "sendfile", true, NULL},
        {"files", NULL, "mmap", false, NULL},
        {"files", NULL, "copy", false, NULL},
        {"files", NULL, "splice", false, "5: listeners.web.relay: \"splice\" moves from socket to socket"},
        {"files", NULL, "mmap", true,
         "6: listeners.web.require_zero_copy: relay = \"mmap\" brings every byte"},
        {"files", NULL, "copy", true,
         "6: listeners.web.require_zero_copy: relay = \"copy\" brings every byte"},
        {"files", "auto", "sendfile", true, NULL},
        {"files", "auto", "mmap", false, NULL},
        {"files", "require", "sendfile", true, NULL},
        {"files", "off", "auto", false, NULL},
        {"files", "off", "copy", false, NULL},
        {"files", "off", "sendfile", false, "5: listeners.web.relay: \"sendfile\" can't be had with TLS"},
        {"files", "off", "mmap", false, "5: listeners.web.relay: \"mmap\" can't be had with TLS"},
        {"files", "off", "auto", true, "6: listeners.web.require_zero_copy: TLS in user space copies"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1024], expected[256];
        snprintf(text, sizeof(text),
                 APP "tls = { t = { certs = ( { cert = \"c\"; key = \"k\"; } ); ktls = \"%s\"; }; };\n"
                     "files = { app = { root = \"/\"; }; };\n"
                     "listeners = { web = { address = \":0\"; %s = \"app\"; %s\nrelay = \"%s\";\n%s }; };",
                 cases[i].tls != NULL ? cases[i].tls : "off", cases[i].target,
                 cases[i].tls != NULL ? "tls = \"t\";" : "", cases[i].relay,
                 cases[i].zero_copy ? "require_zero_copy = true;" : "");
        if (cases[i].problem == NULL) {
            conf_free(fixture_good(text, NULL));
            continue;
        }
        char *printed = fixture_bad(text, NULL);
        snprintf(expected, sizeof(expected), "test.conf:%s", cases[i].problem);
        if (strncmp(printed, expected, strlen(expected)) != 0 || strchr(printed, '\n')[1] != '\0') {
            fail_msg("case %zu: expected %s..., got %s", i, expected, printed);
        }
        assert_true(strstr(printed, ": choose ") != NULL || strstr(printed, "delete ") != NULL);
        free(printed);
    }
}

#define FILTERS(list) \
    APP "listeners = { web = { address = \":0\"; proxy = \"app\"; filters = (\n" list " ); }; };"
#define TWO_LOGS                                                                                       \
    "test.conf:4: listeners.web.filters[1].type: a second \"log\" of the same direction, whose first " \
    "bytes are logged already: delete one\n"

#define NO_PROXY(target)                      \
    "files = { app = { root = \"/\"; }; };\n" \
    "listeners = { web = { address = \":0\";\nfilters = ( { type = \"log\"; } ); " target " }; };"
#define NOTHING_PROXIED                                                                                  \
    "test.conf:3: listeners.web.filters: they see proxied bytes, and this listener is no proxy: delete " \
    "them\n"

/* Each direction is logged once, and there is something to log. */
static void test_filters(void **state)
{
    (void)state;
    static const struct fixture_case cases[] = {
        {NO_PROXY("files = \"app\";"), NOTHING_PROXIED},
        {NO_PROXY("routes = ( { files = \"app\"; } );"), NOTHING_PROXIED},
        {FILTERS("{ type = \"log\"; },\n{ type = \"log\"; bytes = 8; }"), TWO_LOGS},
        {FILTERS("{ type = \"log\"; direction = \"to_client\"; },\n{ type = \"log\"; }"), TWO_LOGS},
    };
    fixture_check(cases, COUNT(cases), NULL);
    conf_free(fixture_good(FILTERS("{ type = \"log\"; direction = \"to_client\"; },\n"
                                   "{ type = \"log\"; direction = \"to_server\"; }"),
                           NULL));
}

/* Problems of every part of the file, in its order, in one go. */
static void test_all_at_once(void **state)
{
    (void)state;
    char *printed =
        fixture_bad("listeners = {\n"
                    "  a = { address = \":80\"; proxy = \"apq\"; };\n"
                    "  b = { address = \"0.0.0.0:80\"; files = \"media\"; relay = \"splice\"; };\n"
                    "};\n"
                    "files = { media = { root = \"/no/such\"; }; };\n" APP "wrokers = 1;\n"
                    "timeouts = { idle = 1; };\n",
                    NULL);
    static const char *const lines[] = {
        "test.conf:2: listeners.a.proxy: there is no \"apq\"",
        "test.conf:3: listeners.b.relay: ",
        "test.conf:3: listeners.b.address: \"0.0.0.0:80\" is already taken by listeners.a",
        "test.conf:5: files.media.root: /no/such",
        "test.conf:7: wrokers: unknown key",
        "test.conf:8: timeouts.idle: expected",
    };
    const char *at = printed;
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_non_null(at);
        assert_memory_equal(at, lines[i], strlen(lines[i]));
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    assert_string_equal(at, "");
    free(printed);
}

/* Good, though one may wonder. */
static void test_allowed(void **state)
{
    (void)state;
    static const char *const good[] = {
        /* What nobody refers to. */
        "tls = { t = { certs = ( { cert = \"c\"; key = \"k\"; } ); }; };"
        "files = { f = { root = \"/\"; }; }; " /* the backend `app` is used */
        "backends = { app = { servers = ( \"127.0.0.1:1\" ); }; x = { servers = ( \"[::1]:1\" ); }; };" WEB,
        /* One name under several. */
        "backends = { app = { servers = ( \"unix:/run/a\", \"unix:/run/b\" ); }; };"
        "files = { app = { root = \"/\"; index = [ ]; }; };"
        "listeners = { app = { address = \":0\"; files = \"app\"; }; x = { address = \":0\"; proxy = "
        "\"app\"; }; };",
        FIXTURE_BASE "tls = { }; files = { }; log = { }; timeouts = { };",
        APP "listeners = { " X63 " = { address = \":0\"; proxy = \"app\"; }; };",
        APP "listeners = { A-b_9 = { address = \":0\"; proxy = \"app\"; timeouts = { }; }; };",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        conf_free(fixture_good(good[i], NULL));
    }
}

/* A directory that another user owns. Root reads everything, so a child becomes nobody; who isn't root
 * needn't. */
static void test_unreadable_root(void **state)
{
    (void)state;
    char directory[] = "/tmp/sluice-root-XXXXXX";
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chmod(directory, geteuid() == 0 ? 0700 : 0), 0);
    char text[512], expected[256];
    snprintf(text, sizeof(text), FIXTURE_BASE "files = { f = { root = \"%s\"; }; };", directory);
    snprintf(expected, sizeof(expected),
             "test.conf:2: files.f.root: %s: Permission denied: name a directory that can be read\n",
             directory);
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) == -1) {
            _exit(2);
        }
        struct conf_problems problems = {0};
        struct conf *conf = conf_load_text(text, "test.conf", NULL, &problems);
        char *printed = fixture_printed(&problems);
        _exit(conf == NULL && strcmp(printed, expected) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(rmdir(directory), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),         cmocka_unit_test(test_types),
        cmocka_unit_test(test_values),          cmocka_unit_test(test_missing),
        cmocka_unit_test(test_addresses),       cmocka_unit_test(test_modes),
        cmocka_unit_test(test_all_at_once),     cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_unreadable_root), cmocka_unit_test(test_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
