/* The plan as a table for people.
 * Refuses to know how it came about: it prints what the JSON has. */
#include <string.h>

#include "proxy/plan_report.h"

/* "a, b" of a JSON array of strings; "-" of an empty one. */
static void join(const json_t *array, char *text, size_t size)
{
    size_t length = 0, index;
    const json_t *item;

    snprintf(text, size, "-");
    json_array_foreach(array, index, item)
    {
        int n =
            snprintf(text + length, size - length, "%s%s", index > 0 ? ", " : "", json_string_value(item));

        if (n < 0 || (size_t)n >= size - length)
            return;
        length += (size_t)n;
    }
}

static const char *string_of(const json_t *entry, const char *key)
{
    const char *value = json_string_value(json_object_get(entry, key));

    return value != NULL ? value : "-";
}

void plan_report_print(const json_t *report, FILE *stream)
{
    static const char row[] = "%-12s %-*s %-8s %-10s %-10s %-5s %-5s %-20s %s%s%s\n";
    const json_t *entry;
    size_t index;
    int width = 16;

    json_array_foreach(report, index, entry)
    {
        const int length = (int)strlen(string_of(entry, "route"));

        width = length > width ? length : width;
    }
    fprintf(stream, row, "LISTENER", width, "ROUTE", "TLS", "SERVER TLS", "DIRECTION", "FROM", "TO", "MODES",
            "REASONS", "", "");
    json_array_foreach(report, index, entry)
    {
        char modes[64], reasons[512], refusals[512];
        bool refuses = json_array_size(json_object_get(entry, "refusals")) > 0;

        join(json_object_get(entry, "modes"), modes, sizeof(modes));
        join(json_object_get(entry, "reasons"), reasons, sizeof(reasons));
        join(json_object_get(entry, "refusals"), refusals, sizeof(refusals));
        fprintf(stream, row, string_of(entry, "listener"), width, string_of(entry, "route"),
                string_of(entry, "tls_version"), string_of(entry, "server_tls_version"),
                string_of(entry, "direction"), string_of(entry, "source_crypto"),
                string_of(entry, "sink_crypto"), modes, reasons, refuses ? "; refuses on: " : "",
                refuses ? refusals : "");
    }
}
