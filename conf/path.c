/* Paths as a configuration names them, made absolute by joining.
 * Refuses to know whether anything is there. */
#include "conf/path.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/memory.h"

static char *join(const char *directory, const char *path)
{
    while (strncmp(path, "./", 2) == 0) {
        path += 2;
        while (*path == '/') {
            path++;
        }
    }
    if (path[0] == '\0' || strcmp(path, ".") == 0) {
        return memory_strdup(directory);
    }
    size_t length = strlen(directory);
    const char *slash = length > 0 && directory[length - 1] == '/' ? "" : "/";
    return memory_format("%s%s%s", directory, slash, path);
}

char *path_resolve(const char *directory, const char *path)
{
    if (path[0] == '/') {
        return memory_strdup(path);
    }
    if (directory != NULL && directory[0] == '/') {
        return join(directory, path);
    }
    /* The working directory may have been removed: what is relative to it can't be opened either, and "."
     * leaves it to the opening to say so. */
    char *working = getcwd(NULL, 0);
    char *base = join(working != NULL ? working : ".", directory != NULL ? directory : "");
    free(working);
    char *resolved = join(base, path);
    free(base);
    return resolved;
}

char *path_directory_of_file(const char *file)
{
    const char *slash = file != NULL ? strrchr(file, '/') : NULL;
    if (slash == NULL) {
        return path_resolve(NULL, "");
    }
    char *directory = slash == file ? memory_strdup("/") : memory_strndup(file, (size_t)(slash - file));
    char *resolved = path_resolve(NULL, directory);
    free(directory);
    return resolved;
}
