/* A table of text, printed with its columns in line: plain to read, and Markdown.
 * Refuses to know what is in it. */
#ifndef SLUICE_LOAD_TABLE_H
#define SLUICE_LOAD_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table;

/* Headings separated by "|". NULL: no memory. */
struct table *table_new(const char *headings);
void table_free(struct table *table);

/* The next cell, row after row. */
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Numbers are right-aligned: every column but those named, by their numbers, in left. */
void table_print(const struct table *table, FILE *file, const char *left);

#endif
