/* What files.NAME.precompressed and .compress say: nothing twice, nothing that is compressed already, nothing
 * that can't happen. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "conf/memory.h"

/* Of some, all types of their kind are compressed. */
static bool is_compressed(const char *type)
{
    static const char *const kinds[] = {"audio/", "video/"};
    static const char *const types[] = {
        "application/gzip",
        "application/java-archive",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/x-7z-compressed",
        "application/x-bzip2",
        "application/x-gzip",
        "application/x-xz",
        "application/zip",
        "application/zstd",
        "font/woff",
        "font/woff2",
        "image/apng",
        "image/avif",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncasecmp(type, kinds[i], strlen(kinds[i])) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcasecmp(type, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* "type/subtype", of the characters that RFC 9110 5.6.2 allows. */
static bool is_type(const char *text)
{
    static const char token[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    const size_t first = strspn(text, token);
    const size_t second = text[first] == '/' ? strspn(text + first + 1, token) : 0;
    return first > 0 && second > 0 && text[first + 1 + second] == '\0';
}

static const char *problem_of_type(const char *type)
{
    if (!is_type(type)) {
        return strchr(type, ';') != NULL ? "is to be written without parameters"
                                         : "is no content type, such as \"text/html\"";
    }
    if (strchr(type, '*') != NULL) {
        return "stands for itself only: name each type";
    }
    return is_compressed(type) ? "is compressed already: take it out" : NULL;
}

static bool is_repeated(char *const *items, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcasecmp(items[i], items[index]) == 0) {
            return true;
        }
    }
    return false;
}

struct list {
    const struct conf_files *files;
    const char *key;
    char *const *items;
    size_t count;
    struct conf_place place;
};

static void check_list(const struct list *list, const char *(*problem_of)(const char *item),
                       struct conf_problems *problems)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *problem = problem_of != NULL ? problem_of(list->items[i]) : NULL;
        if (problem == NULL && is_repeated(list->items, i)) {
            problem = "is listed before: once is enough";
        }
        if (problem != NULL) {
            char *path = memory_format("files.%s.%s[%zu]", list->files->name, list->key, i);
            conf_problem_add(problems, list->place, path, "\"%s\" %s", list->items[i], problem);
            free(path);
        }
    }
}

void check_compress(const struct conf_files *files, struct conf_problems *problems)
{
    const struct conf_compress *compress = &files->compress;
    const struct list precompressed = {files, "precompressed", files->precompressed,
                                       files->precompressed_count, files->precompressed_place};
    const struct list encodings = {files, "compress.encodings", compress->encodings, compress->encoding_count,
                                   compress->encodings_place};
    const struct list types = {files, "compress.types", compress->types, compress->type_count,
                               compress->types_place};

    check_list(&precompressed, NULL, problems);
    if (!files->has_compress) {
        return;
    }
    check_list(&encodings, NULL, problems);
    check_list(&types, problem_of_type, problems);
    if (compress->min_size > compress->max_size) {
        const bool is_max = compress->max_size_place.line != 0;
        char *path = memory_format("files.%s.compress.%s", files->name, is_max ? "max_size" : "min_size");
        conf_problem_add(problems, is_max ? compress->max_size_place : compress->min_size_place, path,
                         "no file is at least min_size and at most max_size: exchange them, or delete one");
        free(path);
    }
}
