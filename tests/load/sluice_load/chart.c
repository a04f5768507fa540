/* SVG, by hand.
 * Refuses to know what is drawn. */
#include "sluice_load/chart.h"

#include <math.h>
#include <string.h>

#include "sluice_load/spread.h"

#define WIDTH 520
#define LABEL_WIDTH 120
#define VALUE_WIDTH 60
#define BAR_HEIGHT 18
#define BAR_STEP 24
#define GROUP_HEIGHT 28
#define LINES_HEIGHT 240
#define LINES_LEFT 50
#define LINES_BOTTOM 40
#define LINES_TOP 12

void chart_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '&':
            fputs("&amp;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc(*text, file);
        }
    }
}

static void begin(FILE *file, const char *title, const char *unit, double height)
{
    fputs("<figure><figcaption>", file);
    chart_text(file, title);
    fputs(" <span>", file);
    chart_text(file, unit);
    fprintf(file, "</span></figcaption>\n<svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"", WIDTH,
            height);
    chart_text(file, title);
    fputs("\">\n", file);
}

static void end(FILE *file)
{
    fputs("</svg></figure>\n", file);
}

static void write_text(FILE *file, double x, double y, const char *anchor, const char *class,
                       const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, class);
    chart_text(file, text);
    fputs("</text>\n", file);
}

/* ---- bars ---- */

static bool new_group(const struct chart_bar *bars, size_t i)
{
    return i == 0 || strcmp(bars[i - 1].group, bars[i].group) != 0;
}

static void draw_bar(FILE *file, const struct chart_bar *bar, double y, double scale)
{
    double middle = y + BAR_HEIGHT / 2.0, high = bar->high > bar->value ? bar->high : bar->value;
    char text[32];

    write_text(file, LABEL_WIDTH - 8, middle + 4, "end", "label", bar->label);
    fprintf(file, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"s%zu\"/>\n",
            LABEL_WIDTH, y, bar->value * scale, BAR_HEIGHT, bar->series);
    if (bar->high > bar->low)
        fprintf(file, "<path d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\" class=\"spread\"/>\n",
                LABEL_WIDTH + bar->low * scale, middle, LABEL_WIDTH + bar->high * scale,
                LABEL_WIDTH + bar->low * scale, middle - 4, LABEL_WIDTH + bar->high * scale, middle - 4);
    snprintf(text, sizeof(text), "%.*f", spread_places(bar->value), bar->value);
    write_text(file, LABEL_WIDTH + high * scale + 6, middle + 4, "start", "value", text);
}

/* The bars that share a scale with number i: its group, or all. */
static double most_of(const struct chart_options *options, const struct chart_bar *bars, size_t count,
                      size_t i)
{
    double most = 0;

    for (size_t other = 0; other < count; other++) {
        if (!options->own_scale || strcmp(bars[other].group, bars[i].group) == 0)
            most = fmax(most, fmax(bars[other].value, bars[other].high));
    }
    return most;
}

static double bars_height(const struct chart_bar *bars, size_t count)
{
    double height = 8;

    for (size_t i = 0; i < count; i++)
        height += BAR_STEP + (new_group(bars, i) ? GROUP_HEIGHT : 0);
    return height;
}

void chart_bars(FILE *file, const struct chart_options *options, const struct chart_bar *bars, size_t count)
{
    double height = bars_height(bars, count), y = 4;

    if (count == 0)
        return;
    begin(file, options->title, options->unit, height);
    for (size_t i = 0; i < count; i++) {
        double most = most_of(options, bars, count, i),
               scale = most > 0 ? (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most : 0;

        if (new_group(bars, i)) {
            write_text(file, 0, y + GROUP_HEIGHT - 9, "start", "group", bars[i].group);
            y += GROUP_HEIGHT;
        }
        draw_bar(file, &bars[i], y, scale);
        y += BAR_STEP;
        if (options->mark > 0 && options->mark <= most)
            fprintf(file, "<path d=\"M%.1f %.1fv%d\" class=\"mark\"/>\n", LABEL_WIDTH + options->mark * scale,
                    y - BAR_STEP - 2, BAR_STEP);
    }
    end(file);
}

/* ---- lines ---- */

struct scale {
    double low, high; /* powers of ten, as logarithms */
    double step;      /* between places */
};

static double place_x(const struct scale *scale, size_t place)
{
    return LINES_LEFT + scale->step * ((double)place + 0.5);
}

static double value_y(const struct scale *scale, double value)
{
    double part = (log10(value) - scale->low) / (scale->high - scale->low);

    return LINES_TOP + (1 - part) * (LINES_HEIGHT - LINES_TOP - LINES_BOTTOM);
}

static bool find_scale(struct scale *scale, const struct chart_line *lines, size_t line_count,
                       size_t place_count)
{
    double least = 0, most = 0;

    for (size_t l = 0; l < line_count; l++) {
        for (size_t p = 0; p < place_count; p++) {
            double value = lines[l].values[p];

            if (value > 0) {
                least = least == 0 || value < least ? value : least;
                most = fmax(most, value);
            }
        }
    }
    if (most <= 0)
        return false;
    scale->low = floor(log10(least));
    scale->high = fmax(ceil(log10(most)), scale->low + 1);
    scale->step = (double)(WIDTH - LINES_LEFT) / (double)place_count;
    return true;
}

static void draw_grid(FILE *file, const struct scale *scale, const char *const *places, size_t place_count)
{
    char text[32];

    for (double power = scale->low; power <= scale->high; power++) {
        double y = value_y(scale, pow(10, power));

        fprintf(file, "<path d=\"M%d %.1fH%d\" class=\"grid\"/>\n", LINES_LEFT, y, WIDTH);
        snprintf(text, sizeof(text), "%g", pow(10, power));
        write_text(file, LINES_LEFT - 8, y + 4, "end", "label", text);
    }
    for (size_t p = 0; p < place_count; p++)
        write_text(file, place_x(scale, p), LINES_HEIGHT - LINES_BOTTOM + 20, "middle", "label", places[p]);
}

static void draw_line(FILE *file, const struct scale *scale, const struct chart_line *line,
                      size_t place_count)
{
    char command = 'M';

    fprintf(file, "<path class=\"line l%zu\" d=\"", line->series);
    for (size_t p = 0; p < place_count; p++) {
        if (line->values[p] > 0) {
            fprintf(file, "%c%.1f %.1f", command, place_x(scale, p), value_y(scale, line->values[p]));
            command = 'L';
        }
    }
    fputs("\"/>\n", file);
    for (size_t p = 0; p < place_count; p++) {
        if (line->values[p] <= 0)
            continue;
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" class=\"s%zu\"><title>", place_x(scale, p),
                value_y(scale, line->values[p]), line->series);
        chart_text(file, line->label);
        fprintf(file, ": %.*f</title></circle>\n", spread_places(line->values[p]), line->values[p]);
    }
}

static void write_legend(FILE *file, const struct chart_line *lines, size_t line_count)
{
    fputs("<p class=\"legend\">", file);
    for (size_t l = 0; l < line_count; l++) {
        fprintf(file, "<span><i class=\"b%zu\"></i>", lines[l].series);
        chart_text(file, lines[l].label);
        fputs("</span> ", file);
    }
    fputs("</p>\n", file);
}

void chart_lines(FILE *file, const char *title, const char *unit, const char *const *places,
                 size_t place_count, const struct chart_line *lines, size_t line_count)
{
    struct scale scale;

    if (place_count == 0 || !find_scale(&scale, lines, line_count, place_count))
        return;
    begin(file, title, unit, LINES_HEIGHT);
    draw_grid(file, &scale, places, place_count);
    for (size_t l = 0; l < line_count; l++)
        draw_line(file, &scale, &lines[l], place_count);
    fputs("</svg>\n", file);
    write_legend(file, lines, line_count);
    fputs("</figure>\n", file);
}
