/* conf/lexical: each thing that libconfig swallows or reports badly, with its exact line. */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define REMEDY_OCTAL " has a leading zero, and would be read as decimal: leave the zero out\n"
#define REMEDY_PLAIN                                                                                        \
    " is too large for a plain number: the largest is 2147483647; a size can be written with a unit, such " \
    "as "                                                                                                   \
    "\"4GiB\"\n"
#define REMEDY_WORD " is neither a number nor true or false: put it in quotes\n"
#define REMEDY_KEYLESS "a value without a key: write `key = value;`\n"
#define REMEDY_SYNTAX "syntax error: keys are given as `key = value;`, groups in { }, lists in ( )\n"

static const struct fixture_case cases[] = {
    /* Numbers. */
    {"workers = 4294967297;", "test.conf:1: `4294967297`" REMEDY_PLAIN},
    {"\nworkers =\n2147483648;", "test.conf:3: `2147483648`" REMEDY_PLAIN},
    {"workers = -2147483649;", "test.conf:1: `-2147483649`" REMEDY_PLAIN},
    {"workers = 0x100000000;", "test.conf:1: `0x100000000`" REMEDY_PLAIN},
    {"workers = 0xffffffff;", "test.conf:1: `0xffffffff`" REMEDY_PLAIN},
    {"workers = 99999999999999999999L;", "test.conf:1: `99999999999999999999L` is too large a number\n"},
    {"workers = 99999999999999999999;", "test.conf:1: `99999999999999999999` is too large a number\n"},
    {"workers = 0660;", "test.conf:1: `0660`" REMEDY_OCTAL},
    {"workers = -01;", "test.conf:1: `-01`" REMEDY_OCTAL},
    {"workers = 00;", "test.conf:1: `00`" REMEDY_OCTAL},
    {"workers = 04L;", "test.conf:1: `04L`" REMEDY_OCTAL},
    {"workers = 01.5;", "test.conf:1: `01.5`" REMEDY_OCTAL},
    {"workers = 12abc;", "test.conf:1: `12abc`" REMEDY_WORD},
    {"workers = 1user = \"x\";", "test.conf:1: `1user`" REMEDY_WORD},
    {"workers = 0x;", "test.conf:1: `0x`" REMEDY_WORD},
    {"workers = -;", "test.conf:1: `-`" REMEDY_WORD},
    {"timeouts = { idle = 5s; };", "test.conf:1: `5s`" REMEDY_WORD},
    {"admin = { listen = 127.0.0.1:80; };", "test.conf:1: `127.0.0.1:80`" REMEDY_WORD},
    {"a = 0;\nb = 01;\nc = 5x;", "test.conf:2: `01`" REMEDY_OCTAL "test.conf:3: `5x`" REMEDY_WORD},

    /* Words. */
    {"workers = auto;", "test.conf:1: `auto` is not a value: put it in quotes\n"},
    {"workers = yes;", "test.conf:1: `yes` is not a value: put it in quotes\n"},
    {"index = [\nindex.html ];", "test.conf:2: `index.html` is not a value: put it in quotes\n"},
    {"root = /srv/media;", "test.conf:1: unexpected /: values go in quotes\n"},
    {"workers\n= 1;\nuser\n\"x\";", "test.conf:3: `user` is followed by no value: write `user = ...;`\n"},
    {"listeners { };", "test.conf:1: `listeners` is followed by no value: write `listeners = ...;`\n"},
    {"listeners", "test.conf:1: `listeners` is followed by no value: write `listeners = ...;`\n"},
    {"workers = ;", "test.conf:1: a value is missing after this =\n"},
    {"workers =", "test.conf:1: a value is missing after this =\n"},
    {"workers = = 1;", "test.conf:1: a value is missing after this =\n"},
    {"a = 1;\xff", "test.conf:1: unexpected byte ff (hexadecimal) outside of quotes and comments\n"},

    {"workers = 1;\n\n5;", "test.conf:3: " REMEDY_KEYLESS},
    {"\"x\" = 5;", "test.conf:1: " REMEDY_KEYLESS},
    {"workers = 1 \"x\";", "test.conf:1: " REMEDY_KEYLESS},
    {"log = {\n{ }; };", "test.conf:2: " REMEDY_KEYLESS},
    {"servers = ( 1\n{ }\n2 );", "test.conf:2: a comma is missing before this value\n"
                                 "test.conf:3: a comma is missing before this value\n"},

    /* Comments. */
    {"workers = 1;\n/* never\nclosed", "test.conf:2: this comment is never closed: add */ at its end\n"},
    {"/*", "test.conf:1: this comment is never closed: add */ at its end\n"},
    {"/*/", "test.conf:1: this comment is never closed: add */ at its end\n"},
    {"a = {\n/*", "test.conf:2: this comment is never closed: add */ at its end\n"},
    {"/* first\na = 1;\n/* second */",
     "test.conf:3: /* inside the comment that began on line 1: close that one with */ first, or use # for "
     "comments\n"},

    /* Strings. */
    {"user = \"x;\ngroup = \"y\";", "test.conf:1: this line ends inside a string: add the closing quote\n"},
    {"user = \"x\\", "test.conf:1: this line ends inside a string: add the closing quote\n"},
    {"user = \"x\\\"", "test.conf:1: this line ends inside a string: add the closing quote\n"},
    {"user = \"a\\x00b\";", "test.conf:1: \\x00 in a string: no value may contain it\n"},
    {"index = [ \"a\"\n\"b\" ];", "test.conf:2: a comma is missing before this string: without it, it would "
                                  "be joined to the one before\n"},
    {"servers = ( \"a\" /* , */ \"b\", \"c\" );", "test.conf:1: a comma is missing before this string: "
                                                  "without it, it would be joined to the one before\n"},

    /* Keys. */
    {"workers = 1;\nworkers = 2;",
     "test.conf:2: `workers` is given twice, first on line 1: merge the two, or delete one\n"},
    {"a = { b = 1;\nc = { b = 2; };\nb : 3; };\nd = { b = 4; };",
     "test.conf:3: `b` is given twice, first on line 1: merge the two, or delete one\n"},
    {"a = ( { b = 1; },\n{ b = 1; b = 2; } );",
     "test.conf:2: `b` is given twice, first on line 2: merge the two, or delete one\n"},

    /* Brackets. */
    {"a = {\nb = (\n1 ;", "test.conf:1: this { is never closed\ntest.conf:2: this ( is never closed\n"},
    {"a = {\nb = ( 1 };", "test.conf:2: } where the ( of line 2 has to be closed first, with )\n"},
    {"a = [ 1\n);", "test.conf:2: ) where the [ of line 1 has to be closed first, with ]\n"},
    {"a = 1;\n};", "test.conf:2: this } closes nothing: delete it, or open it before\n"},
    {"a = ( \"x\",\n);", "test.conf:2: a comma stands before the closing ): delete it\n"},
    {"a = [ 1, ];", "test.conf:1: a comma stands before the closing ]: delete it\n"},

    /* Includes. */
    {"a = 1;\n@include \"other.conf\"\n",
     "test.conf:2: @include is not supported: keep the whole configuration in this file\n"},

    /* What isn't text. */
    {"a = 1;\n\x01",
     "test.conf:2: byte 01 (hexadecimal), which is not text: is this a configuration file?\n"},
    {"\x7f"
     "ELF",
     "test.conf:1: byte 7f (hexadecimal), which is not text: is this a configuration file?\n"},

    /* What is left to libconfig. */
    {"workers = 1;;", "test.conf:1: " REMEDY_SYNTAX},
    {"workers = 1;\n\n= 5;", "test.conf:3: " REMEDY_SYNTAX},
    {"a = [ 1,\n\"x\" ];", "test.conf:2: mismatched element type in array\n"},
};

static void test_cases(void **state)
{
    (void)state;
    fixture_check(cases, COUNT(cases), NULL);
}

/* What looks alike and is right. */
static void test_good(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "# a comment without an end of line",
        "// /* no comment begins here",
        "/* one *//* two ***/ # three",
        "/**/",
        "user = \"# no comment /* here\";",
        "user = \"a \\\" quote\";",
        "user = \"a backslash \\\\\";",
        "user = \"joined \"\n\"strings\";",
        "workers : 0",
        "workers = 0x10,",
        "workers = 10L\npipe_size = 65536LL;",
        "pipe_size=65536\ruser=\"x\"\tgroup=\"y\"\f;",
        "capabilities = [ ];",
        "capabilities = ( \"net_admin\" /* , */ , \"net_bind_service\" );",
        "user = \"\xc3\xbc\"; # \xc3\xbc",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        char text[1024];
        snprintf(text, sizeof(text), "%s%s", FIXTURE_BASE, good[i]);
        conf_free(fixture_good(text, NULL));
    }
}

static void test_depth(void **state)
{
    (void)state;
    char text[4096];
    for (size_t depth = 32; depth <= 33; depth++) {
        size_t at = (size_t)snprintf(text, sizeof(text), "%sx =\n", FIXTURE_BASE);
        memset(text + at, '(', depth);
        memset(text + at + depth, ')', depth);
        text[at + 2 * depth] = '\0';
        char *printed = fixture_bad(text, NULL);
        const char *expected =
            depth == 32 ? ": x: unknown key" : "test.conf:3: more than 32 brackets are open";
        assert_non_null(strstr(printed, expected));
        free(printed);
    }
    /* Any number, without any stack of ours or libconfig's giving in. */
    char *many = malloc(1000001);
    assert_non_null(many);
    memset(many, '(', 1000000);
    memcpy(many, "x=", 2);
    many[1000000] = '\0';
    char *printed = fixture_bad(many, NULL);
    assert_string_equal(printed, "test.conf:1: more than 32 brackets are open: none of them is needed\n");
    free(printed);
    free(many);
}

/* What isn't a configuration is told in a few lines. */
static void test_many_problems(void **state)
{
    (void)state;
    char text[10001] = "";
    for (size_t i = 0; i < 1000; i++) {
        memcpy(text + 10 * i, "aaaa = 01\n", 11);
        snprintf(text + 10 * i, 5, "a%03zu", i);
        text[10 * i + 4] = ' ';
    }
    struct conf_problems problems = {0};
    assert_null(conf_load_text(text, "test.conf", NULL, &problems));
    assert_int_equal(problems.count, 20);
    assert_int_equal(problems.items[19].line, 20);
    conf_problems_clear(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
