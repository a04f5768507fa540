/* A listing as a page: light and dark, on phones as well, without a script and without asking for anything
 * else. */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "proxy/http/listing_page.h"

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1d2126;--dim:#626b76;--link:#0a5cb8;--paper:#fff;--line:#e4e7eb;"
    "--hover:#f3f6fa}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e7eb;--dim:#98a2ae;--link:#7db8ff;--paper:#16191d;"
    "--line:#2c3138;--hover:#1f242a}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\n"
    "main{max-width:64rem;margin:0 auto;padding:2rem 1.25rem 3rem}\n"
    "h1{margin:0 .75rem 1.25rem;font-size:1.25rem;font-weight:600;overflow-wrap:anywhere}\n"
    "h1 span{color:var(--dim);font-weight:400}\n"
    "a{color:var(--link);text-decoration:none}\n"
    "a:hover{text-decoration:underline}\n"
    "table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.4rem .75rem;text-align:left;border-bottom:1px solid var(--line)}\n"
    "th{color:var(--dim);font-size:.8125rem;font-weight:500}\n"
    "td{color:var(--dim);white-space:nowrap}\n"
    "td:first-child{width:100%;white-space:normal;overflow-wrap:anywhere}\n"
    "th:nth-child(2),td:nth-child(2){text-align:right}\n"
    "tbody tr:hover{background:var(--hover)}\n"
    "td a{display:flex;gap:.625rem}\n"
    "td a::before{content:\"\";flex:none;width:1.125rem;height:1.5rem;background:var(--dim);opacity:.7;"
    "-webkit-mask:var(--icon) center/contain no-repeat;mask:var(--icon) center/contain no-repeat;"
    "--icon:url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path "
    "d='M3 1h6l4 4v10H3zm1.2 1.2v11.6h7.6V6H8V2.2z'/></svg>\")}\n"
    "tr.d a::before{background:var(--link);opacity:1;"
    "--icon:url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path "
    "d='M1 3h5l1.5 2H15v9H1z'/></svg>\")}\n"
    "p{margin:1rem .75rem;color:var(--dim);font-size:.875rem}\n"
    "p.more{padding:.625rem .875rem;border:1px solid var(--line);border-radius:.375rem;color:var(--ink)}\n"
    "@media(max-width:36rem){main{padding:1.25rem .25rem 2rem}thead{display:none}\n"
    "tr{display:flex;flex-wrap:wrap;padding:.4rem .75rem;border-bottom:1px solid var(--line)}\n"
    "td{padding:0;border:0;font-size:.8125rem}td:first-child{font-size:1rem}\n"
    "td:nth-child(2):not(:empty){margin:0 1rem 0 1.75rem}td:nth-child(2):empty{margin-left:1.75rem}}\n";

/* "812 B", "1.5 KiB", "23 MiB": three digits at most. */
static void put_size(FILE *stream, uint64_t size)
{
    static const char units[] = "KMGTPE";
    if (size < 1024) {
        fprintf(stream, "%" PRIu64 " B", size);
        return;
    }
    unsigned unit = 0;
    /* Up to where the next unit would be rounded to. */
    while (size >= (uint64_t)(1024 * 1024 - 512) && unit < sizeof(units) - 2) {
        size >>= 10;
        unit++;
    }
    const uint64_t tenths = (size * 10 + 512) / 1024;
    if (tenths < 100)
        fprintf(stream, "%" PRIu64 ".%" PRIu64 " %ciB", tenths / 10, tenths % 10, units[unit]);
    else
        fprintf(stream, "%" PRIu64 " %ciB", (size + 512) / 1024, units[unit]);
}

static void put_time(FILE *stream, int64_t time)
{
    const time_t seconds = (time_t)time;
    struct tm at;
    if (gmtime_r(&seconds, &at))
        fprintf(stream, "%04d-%02d-%02d %02d:%02d", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday, at.tm_hour,
                at.tm_min);
}

static void put_number(FILE *stream, size_t number, const char *one, const char *many)
{
    fprintf(stream, "%zu %s", number, number == 1 ? one : many);
}

static size_t segments_of(const char *path)
{
    size_t count = path[0] != '\0';
    for (; *path; path++)
        count += *path == '/';
    return count;
}

/* A link to so many directories up; 0: none, this is where we are. */
static void begin_link_up(FILE *stream, size_t levels)
{
    if (levels == 0)
        return;
    fputs("<a href=\"", stream);
    while (levels-- > 0)
        fputs("../", stream);
    fputs("\">", stream);
}

static void end_link_up(FILE *stream, size_t levels)
{
    if (levels > 0)
        fputs("</a>", stream);
}

/* The way here, each part of it a link, from the root on. */
static void put_way(FILE *stream, const struct listing_place *place)
{
    const char *at = place->path + place->prefix;
    const bool has_slash = place->prefix == 0 || place->path[place->prefix - 1] == '/';
    size_t left = segments_of(at);
    begin_link_up(stream, left);
    fputs("/", stream);
    listing_put_html(stream, place->path, place->prefix);
    fputs(has_slash ? "" : "/", stream);
    end_link_up(stream, left);
    while (left-- > 0) {
        const size_t size = strcspn(at, "/");
        begin_link_up(stream, left);
        fputs("<bdi>", stream);
        listing_put_html(stream, at, size);
        fputs("</bdi>", stream);
        end_link_up(stream, left);
        fputs("/", stream);
        at += size + 1;
    }
}

static void put_head(FILE *stream, const struct listing_place *place)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>Index of /",
          stream);
    listing_put_html(stream, place->path, strlen(place->path));
    fprintf(stream, "%s</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1><span>Index of</span> ",
            place->path[0] != '\0' ? "/" : "", style);
    put_way(stream, place);
    fputs("</h1>\n", stream);
}

static void put_entry(FILE *stream, const struct listing *listing, const struct listing_entry *entry)
{
    const char *name = listing_name(listing, entry), *slash = entry->is_directory ? "/" : "";
    const size_t size = strlen(name);
    fputs(entry->is_directory ? "<tr class=\"d\"><td><a href=\"" : "<tr><td><a href=\"", stream);
    listing_put_link(stream, name, size);
    fprintf(stream, "%s\"><bdi>", slash);
    listing_put_html(stream, name, size);
    fprintf(stream, "%s</bdi></a><td>", slash);
    if (!entry->is_directory)
        put_size(stream, entry->size);
    fputs("<td>", stream);
    put_time(stream, entry->mtime);
    fputs("\n", stream);
}

static void put_sum(FILE *stream, const struct listing *listing)
{
    size_t directories = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < listing->count; i++) {
        directories += listing->entries[i].is_directory;
        bytes += listing->entries[i].is_directory ? 0 : listing->entries[i].size;
    }
    fputs("<p>", stream);
    put_number(stream, directories, "directory", "directories");
    fputs(", ", stream);
    put_number(stream, listing->count - directories, "file", "files");
    fputs(", ", stream);
    put_size(stream, bytes);
    fputs("</p>\n", stream);
}

void listing_write_html(FILE *stream, const struct listing *listing, const struct listing_place *place)
{
    const bool has_parent = place->path[place->prefix] != '\0';
    put_head(stream, place);
    if (listing->truncated) {
        fprintf(stream,
                "<p class=\"more\">There is more in this directory than the %zu entries shown here.</p>\n",
                listing->count);
    }
    if (listing->count > 0 || has_parent)
        fputs("<table>\n<thead><tr><th scope=\"col\">Name<th scope=\"col\">Size<th scope=\"col\">Changed "
              "(UTC)</thead>\n<tbody>\n",
              stream);
    if (has_parent)
        fputs("<tr class=\"d\"><td><a href=\"../\">..</a><td><td>\n", stream);
    for (size_t i = 0; i < listing->count; i++)
        put_entry(stream, listing, &listing->entries[i]);
    if (listing->count > 0 || has_parent)
        fputs("</tbody>\n</table>\n", stream);
    if (listing->count > 0)
        put_sum(stream, listing);
    else
        fputs("<p>This directory is empty.</p>\n", stream);
    fputs("</main>\n</body>\n</html>\n", stream);
}
