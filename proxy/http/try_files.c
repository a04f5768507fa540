/* See try_files.h. */
#include "proxy/http/try_files.h"

#include <stdlib.h>
#include <string.h>

static const char variable[] = "$uri";

/* Without the slashes at its ends; those at its beginning: all, or all but one. NULL: out of memory. */
static char *trim(const char *text, size_t size, bool keep_one)
{
    size_t start = 0;
    while (start < size && text[start] == '/')
        start++;
    while (size > start && text[size - 1] == '/')
        size--;
    if (keep_one && start > 0 && size > start)
        start--;
    return strndup(text + start, size - start);
}

static bool take_apart(const char *text, struct try_file *item)
{
    const size_t size = strlen(text);
    const char *uri = strstr(text, variable);
    const size_t before = uri ? (size_t)(uri - text) : size;
    const size_t behind = uri ? before + sizeof(variable) - 1 : size;
    *item = (struct try_file){
        .kind = size > 0 && text[size - 1] == '/' ? TRY_DIRECTORY : TRY_FILE,
        .has_uri = uri != NULL,
        .before = trim(text, before, false),
        .after = trim(text + behind, size - behind, true),
    };
    return item->before && item->after;
}

static bool repeats(const struct try_file *item, const struct try_file *last)
{
    return item->kind == TRY_DIRECTORY && last->kind == TRY_FILE && item->has_uri && last->has_uri &&
           strcmp(item->before, last->before) == 0 && strcmp(item->after, last->after) == 0;
}

bool try_files_init(struct try_files *tries, char *const *texts, size_t count)
{
    *tries = (struct try_files){.items = calloc(count + 1, sizeof(*tries->items)), .status = 404};
    if (!tries->items)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (texts[i][0] == '=') {
            tries->status = atoi(texts[i] + 1);
            break;
        }
        struct try_file *item = &tries->items[tries->count++];
        if (!take_apart(texts[i], item))
            return false;
        item->repeats = i > 0 && repeats(item, item - 1);
        const size_t longer = strlen(item->before) + 1 + strlen(item->after);
        if (longer > tries->longest)
            tries->longest = longer;
    }
    if (count == 0) {
        struct try_file *item = &tries->items[tries->count++];
        if (!take_apart(variable, item))
            return false;
        item->kind = TRY_EITHER;
    }
    return true;
}

void try_files_free(struct try_files *tries)
{
    for (size_t i = 0; i < tries->count; i++) {
        free(tries->items[i].before);
        free(tries->items[i].after);
    }
    free(tries->items);
}

static size_t append(char *path, size_t size, const char *text, size_t text_size)
{
    memcpy(path + size, text, text_size);
    return size + text_size;
}

bool try_file_path(const struct try_file *item, const struct http_target *target, char *path, size_t *length)
{
    size_t size = append(path, 0, item->before, strlen(item->before));
    if (item->has_uri) {
        const struct http_slice uri = http_target_rest(target);
        const char *after = item->after;
        const bool ends_name = after[0] != '\0' && after[0] != '/';
        /* A slash at the end of the path stands for a directory; there is no name to end, nor at the root. */
        if (ends_name ? target->is_directory || uri.size == 0
                      : target->is_directory && after[0] == '\0' && item->kind == TRY_FILE)
            return false;
        if (size > 0 && uri.size > 0)
            path[size++] = '/';
        size = append(path, size, uri.at, uri.size);
        if (size == 0 && after[0] == '/')
            after++;
        size = append(path, size, after, strlen(after));
    }
    path[size] = '\0';
    *length = size;
    return true;
}
