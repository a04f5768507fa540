/* Paths as a configuration names them: relative ones are relative to the file that names them.
 * Refuses to know whether anything is there; symbolic links are left as they are. */
#pragma once

/* The absolute directory of a file; NULL or "" : the working directory. To be freed. */
char *path_directory_of_file(const char *file) __attribute__((warn_unused_result));

/* `path` made absolute against `directory`, itself relative to the working directory (NULL: that one). To be
 * freed. */
char *path_resolve(const char *directory, const char *path) __attribute__((warn_unused_result));
