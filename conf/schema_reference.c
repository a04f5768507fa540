/* The schema in words: what a value looks like, for messages, and the reference manual in Markdown.
 * Refuses to know any key by name: all of it comes from the tables. */
#include "conf/schema.h"

#include <string.h>

#include "conf/units.h"

static void append(char text[SCHEMA_EXPECTED_MAX], const char *more)
{
    size_t length = strlen(text);
    snprintf(text + length, SCHEMA_EXPECTED_MAX - length, "%s", more);
}

static void append_choices(const struct schema_key *key, char text[SCHEMA_EXPECTED_MAX])
{
    for (size_t i = 0; key->choices[i] != NULL; i++) {
        append(text, i == 0 ? "\"" : ", \"");
        append(text, key->choices[i]);
        append(text, "\"");
    }
}

static void append_range(const struct schema_key *key, char text[SCHEMA_EXPECTED_MAX])
{
    char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
    if (key->type == SCHEMA_DURATION || key->type == SCHEMA_AGE) {
        units_format_duration(key->min, low);
        units_format_duration(key->max, high);
    } else if (key->type == SCHEMA_SIZE) {
        units_format_size(key->min, low);
        units_format_size(key->max, high);
    } else {
        snprintf(low, sizeof(low), "%llu", (unsigned long long)key->min);
        snprintf(high, sizeof(high), "%llu", (unsigned long long)key->max);
    }
    append(text, " from ");
    append(text, low);
    append(text, " to ");
    append(text, high);
}

void schema_describe(const struct schema_key *key, char text[SCHEMA_EXPECTED_MAX])
{
    text[0] = '\0';
    switch (key->type) {
    case SCHEMA_INTEGER:
        append(text, "a whole number");
        append_range(key, text);
        break;
    case SCHEMA_BOOLEAN:
        append(text, "true or false");
        break;
    case SCHEMA_STRING:
        append(text, "a string in quotes");
        break;
    case SCHEMA_PATH:
        append(text, "a path in quotes");
        break;
    case SCHEMA_DURATION:
    case SCHEMA_AGE:
        append(text, "a duration in quotes");
        append_range(key, text);
        break;
    case SCHEMA_SIZE:
        append(text, "a size");
        append_range(key, text);
        break;
    case SCHEMA_CHOICE:
        append(text, key->choices[1] != NULL ? "one of " : "");
        append_choices(key, text);
        break;
    case SCHEMA_LOG:
        append(text, "one of ");
        append_choices(key, text);
        append(text, ", or a path with a / in quotes");
        break;
    case SCHEMA_ADDRESS:
        append(text, "an address in quotes");
        break;
    case SCHEMA_REFERENCE:
        append(text, "a name defined under `");
        append(text, key->target);
        append(text, "`, in quotes");
        break;
    case SCHEMA_REFERENCES:
        append(text, "a list of names defined under `");
        append(text, key->target);
        append(text, "`");
        break;
    case SCHEMA_INTEGERS:
        append(text, "a list of whole numbers");
        append_range(key, text);
        break;
    case SCHEMA_CIDRS:
        append(text, "a list of ranges of addresses");
        break;
    case SCHEMA_STRINGS:
        append(text, key->single            ? "a string or a list of strings"
                     : key->choices != NULL ? "a list of any of "
                                            : "a list of strings");
        if (key->choices != NULL) {
            append_choices(key, text);
        }
        break;
    case SCHEMA_GROUP:
        append(text, "a group in braces");
        break;
    case SCHEMA_NAMED:
        append(text, "a group in braces, of named groups");
        break;
    case SCHEMA_LIST:
        append(text, "a list in parentheses");
        break;
    }
}

static const char *default_quote(const struct schema_key *key)
{
    return key->type == SCHEMA_INTEGER || key->type == SCHEMA_BOOLEAN ? "" : "\"";
}

static void print_default(const struct schema_key *key, bool inherited, FILE *stream)
{
    if (inherited) {
        fputs("the global one", stream);
    } else if (key->required) {
        fputs("required", stream);
    } else if (key->fallback == NULL) {
        fputs("none", stream);
    } else {
        const char *open = key->type == SCHEMA_STRINGS ? "[ " : "", *close = *open != '\0' ? " ]" : "";
        const char *quote = default_quote(key);
        fprintf(stream, "`%s%s%s%s%s`", open, quote, key->fallback, quote, close);
    }
}

static void print_section(const struct schema_section *section, const char *path, bool inherited, bool fixed,
                          FILE *stream)
{
    fprintf(stream, "%s%s%s\n\n", path[0] != '\0' ? "**`" : "**Top level", path,
            path[0] != '\0' ? "`**" : "**");
    fputs("| key | value | default | reloadable | |\n|---|---|---|---|---|\n", stream);
    for (size_t i = 0; i < section->count; i++) {
        const struct schema_key *key = &section->keys[i];
        char expected[SCHEMA_EXPECTED_MAX];
        schema_describe(key, expected);
        fprintf(stream, "| `%s` | %s, e.g. `%s` | ", key->name, expected, key->example);
        print_default(key, inherited, stream);
        fprintf(stream, " | %s | %s |\n", fixed || key->fixed ? "no: restart" : "yes", key->help);
    }
    fputc('\n', stream);

    for (size_t i = 0; i < section->count; i++) {
        const struct schema_key *key = &section->keys[i];
        if (key->section != NULL) {
            char inner[128];
            const char *suffix = key->type == SCHEMA_NAMED ? ".NAME" : key->type == SCHEMA_LIST ? "[]" : "";
            snprintf(inner, sizeof(inner), "%s%s%s%s", path, path[0] != '\0' ? "." : "", key->name, suffix);
            print_section(key->section, inner, key->inherits_offset != 0, fixed || key->fixed, stream);
        }
    }
}

void schema_print_reference(FILE *stream)
{
    print_section(&schema_root, "", false, false, stream);
}
