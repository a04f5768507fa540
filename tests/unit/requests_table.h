/* Reads tests/requests.txt, whose first lines say what a row is.
 * Refuses to know what becomes of a request. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REQUESTS_STATUSES 4

struct raw_request {
    int line; /* of the file */
    int statuses[REQUESTS_STATUSES];
    unsigned status_count;
    bool keeps;
    char *raw; /* exactly `size` bytes of heap, so that a sanitizer sees a step too far */
    size_t size;
    size_t room; /* while it is being read */
};

/* --- Bytes as they are written there --- */

static inline void requests_append(struct raw_request *row, const char *bytes, size_t size)
{
    if (row->size + size > row->room) {
        row->room = 2 * (row->size + size);
        row->raw = realloc(row->raw, row->room);
        assert_non_null(row->raw);
    }
    memcpy(row->raw + row->size, bytes, size);
    row->size += size;
}

/* One byte, which may be escaped. Returns what is behind it. */
static inline const char *requests_append_byte(struct raw_request *row, const char *text)
{
    unsigned byte = (unsigned char)text[0];
    size_t used = 1;
    if (text[0] == '\\') {
        static const char escapes[] = "rnt\\", bytes[] = "\r\n\t\\";
        const char *escape = strchr(escapes, text[1]);
        used = text[1] == 'x' ? 4 : 2;
        if (text[1] == 'x')
            assert_int_equal(sscanf(text + 2, "%2x", &byte), 1);
        else
            byte = (unsigned char)bytes[escape - escapes];
    }
    requests_append(row, (const char[]){(char)byte}, 1);
    return text + used;
}

/* {GET}, {POST}, {OTHER} and {TEXT*N}, without the braces. */
static inline void requests_append_macro(struct raw_request *row, const char *text, const char *end)
{
    static const struct {
        const char *name, *bytes;
    } macros[] = {
        {"GET}", "GET /f HTTP/1.1\r\nHost: x\r\n"},
        {"POST}", "POST /f HTTP/1.1\r\nHost: x\r\n"},
        {"OTHER}", "GET /other HTTP/1.1\r\nHost: x\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++) {
        if (strncmp(text, macros[i].name, strlen(macros[i].name)) == 0) {
            requests_append(row, macros[i].bytes, strlen(macros[i].bytes));
            return;
        }
    }
    const char *star = memrchr(text, '*', (size_t)(end - text));
    assert_non_null(star);
    for (long n = strtol(star + 1, NULL, 10); n > 0; n--)
        for (const char *at = text; at < star;)
            at = requests_append_byte(row, at);
}

static inline void requests_append_text(struct raw_request *row, const char *text)
{
    while (*text != '\0') {
        const char *end = *text == '{' ? strchr(text, '}') : NULL;
        if (*text != '{') {
            text = requests_append_byte(row, text);
            continue;
        }
        assert_non_null(end);
        requests_append_macro(row, text + 1, end);
        text = end + 1;
    }
    row->raw = realloc(row->raw, row->size ? row->size : 1);
}

/* --- Rows --- */

/* STATUS[,STATUS...] keep|close REQUEST. false: another line. */
static inline bool requests_parse_row(char *text, struct raw_request *row)
{
    char *at = text, *end;
    do {
        assert_true(row->status_count < REQUESTS_STATUSES);
        long status = strtol(at, &end, 10);
        if (end != at + 3 || (*end != ',' && *end != ' '))
            return false;
        row->statuses[row->status_count++] = (int)status;
        at = end + 1;
    } while (at[-1] == ',');
    row->keeps = strncmp(at, "keep ", 5) == 0;
    if (!row->keeps && strncmp(at, "close ", 6) != 0)
        return false;
    at[strcspn(at, "\n")] = '\0';
    requests_append_text(row, strchr(at, ' ') + 1);
    return true;
}

/* Calls `visit` for each row; how many there were. */
static inline size_t requests_each(void (*visit)(const struct raw_request *row, void *context), void *context)
{
    FILE *file = fopen(SLUICE_SOURCE_DIR "/tests/requests.txt", "r");
    char *text = NULL;
    size_t capacity = 0, count = 0;
    assert_non_null(file);
    for (int line = 1; getline(&text, &capacity, file) != -1; line++) {
        struct raw_request row = {.line = line};
        if (requests_parse_row(text, &row)) {
            visit(&row, context);
            count++;
        }
        free(row.raw);
    }
    free(text);
    fclose(file);
    return count;
}
