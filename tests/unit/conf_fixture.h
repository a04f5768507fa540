/* What the tests of conf share: text in, problems out as they are printed.
 * Refuses to know what is tested. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"

/* A listener is needed by every configuration; one line, so that what follows begins on line 2. */
#define FIXTURE_BASE                                                \
    "backends = { app = { servers = ( \"127.0.0.1:9001\" ); }; }; " \
    "listeners = { web = { address = \"127.0.0.1:0\"; proxy = \"app\"; }; };\n"

/* As conf_problems_print. To be freed. */
static inline char *fixture_printed(const struct conf_problems *problems)
{
    /* Static: gcc takes what fclose stores through them for pointers to this frame. */
    static char *text;
    static size_t size;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    conf_problems_print(problems, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

/* Loads what must be good. To be freed with conf_free. */
static inline struct conf *fixture_good(const char *text, const char *directory)
{
    struct conf_problems problems = {0};
    struct conf *conf = conf_load_text(text, "test.conf", directory, &problems);
    if (conf == NULL) {
        conf_problems_print(&problems, stderr);
    }
    assert_non_null(conf);
    assert_int_equal(problems.count, 0);
    return conf;
}

/* Loads what must be bad: the problems printed. To be freed. */
static inline char *fixture_bad(const char *text, const char *directory)
{
    struct conf_problems problems = {0};
    struct conf *conf = conf_load_text(text, "test.conf", directory, &problems);
    if (conf != NULL) {
        fprintf(stderr, "accepted: %s\n", text);
    }
    assert_null(conf);
    assert_true(problems.count > 0);
    char *printed = fixture_printed(&problems);
    conf_problems_clear(&problems);
    return printed;
}

struct fixture_case {
    const char *text;
    const char *problems; /* all of them, as printed */
};

static inline void fixture_check(const struct fixture_case *cases, size_t count, const char *directory)
{
    size_t failures = 0;
    for (size_t i = 0; i < count; i++) {
        char *printed = fixture_bad(cases[i].text, directory);
        if (strcmp(printed, cases[i].problems) != 0) {
            fprintf(stderr, "--- case %zu\n%s--- expected\n%s--- got\n%s", i, cases[i].text,
                    cases[i].problems, printed);
            failures++;
        }
        free(printed);
    }
    assert_int_equal(failures, 0);
}
