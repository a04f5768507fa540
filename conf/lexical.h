/* A pass over the text before libconfig, for what libconfig 1.5 accepts silently and wrongly: numbers that
 * overflow (4294967297 is 1) or look octal (0660 is 660), a comment that is never closed and swallows the
 * rest, strings that run together for want of a comma. And for what it refuses with a bare "syntax error" on
 * some later line: unquoted values, missing =, brackets that don't match, keys given twice.
 * @include is refused: an included file would escape this pass, and its problems their FILE:LINE.
 * Refuses to know any key. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

/* The lines of the strings that are elements of a list or array, in the order of the text: libconfig places
 * them at the token after. */
struct lexical {
    int *string_lines;
    size_t string_count;
};

/* `text` ends at text[length], a NUL. false: problems were added. The result is to be cleared either way. */
bool lexical_check(const char *text, size_t length, const char *file, struct conf_problems *problems,
                   struct lexical *lexical) __attribute__((warn_unused_result));
void lexical_clear(struct lexical *lexical);
