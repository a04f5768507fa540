/* Columns in line.
 * Refuses to know what is in them. */
#include "sluice_load/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct table {
    size_t columns, cells, room;
    char **text; /* the headings first */
};

static void add_text(struct table *table, char *text)
{
    if (table->cells == table->room) {
        size_t room = table->room > 0 ? table->room * 2 : 64;
        char **grown = realloc(table->text, room * sizeof(*grown));

        if (grown == NULL) {
            free(text);
            return;
        }
        table->text = grown;
        table->room = room;
    }
    table->text[table->cells++] = text;
}

struct table *table_new(const char *headings)
{
    struct table *table = calloc(1, sizeof(*table));

    for (const char *at = headings; table != NULL; at++) {
        size_t length = strcspn(at, "|");

        table->columns++;
        add_text(table, strndup(at, length));
        at += length;
        if (*at == '\0')
            break;
    }
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->cells; i++)
        free(table->text[i]);
    free(table->text);
    free(table);
}

void table_add(struct table *table, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) == -1)
        text = NULL;
    va_end(arguments);
    add_text(table, text);
}

/* In characters; none of ours is wide. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; text != NULL && *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static size_t column_width(const struct table *table, size_t column)
{
    size_t width = 3;

    for (size_t i = column; i < table->cells; i += table->columns) {
        size_t cell = width_of(table->text[i]);

        width = cell > width ? cell : width;
    }
    return width;
}

static void print_cell(FILE *file, const char *text, size_t width, int left)
{
    int fill = (int)(width - width_of(text));

    if (left)
        fprintf(file, " %s%*s |", text != NULL ? text : "", fill, "");
    else
        fprintf(file, " %*s%s |", fill, "", text != NULL ? text : "");
}

static void print_rule(FILE *file, size_t width, int left)
{
    fputc(left ? ':' : '-', file);
    for (size_t i = 0; i < width; i++)
        fputc('-', file);
    fputs(left ? "-|" : ":|", file);
}

void table_print(const struct table *table, FILE *file, const char *left)
{
    for (size_t i = 0; i < table->cells; i++) {
        size_t column = i % table->columns;

        if (column == 0)
            fputc('|', file);
        print_cell(file, table->text[i], column_width(table, column),
                   strchr(left, '0' + (int)column) != NULL);
        if (column + 1 < table->columns)
            continue;
        fputc('\n', file);
        if (i + 1 != table->columns)
            continue;
        fputc('|', file);
        for (size_t c = 0; c < table->columns; c++)
            print_rule(file, column_width(table, c), strchr(left, '0' + (int)c) != NULL);
        fputc('\n', file);
    }
}
