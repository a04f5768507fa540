/* The list of problems: collected in any order, printed in the order of file and line.
 * Refuses to know what a problem is about. */
#include "conf/conf.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/memory.h"

/* Problems quote what the operator wrote. An escape sequence in there must not reach a terminal. */
static void printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (iscntrl((unsigned char)*text)) {
            *text = '?';
        }
    }
}

void conf_problem_add(struct conf_problems *problems, struct conf_place place, const char *key,
                      const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) == -1) {
        text = memory_strdup("a problem too long to tell");
    }
    va_end(arguments);
    printable(text);

    problems->items = memory_grow(problems->items, problems->count + 1, sizeof(problems->items[0]));
    struct conf_problem *problem = &problems->items[problems->count++];
    *problem = (struct conf_problem){
        .file = place.file != NULL ? memory_strdup(place.file) : NULL,
        .line = place.line,
        .key = key != NULL ? memory_strdup(key) : NULL,
        .text = text,
    };
}

static int compare(const struct conf_problem *a, const struct conf_problem *b)
{
    int by_file = strcmp(a->file != NULL ? a->file : "", b->file != NULL ? b->file : "");
    if (by_file != 0) {
        return by_file;
    }
    return (a->line > b->line) - (a->line < b->line);
}

static int compare_pointers(const void *left, const void *right)
{
    const struct conf_problem *a = *(const struct conf_problem *const *)left;
    const struct conf_problem *b = *(const struct conf_problem *const *)right;
    int order = compare(a, b);
    if (order != 0) {
        return order;
    }
    /* Both point into one array: of one line, the first found is told first. */
    return (a > b) - (a < b);
}

void conf_problems_print(const struct conf_problems *problems, FILE *stream)
{
    const struct conf_problem **sorted = memory_calloc(problems->count, sizeof(const struct conf_problem *));
    for (size_t i = 0; i < problems->count; i++) {
        sorted[i] = &problems->items[i];
    }
    qsort(sorted, problems->count, sizeof(const struct conf_problem *), compare_pointers);
    for (size_t i = 0; i < problems->count; i++) {
        const struct conf_problem *problem = sorted[i];
        if (problem->file != NULL) {
            fprintf(stream, "%s:", problem->file);
            if (problem->line > 0) {
                fprintf(stream, "%d:", problem->line);
            }
            fputc(' ', stream);
        }
        if (problem->key != NULL) {
            fprintf(stream, "%s: ", problem->key);
        }
        fprintf(stream, "%s\n", problem->text);
    }
    free(sorted);
}

void conf_problems_clear(struct conf_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        free(problems->items[i].file);
        free(problems->items[i].key);
        free(problems->items[i].text);
    }
    free(problems->items);
    *problems = (struct conf_problems){0};
}
