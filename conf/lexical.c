/* The pass over the text before libconfig: a tokenizer as libconfig's, with a stack of brackets.
 * Refuses to know any key, and to judge what libconfig itself reports well. */
#include "conf/lexical.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/memory.h"

/* The schema nests six deep. libconfig's parser and its recursive release have only the stack. */
#define DEPTH_MAX 32
/* What isn't a configuration at all needs no hundred lines of saying so. */
#define PROBLEM_MAX 20
/* As much of an unquoted value as a message repeats. */
#define WORD_SHOWN 64

enum token {
    TOKEN_NONE,
    TOKEN_NAME, /* a key */
    TOKEN_EQUALS,
    TOKEN_STRING,
    TOKEN_WORD, /* a number or boolean */
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
};

struct name {
    const char *start;
    size_t length;
    int line;
};

struct bracket {
    char opener;
    int line;
    size_t first_name; /* the keys of this group begin here in `names` */
};

struct scan {
    const char *at, *end;
    int line;
    const char *file;
    struct conf_problems *problems;
    size_t problems_before;
    bool stop;
    enum token previous;
    int previous_line;
    struct bracket stack[DEPTH_MAX + 1]; /* [0] is the file itself */
    size_t depth;
    struct name *names;
    size_t name_count, name_capacity;
    struct lexical *lexical;
};

static struct conf_place here(const struct scan *scan)
{
    return (struct conf_place){scan->file, scan->line};
}

static bool in_list(const struct scan *scan)
{
    char opener = scan->stack[scan->depth].opener;
    return opener == '(' || opener == '[';
}

/* Whether a value, and not a key, comes next. */
static bool value_expected(const struct scan *scan)
{
    return scan->previous == TOKEN_EQUALS || in_list(scan);
}

static void set_previous(struct scan *scan, enum token token)
{
    if (scan->previous == TOKEN_NAME && token != TOKEN_EQUALS) {
        const struct name *name = &scan->names[scan->name_count - 1];
        conf_problem_add(scan->problems, (struct conf_place){scan->file, name->line}, NULL,
                         "`%.*s` is followed by no value: write `%.*s = ...;`", (int)name->length,
                         name->start, (int)name->length, name->start);
    }
    bool is_value = token == TOKEN_STRING || token == TOKEN_WORD || token == TOKEN_OPEN;
    if (scan->previous == TOKEN_EQUALS && !is_value) {
        conf_problem_add(scan->problems, (struct conf_place){scan->file, scan->previous_line}, NULL,
                         "a value is missing after this =");
    }
    scan->previous = token;
    scan->previous_line = scan->line;
}

/* A value begins here: something must ask for it. libconfig also leaks a string that stands where none may.
 */
static void check_value(struct scan *scan, enum token token)
{
    bool joined = token == TOKEN_STRING && scan->previous == TOKEN_STRING;
    if (in_list(scan) && scan->previous != TOKEN_OPEN && scan->previous != TOKEN_COMMA) {
        conf_problem_add(scan->problems, here(scan), NULL, "a comma is missing before this %s",
                         joined ? "string: without it, it would be joined to the one before" : "value");
    } else if (!in_list(scan) && scan->previous != TOKEN_EQUALS && scan->previous != TOKEN_NAME && !joined) {
        conf_problem_add(scan->problems, here(scan), NULL, "a value without a key: write `key = value;`");
    }
    set_previous(scan, token);
}

static void scan_comment(struct scan *scan)
{
    struct conf_place begin = here(scan);
    for (scan->at += 2; scan->at < scan->end; scan->at++) {
        if (scan->at[0] == '\n') {
            scan->line++;
        } else if (scan->at[0] == '*' && scan->at[1] == '/') {
            scan->at += 2;
            return;
        } else if (scan->at[0] == '/' && scan->at[1] == '*') {
            /* Most likely the first one was never closed, and the lines between are lost. */
            conf_problem_add(
                scan->problems, here(scan), NULL,
                "/* inside the comment that began on line %d: close that one with */ first, or use # "
                "for comments",
                begin.line);
            scan->stop = true;
            return;
        }
    }
    conf_problem_add(scan->problems, begin, NULL, "this comment is never closed: add */ at its end");
    scan->stop = true;
}

static void scan_string(struct scan *scan)
{
    bool joined = scan->previous == TOKEN_STRING;
    check_value(scan, TOKEN_STRING);
    if (in_list(scan) && !joined) {
        struct lexical *lexical = scan->lexical;
        /* Grown at powers of two. */
        if ((lexical->string_count & (lexical->string_count - 1)) == 0) {
            size_t capacity = lexical->string_count > 0 ? 2 * lexical->string_count : 1;
            lexical->string_lines =
                memory_grow(lexical->string_lines, capacity, sizeof(lexical->string_lines[0]));
        }
        lexical->string_lines[lexical->string_count++] = scan->line;
    }
    for (scan->at++; scan->at < scan->end && *scan->at != '\n'; scan->at++) {
        if (*scan->at == '"') {
            scan->at++;
            return;
        }
        if (*scan->at == '\\' && scan->at + 1 < scan->end && scan->at[1] != '\n') {
            if (strncmp(scan->at + 1, "x00", 3) == 0) {
                conf_problem_add(scan->problems, here(scan), NULL,
                                 "\\x00 in a string: no value may contain it");
            }
            scan->at++;
        }
    }
    conf_problem_add(scan->problems, here(scan), NULL,
                     "this line ends inside a string: add the closing quote");
}

/* nothing wrong: NULL. A float is left to the schema, which has none. */
static const char *number_problem(const char *word)
{
    const char *digits = word + (*word == '-' || *word == '+');
    bool is_hex = digits == word && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    size_t length = is_hex ? strspn(digits + 2, "0123456789abcdefABCDEF") : strspn(digits, "0123456789");
    const char *suffix = digits + (is_hex ? 2 : 0) + length;
    bool is_long = strcmp(suffix, "L") == 0 || strcmp(suffix, "LL") == 0;
    if (!is_hex && length > 1 && digits[0] == '0') {
        return "has a leading zero, and would be read as decimal: leave the zero out";
    }
    if (length == 0 || (*suffix != '\0' && !is_long)) {
        char *end = NULL;
        strtod(word, &end);
        bool is_float = word[strspn(word, "0123456789.eE+-")] == '\0' && end != word && *end == '\0';
        return is_float ? NULL : "is neither a number nor true or false: put it in quotes";
    }
    errno = 0;
    long long value = strtoll(word, NULL, is_hex ? 16 : 10);
    if (errno == ERANGE) {
        return "is too large a number";
    }
    if (!is_long && (value > INT32_MAX || value < INT32_MIN)) {
        return "is too large for a plain number: the largest is 2147483647; a size can be written with a "
               "unit, "
               "such as \"4GiB\"";
    }
    return NULL;
}

/* An unquoted value: number, boolean, or what should have been in quotes. */
static void scan_word(struct scan *scan)
{
    size_t length = 0;
    check_value(scan, TOKEN_WORD);
    while (isalnum((unsigned char)scan->at[length]) ||
           (scan->at[length] != '\0' && strchr("_.:+-*@%", scan->at[length]) != NULL)) {
        length++;
    }
    char *word = memory_strndup(scan->at, length);
    const char *problem = NULL;
    if (strcasecmp(word, "true") != 0 && strcasecmp(word, "false") != 0) {
        bool is_number = isdigit((unsigned char)word[0]) || strchr("+-.", word[0]) != NULL;
        problem = is_number ? number_problem(word) : "is not a value: put it in quotes";
    }
    if (problem != NULL) {
        conf_problem_add(scan->problems, here(scan), NULL, "`%.*s` %s", WORD_SHOWN, word, problem);
    }
    free(word);
    scan->at += length;
}

static void scan_name(struct scan *scan)
{
    struct name name = {scan->at, 0, scan->line};
    while (isalnum((unsigned char)name.start[name.length]) ||
           (name.start[name.length] != '\0' && strchr("_-*", name.start[name.length]) != NULL)) {
        name.length++;
    }
    set_previous(scan, TOKEN_NAME);
    for (size_t i = scan->stack[scan->depth].first_name; i < scan->name_count; i++) {
        const struct name *other = &scan->names[i];
        if (other->length == name.length && memcmp(other->start, name.start, name.length) == 0) {
            conf_problem_add(scan->problems, here(scan), NULL,
                             "`%.*s` is given twice, first on line %d: merge the two, or delete one",
                             (int)name.length, name.start, other->line);
            break;
        }
    }
    if (scan->name_count == scan->name_capacity) {
        scan->name_capacity = scan->name_capacity > 0 ? 2 * scan->name_capacity : 64;
        scan->names = memory_grow(scan->names, scan->name_capacity, sizeof(scan->names[0]));
    }
    scan->names[scan->name_count++] = name;
    scan->at += name.length;
}

static void scan_open(struct scan *scan)
{
    check_value(scan, TOKEN_OPEN);
    if (scan->depth == DEPTH_MAX) {
        conf_problem_add(scan->problems, here(scan), NULL,
                         "more than %d brackets are open: none of them is needed", DEPTH_MAX);
        scan->stop = true;
        return;
    }
    scan->stack[++scan->depth] = (struct bracket){*scan->at, scan->line, scan->name_count};
    scan->at++;
}

static void scan_close(struct scan *scan)
{
    if (scan->previous == TOKEN_COMMA && *scan->at != '}') {
        conf_problem_add(scan->problems, here(scan), NULL, "a comma stands before the closing %c: delete it",
                         *scan->at);
    }
    set_previous(scan, TOKEN_CLOSE);
    const struct bracket *open = &scan->stack[scan->depth];
    char closer = open->opener == '(' ? ')' : open->opener == '[' ? ']' : '}';
    if (scan->depth == 0) {
        conf_problem_add(scan->problems, here(scan), NULL,
                         "this %c closes nothing: delete it, or open it before", *scan->at);
        scan->stop = true;
        return;
    }
    if (*scan->at != closer) {
        conf_problem_add(scan->problems, here(scan), NULL,
                         "%c where the %c of line %d has to be closed first, with %c", *scan->at,
                         open->opener, open->line, closer);
        scan->stop = true;
        return;
    }
    scan->name_count = open->first_name;
    scan->depth--;
    scan->at++;
}

static void scan_separator(struct scan *scan)
{
    char separator = *scan->at;
    set_previous(scan, separator == ',' ? TOKEN_COMMA : separator == ';' ? TOKEN_SEMICOLON : TOKEN_EQUALS);
    scan->at++;
}

static void scan_token(struct scan *scan)
{
    char first = scan->at[0], second = scan->at[1];
    if (first == '\n') {
        scan->line++;
        scan->at++;
    } else if (strchr(" \t\r\f", first) != NULL) {
        scan->at++;
    } else if (first == '#' || (first == '/' && second == '/')) {
        scan->at += strcspn(scan->at, "\n");
    } else if (first == '/' && second == '*') {
        scan_comment(scan);
    } else if (first == '"') {
        scan_string(scan);
    } else if (strchr("{([", first) != NULL) {
        scan_open(scan);
    } else if (strchr("})]", first) != NULL) {
        scan_close(scan);
    } else if (strchr("=:,;", first) != NULL) {
        scan_separator(scan);
    } else if (isdigit((unsigned char)first) || strchr("+-.", first) != NULL ||
               (isalpha((unsigned char)first) && value_expected(scan))) {
        scan_word(scan);
    } else if (isalpha((unsigned char)first) || first == '*') {
        scan_name(scan);
    } else if (strncmp(scan->at, "@include", 8) == 0) {
        conf_problem_add(scan->problems, here(scan), NULL,
                         "@include is not supported: keep the whole configuration in this file");
        scan->at += strcspn(scan->at, "\n");
    } else if (isgraph((unsigned char)first)) {
        conf_problem_add(scan->problems, here(scan), NULL, "unexpected %c: values go in quotes", first);
        scan->stop = true;
    } else {
        conf_problem_add(scan->problems, here(scan), NULL,
                         "unexpected byte %02x (hexadecimal) outside of quotes and comments",
                         (unsigned char)first);
        scan->stop = true;
    }
}

/* Control characters are in no text. false: a problem was added. */
static bool check_text(const char *text, size_t length, const char *file, struct conf_problems *problems)
{
    struct conf_place place = {file, 1};
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '\n') {
            place.line++;
        } else if (byte == 0x7f || (byte < 0x20 && strchr("\t\r\f", byte) == NULL) || byte == '\0') {
            conf_problem_add(problems, place, NULL,
                             "byte %02x (hexadecimal), which is not text: is this a configuration file?",
                             byte);
            return false;
        }
    }
    return true;
}

bool lexical_check(const char *text, size_t length, const char *file, struct conf_problems *problems,
                   struct lexical *lexical)
{
    *lexical = (struct lexical){0};
    if (!check_text(text, length, file, problems)) {
        return false;
    }
    struct scan scan = {
        .at = text,
        .end = text + length,
        .line = 1,
        .file = file,
        .problems = problems,
        .problems_before = problems->count,
        .stack = {{.opener = '{'}},
        .lexical = lexical,
    };
    while (scan.at < scan.end && !scan.stop && problems->count - scan.problems_before < PROBLEM_MAX) {
        scan_token(&scan);
    }
    if (scan.at == scan.end && !scan.stop) {
        set_previous(&scan, TOKEN_NONE);
        for (size_t i = 1; i <= scan.depth; i++) {
            conf_problem_add(problems, (struct conf_place){file, scan.stack[i].line}, NULL,
                             "this %c is never closed", scan.stack[i].opener);
        }
    }
    free(scan.names);
    return problems->count == scan.problems_before;
}

void lexical_clear(struct lexical *lexical)
{
    free(lexical->string_lines);
    *lexical = (struct lexical){0};
}
