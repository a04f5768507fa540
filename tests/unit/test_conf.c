/* conf: every key loads to the right field and has the right default, places are exact, files that aren't
 * configurations are told as such, and the samples are good. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_defaults(void **state)
{
    (void)state;
    struct conf *conf =
        fixture_good(FIXTURE_BASE "tls = { t = { certs = ( { cert = \"c\"; key = \"k\"; } ); }; };\n"
                                  "files = { f = { root = \"/\"; }; };",
                     "/etc");
    assert_string_equal(conf->file, "test.conf");
    assert_int_equal(conf->workers, 0);
    assert_null(conf->user);
    assert_null(conf->group);
    assert_int_equal(conf->capability_count, 1);
    assert_string_equal(conf->capabilities[0], "net_bind_service");
    assert_int_equal(conf->pipe_size, 1048576);
    assert_int_equal(conf->log.access, CONF_LOG_STDERR);
    assert_null(conf->log.path);
    assert_int_equal(conf->log.format, CONF_LOG_JSON);
    assert_false(conf->has_admin);
    assert_int_equal(conf->admin.length, 0);
    assert_int_equal(conf->timeouts.connect_ms, 5000);
    assert_int_equal(conf->timeouts.handshake_ms, 10000);
    assert_int_equal(conf->timeouts.header_ms, 10000);
    assert_int_equal(conf->timeouts.idle_ms, 60000);
    assert_int_equal(conf->timeouts.linger_ms, 5000);
    assert_int_equal(conf->timeouts.drain_ms, 30000);
    assert_int_equal(conf->tls[0].ktls, CONF_KTLS_AUTO);
    assert_string_equal(conf->tls[0].certs[0].cert, "/etc/c");
    assert_string_equal(conf->tls[0].certs[0].key, "/etc/k");
    assert_int_equal(conf->backends[0].balance, CONF_BALANCE_ROUND_ROBIN);
    assert_int_equal(conf->backends[0].servers[0].weight, 1);
    assert_int_equal(conf->files[0].index_count, 1);
    assert_string_equal(conf->files[0].index[0], "index.html");
    const struct conf_listener *web = &conf->listeners[0];
    assert_null(web->tls);
    assert_null(web->files);
    assert_ptr_equal(web->backend, &conf->backends[0]);
    assert_int_equal(web->relay, CONF_RELAY_AUTO);
    assert_false(web->require_zero_copy);
    assert_memory_equal(&web->timeouts, &conf->timeouts, sizeof(conf->timeouts));
    conf_free(conf);
}

/* Every key at a value that isn't its default, one a line where its place is kept. */
static const char full[] = "workers = 3;\n"                                               /* 1 */
                           "user = \"alice\";\n"                                          /* 2 */
                           "group = \"staff\";\n"                                         /* 3 */
                           "capabilities = [ \"sys_resource\", \"net_admin\" ];\n"        /* 4 */
                           "pipe_size = \"256KiB\";\n"                                    /* 5 */
                           "log = { format = \"json\";\n"                                 /* 6 */
                           "  access = \"logs/a.log\"; };\n"                              /* 7 */
                           "admin = {\n"                                                  /* 8 */
                           "  listen = \"127.0.0.1:9400\"; };\n"                          /* 9 */
                           "listeners = {\n"                                              /* 10 */
                           "  plain = { address = \":81\"; proxy = \"app\"; };\n"         /* 11 */
                           "  web = {\n"                                                  /* 12 */
                           "    address = \"[::1]:80\";\n"                                /* 13 */
                           "    tls = \"main\";\n"                                        /* 14 */
                           "    files = \"media\";\n"                                     /* 15 */
                           "    relay =\n\"sendfile\";\n"                                 /* 16 17 */
                           "    require_zero_copy = true;\n"                              /* 18 */
                           "    timeouts = { connect = \"11ms\"; handshake = \"12ms\";\n" /* 19 */
                           "      header = \"13ms\"; idle = \"14ms\"; linger = \"15ms\"; }; }; };\n" /* 20 */
                           "timeouts = { connect = \"1ms\"; handshake = \"2s\"; header = \"3m\";\n"  /* 21 */
                           "  idle = \"4h\"; linger = \"5s\"; drain = \"168h\"; };\n"                /* 22 */
                           "tls = { other = { certs = ( { cert = \"x\"; key = \"y\"; } ); };\n"      /* 23 */
                           "  main = { certs = (\n"                                                  /* 24 */
                           "    { cert = \"a.pem\";\n"                                               /* 25 */
                           "      key = \"/k/a.key\"; },\n"                                          /* 26 */
                           "    { key = \"./b.key\"; cert = \"../b.pem\"; } );\n"                    /* 27 */
                           "    ktls = \"require\"; }; };\n"                                         /* 28 */
                           "backends = { app = { balance = \"least_conn\"; servers = (\n"            /* 29 */
                           "    \"127.0.0.1:1\"\n"                                                   /* 30 */
                           "    ,\n"                                                                 /* 31 */
                           "    { weight = 256; address = \"unix:run/app.sock\"; } ); }; };\n"       /* 32 */
                           "files = { media = { index = ( \"a\", \"b\" );\n"                         /* 33 */
                           "  root = \".\"; }; };\n";                                                /* 34 */

static void check_place(const struct conf *conf, struct conf_place place, int line)
{
    assert_ptr_equal(place.file, conf->file);
    assert_int_equal(place.line, line);
}

static void test_full_top(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(full, "/etc");
    assert_int_equal(conf->workers, 3);
    check_place(conf, conf->workers_place, 1);
    assert_string_equal(conf->user, "alice");
    check_place(conf, conf->user_place, 2);
    assert_string_equal(conf->group, "staff");
    check_place(conf, conf->group_place, 3);
    assert_int_equal(conf->capability_count, 2);
    assert_string_equal(conf->capabilities[0], "sys_resource");
    assert_string_equal(conf->capabilities[1], "net_admin");
    check_place(conf, conf->capabilities_place, 4);
    assert_int_equal(conf->pipe_size, 262144);
    check_place(conf, conf->pipe_size_place, 5);
    assert_int_equal(conf->log.access, CONF_LOG_FILE);
    assert_string_equal(conf->log.path, "/etc/logs/a.log");
    check_place(conf, conf->log.place, 7);
    assert_true(conf->has_admin);
    assert_string_equal(conf->admin.text, "127.0.0.1:9400");
    check_place(conf, conf->admin.place, 9);
    const struct conf_timeouts timeouts = {1, 2000, 180000, 14400000, 5000, 604800000};
    assert_memory_equal(&conf->timeouts, &timeouts, sizeof(timeouts));
    conf_free(conf);
}

static void test_full_targets(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(full, "/etc");
    assert_int_equal(conf->tls_count, 2);
    const struct conf_tls *tls = &conf->tls[1];
    assert_string_equal(tls->name, "main");
    check_place(conf, tls->place, 24);
    assert_int_equal(tls->cert_count, 2);
    check_place(conf, tls->certs[0].place, 25);
    assert_string_equal(tls->certs[0].cert, "/etc/a.pem");
    check_place(conf, tls->certs[0].cert_place, 25);
    assert_string_equal(tls->certs[0].key, "/k/a.key");
    check_place(conf, tls->certs[0].key_place, 26);
    assert_string_equal(tls->certs[1].cert, "/etc/../b.pem");
    assert_string_equal(tls->certs[1].key, "/etc/b.key");
    assert_int_equal(tls->ktls, CONF_KTLS_REQUIRE);
    check_place(conf, tls->ktls_place, 28);

    assert_int_equal(conf->backend_count, 1);
    const struct conf_backend *app = &conf->backends[0];
    check_place(conf, app->place, 29);
    assert_int_equal(app->balance, CONF_BALANCE_LEAST_CONN);
    assert_int_equal(app->server_count, 2);
    assert_string_equal(app->servers[0].name, "127.0.0.1:1");
    check_place(conf, app->servers[0].place, 30);
    check_place(conf, app->servers[0].address.place, 30);
    assert_int_equal(app->servers[0].weight, 1);
    assert_string_equal(app->servers[1].name, "unix:run/app.sock");
    const void *local = &app->servers[1].address.addr;
    assert_string_equal(((const struct sockaddr_un *)local)->sun_path, "/etc/run/app.sock");
    check_place(conf, app->servers[1].place, 32);
    assert_int_equal(app->servers[1].weight, 256);

    assert_int_equal(conf->files_count, 1);
    assert_string_equal(conf->files[0].name, "media");
    assert_string_equal(conf->files[0].root, "/etc");
    check_place(conf, conf->files[0].root_place, 34);
    assert_int_equal(conf->files[0].index_count, 2);
    assert_string_equal(conf->files[0].index[1], "b");
    conf_free(conf);
}

static void test_full_listeners(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(full, "/etc");
    assert_int_equal(conf->listener_count, 2);
    assert_string_equal(conf->listeners[0].name, "plain");
    assert_ptr_equal(conf->listeners[0].backend, &conf->backends[0]);
    /* Given after the listeners, and inherited all the same. */
    assert_memory_equal(&conf->listeners[0].timeouts, &conf->timeouts, sizeof(conf->timeouts));
    const struct conf_listener *web = &conf->listeners[1];
    assert_string_equal(web->name, "web");
    check_place(conf, web->place, 12);
    assert_string_equal(web->address.text, "[::1]:80");
    check_place(conf, web->address.place, 13);
    assert_ptr_equal(web->tls, &conf->tls[1]);
    check_place(conf, web->tls_place, 14);
    assert_ptr_equal(web->files, &conf->files[0]);
    check_place(conf, web->files_place, 15);
    assert_null(web->backend);
    assert_int_equal(web->proxy_place.line, 0);
    assert_int_equal(web->relay, CONF_RELAY_SENDFILE);
    check_place(conf, web->relay_place, 16);
    assert_true(web->require_zero_copy);
    check_place(conf, web->require_zero_copy_place, 18);
    const struct conf_timeouts timeouts = {11, 12, 13, 14, 15, 604800000};
    assert_memory_equal(&web->timeouts, &timeouts, sizeof(timeouts));
    conf_free(conf);
}

/* Each choice, in the order of its enum. */
static void test_choices(void **state)
{
    (void)state;
    static const char *const log[] = {"off", "stderr", "stdout", "./log"};
    static const char *const ktls[] = {"auto", "off", "require"};
    static const char *const balance[] = {"round_robin", "least_conn"};
    for (unsigned i = 0; i < 12; i++) {
        char text[1024];
        snprintf(
            text, sizeof(text),
            "log = { access = \"%s\"; }; tls = { t = { certs = ( { cert = \"c\"; key = \"k\"; } ); ktls = "
            "\"%s\"; }; }; backends = { b = { servers = ( \"127.0.0.1:1\" ); balance = \"%s\"; }; };"
            "listeners = { l = { address = \":1\"; proxy = \"b\"; }; };",
            log[i % 4], ktls[i % 3], balance[i % 2]);
        struct conf *conf = fixture_good(text, NULL);
        assert_int_equal(conf->log.access, (enum conf_log_to)(i % 4));
        assert_int_equal(conf->tls[0].ktls, (enum conf_ktls)(i % 3));
        assert_int_equal(conf->backends[0].balance, (enum conf_balance)(i % 2));
        conf_free(conf);
    }
}

static void test_nameless_text(void **state)
{
    (void)state;
    struct conf_problems problems = {0};
    struct conf *conf = conf_load_text(FIXTURE_BASE, NULL, NULL, &problems);
    assert_non_null(conf);
    assert_null(conf->file);
    conf_free(conf);
    assert_null(conf_load_text("workers = true;", NULL, NULL, &problems));
    char *printed = fixture_printed(&problems);
    assert_string_equal(printed,
                        "workers: expected a whole number from 0 to 1024, such as 4; found a boolean\n"
                        "listeners: missing: add listeners = { web = { address = \":8080\"; files = "
                        "\"media\"; }; };\n");
    free(printed);
    conf_problems_clear(&problems);
}

static void test_free_nothing(void **state)
{
    (void)state;
    conf_free(NULL);
    struct conf_problems problems = {0};
    conf_problems_clear(&problems);
}

/* What the operator wrote is repeated, but never as control characters. */
static void test_problems_are_printable(void **state)
{
    (void)state;
    char *printed = fixture_bad(FIXTURE_BASE "log = { access = \"\\x1b[31m\"; };", NULL);
    assert_null(strchr(printed, '\x1b'));
    assert_non_null(strstr(printed, "test.conf:2: log.access: \"?[31m\" is not one of"));
    free(printed);
}

static char directory[] = "/tmp/sluice-conf-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static const char *in_directory(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_file(const char *path, const void *content, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_not_equal(fd, -1);
    for (size_t done = 0; done < length;) {
        ssize_t wrote = write(fd, (const char *)content + done, length - done);
        assert_true(wrote > 0);
        done += (size_t)wrote;
    }
    assert_int_equal(close(fd), 0);
}

static void check_file(const char *path, const char *problem)
{
    struct conf_problems problems = {0};
    assert_null(conf_load(path, &problems));
    char *printed = fixture_printed(&problems), *expected = NULL;
    assert_int_not_equal(asprintf(&expected, "%s:%s\n", path, problem), -1);
    assert_string_equal(printed, expected);
    free(expected);
    free(printed);
    conf_problems_clear(&problems);
}

static void test_not_configurations(void **state)
{
    (void)state;
    static const char missing[] =
        "1: listeners: missing: add listeners = { web = { address = \":8080\"; files = \"media\"; }; };";
    check_file(directory, " can't read: Is a directory");
    check_file(in_directory("none"), " can't read: No such file or directory");

    const char *path = in_directory("empty");
    write_file(path, "", 0);
    check_file(path, missing);
    write_file(path, "\xef\xbb\xbf# Windows\r\n", 14);
    check_file(path, missing);
    write_file(path, "workers = 0;\n\n\0", 15);
    check_file(path, "3: byte 00 (hexadecimal), which is not text: is this a configuration file?");

    size_t size = (1 << 20) + 1;
    char *large = malloc(size);
    assert_non_null(large);
    memset(large, '\n', size);
    write_file(path, large, size);
    check_file(path, " can't read: larger than 1 MiB, which is no configuration");
    write_file(path, large, size - 1);
    check_file(path, missing);
    free(large);
    assert_int_equal(unlink(path), 0);
}

/* Any bytes end in problems, not in a crash. The generator is fixed: a failure can be repeated. */
static void test_garbage(void **state)
{
    (void)state;
    const char *path = in_directory("garbage");
    uint32_t random = 1;
    for (int round = 0; round < 200; round++) {
        unsigned char bytes[512];
        for (size_t i = 0; i < sizeof(bytes); i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (unsigned char)(random >> 24);
        }
        write_file(path, bytes, sizeof(bytes));
        struct conf_problems problems = {0};
        assert_null(conf_load(path, &problems));
        assert_true(problems.count > 0);
        conf_problems_clear(&problems);
    }
    assert_int_equal(unlink(path), 0);
}

/* Relative paths: of the file's directory, wherever the process stands. */
static void test_relative_to_the_file(void **state)
{
    (void)state;
    const char *path = in_directory("sluice.conf");
    static const char text[] = "files = { f = { root = \".\"; }; };\n"
                               "listeners = { l = { address = \"unix:l.sock\"; files = \"f\"; }; };\n";
    write_file(path, text, strlen(text));
    struct conf_problems problems = {0};
    struct conf *conf = conf_load(path, &problems);
    assert_non_null(conf);
    assert_string_equal(conf->files[0].root, directory);
    const void *local = &conf->listeners[0].address.addr;
    assert_string_equal(((const struct sockaddr_un *)local)->sun_path, in_directory("l.sock"));
    conf_free(conf);

    char *before = getcwd(NULL, 0);
    assert_non_null(before);
    assert_int_equal(chdir(directory), 0);
    conf = conf_load("sluice.conf", &problems);
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_non_null(conf);
    assert_string_equal(conf->file, "sluice.conf");
    assert_string_equal(conf->files[0].root, directory);
    conf_free(conf);
    assert_int_equal(unlink(in_directory("sluice.conf")), 0);
}

static void test_samples(void **state)
{
    (void)state;
    static const char *const samples[] = {"sluice.conf", "proxy.conf", "files-tls.conf"};
    for (size_t i = 0; i < COUNT(samples); i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/conf/%s", SLUICE_SOURCE_DIR, samples[i]);
        struct conf_problems problems = {0};
        struct conf *conf = conf_load(path, &problems);
        conf_problems_print(&problems, stderr);
        assert_non_null(conf);
        assert_true(conf->has_admin);
        conf_free(conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_full_top),
        cmocka_unit_test(test_full_targets),
        cmocka_unit_test(test_full_listeners),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_nameless_text),
        cmocka_unit_test(test_free_nothing),
        cmocka_unit_test(test_problems_are_printable),
        cmocka_unit_test(test_not_configurations),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_relative_to_the_file),
        cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
