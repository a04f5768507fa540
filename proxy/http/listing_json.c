/* A listing as JSON. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "proxy/http/listing_page.h"

/* Nothing for what no calendar has. */
static void put_time(FILE *stream, int64_t time)
{
    const time_t seconds = (time_t)time;
    struct tm at;
    if (gmtime_r(&seconds, &at))
        fprintf(stream, "%04d-%02d-%02dT%02d:%02d:%02dZ", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday,
                at.tm_hour, at.tm_min, at.tm_sec);
}

static void write_entry(FILE *stream, const struct listing *listing, const struct listing_entry *entry)
{
    const char *name = listing_name(listing, entry);
    const size_t size = strlen(name);
    fputs("{\"name\":\"", stream);
    listing_put_json(stream, name, size);
    fputs("\",\"href\":\"", stream);
    listing_put_link(stream, name, size);
    if (entry->is_directory)
        fputs("/\",\"type\":\"directory\"", stream);
    else
        fprintf(stream, "\",\"type\":\"file\",\"size\":%" PRIu64, entry->size);
    fputs(",\"mtime\":\"", stream);
    put_time(stream, entry->mtime);
    fputs("\"}", stream);
}

void listing_write_json(FILE *stream, const struct listing *listing, const struct listing_place *place)
{
    fputs("{\"path\":\"/", stream);
    listing_put_json(stream, place->path, strlen(place->path));
    fprintf(stream, "%s\",\"truncated\":%s,\"entries\":[", place->path[0] != '\0' ? "/" : "",
            listing->truncated ? "true" : "false");
    for (size_t i = 0; i < listing->count; i++) {
        fputs(i == 0 ? "\n" : ",\n", stream);
        write_entry(stream, listing, &listing->entries[i]);
    }
    fputs("\n]}\n", stream);
}
