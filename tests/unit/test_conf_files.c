/* conf: what `try_files` may have, and what it says otherwise. */
#include "conf_fixture.h"

#define FILES(try_files)                                                \
    "files = { f = { root = \"/\";\ntry_files = " try_files "; }; };\n" \
    "listeners = { web = { address = \":0\"; files = \"f\"; }; };"
#define SAYS(index, text) "test.conf:2: files.f.try_files[" #index "]: " text "\n"

static const struct fixture_case bad[] = {
    {FILES("[ \"=404\", \"$uri\" ]"), SAYS(0, "\"=404\": nothing is tried after a status: put it last")},
    {FILES("[ \"=200\" ]"), SAYS(0, "\"=200\": a status is written \"=404\", from 400 to 599")},
    {FILES("[ \"$uri\", \"=4040\" ]"), SAYS(1, "\"=4040\": a status is written \"=404\", from 400 to 599")},
    {FILES("[ \"=\" ]"), SAYS(0, "\"=\": a status is written \"=404\", from 400 to 599")},
    {FILES("[ \"=4x4\" ]"), SAYS(0, "\"=4x4\": a status is written \"=404\", from 400 to 599")},
    {FILES("[ \"$document_root/x\" ]"), SAYS(0, "\"$document_root/x\": the only variable is $uri")},
    {FILES("[ \"$urix\" ]"), SAYS(0, "\"$urix\": the only variable is $uri")},
    {FILES("[ \"/$args\" ]"), SAYS(0, "\"/$args\": the only variable is $uri")},
    {FILES("[ \"$uri$uri\" ]"), SAYS(0, "\"$uri$uri\": $uri can stand there once")},
    {FILES("[ \"index.html\" ]"),
     SAYS(0, "\"index.html\": begin it with $uri, or with a slash for a path beneath the root")},
    {FILES("[ \"@fallback\" ]"),
     SAYS(0, "\"@fallback\": begin it with $uri, or with a slash for a path beneath the root")},
    {FILES("[ \"../x\", \"/../x\" ]"),
     SAYS(0, "\"../x\": begin it with $uri, or with a slash for a path beneath the root")
         SAYS(1, "\"/../x\": it can't have \".\" or \"..\": write where they lead")},
    {FILES("[ \"/a/./$uri\" ]"),
     SAYS(0, "\"/a/./$uri\": it can't have \".\" or \"..\": write where they lead")},
    {FILES("[ \"$uri/..\" ]"), SAYS(0, "\"$uri/..\": it can't have \".\" or \"..\": write where they lead")},
};

static void test_bad(void **state)
{
    (void)state;
    fixture_check(bad, sizeof(bad) / sizeof(bad[0]), "/");
}

static void test_good(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(
        FILES("[ \"$uri\", \"$uri/\", \"$uri.html\", \"/static$uri\", \"$uri/..x/.y\", \"/\", \"=599\" ]"),
        "/");
    assert_int_equal(conf->files[0].try_count, 7);
    assert_string_equal(conf->files[0].try_files[3], "/static$uri");
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
