/* Whether the directory of a `files` is there, what is to be tried in it makes sense, and what belongs to it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/check.h"
#include "conf/memory.h"

void check_add_files(struct conf_problems *problems, struct conf_place place, const struct conf_files *files,
                     const char *key, const char *format, ...)
{
    va_list arguments;
    char *path = memory_format("files.%s.%s", files->name, key);
    va_start(arguments, format);
    check_add_at(problems, place, path, format, arguments);
    va_end(arguments);
}

static bool is_status(const char *text)
{
    return (text[0] == '4' || text[0] == '5') && strspn(text, "0123456789") == 3 && text[3] == '\0';
}

/* "$uri", and no name that only begins so. */
static bool is_uri(const char *text)
{
    return strncmp(text, "$uri", 4) == 0 && !isalnum((unsigned char)text[4]) && text[4] != '_';
}

bool check_has_dots(const char *path)
{
    for (const char *at = path; *at != '\0'; at += strcspn(at, "/")) {
        at += strspn(at, "/");
        size_t size = strcspn(at, "/");
        if ((size == 1 && at[0] == '.') || (size == 2 && at[0] == '.' && at[1] == '.')) {
            return true;
        }
    }
    return false;
}

/* What is wrong with an element of try_files; NULL: nothing. */
static const char *problem_of_try(const char *text, bool is_last)
{
    const char *variable = strchr(text, '$');
    if (text[0] == '=' && !is_last) {
        return "nothing is tried after a status: put it last";
    }
    if (text[0] == '=') {
        return is_status(text + 1) ? NULL : "a status is written \"=404\", from 400 to 599";
    }
    if (variable != NULL && !is_uri(variable)) {
        return "the only variable is $uri";
    }
    if (variable != NULL && strchr(variable + 1, '$') != NULL) {
        return "$uri can stand there once";
    }
    if (text[0] != '/' && variable != text) {
        return "begin it with $uri, or with a slash for a path beneath the root";
    }
    return check_has_dots(text) ? "it can't have \".\" or \"..\": write where they lead" : NULL;
}

static void check_try_files(const struct conf_files *files, struct conf_problems *problems)
{
    for (size_t i = 0; i < files->try_count; i++) {
        const char *problem = problem_of_try(files->try_files[i], i + 1 == files->try_count);
        if (problem != NULL) {
            char *key = memory_format("try_files[%zu]", i);
            check_add_files(problems, files->try_place, files, key, "\"%s\": %s", files->try_files[i],
                            problem);
            free(key);
        }
    }
}

void check_files(const struct conf_files *files, struct conf_problems *problems)
{
    if (files->root != NULL) {
        int fd = open(files->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
        if (fd == -1) {
            check_add_files(problems, files->root_place, files, "root",
                            "%s: %s: name a directory that can be read", files->root, strerror(errno));
        } else {
            close(fd);
        }
    }
    check_try_files(files, problems);
    check_http_policy(files, problems);
    check_compress(files, problems);
}
