/* Civil dates by arithmetic on days: strftime and strptime follow the locale, timegm costs a lock.
 * Refuses to correct: a date that doesn't exist (31 Nov) is no date. */
#include "proxy/http/date.h"

#include <stdio.h>
#include <time.h>

static const char day_names[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

#define DAY 86400
#define YEAR_0 INT64_C(-62167219200) /* 0000-01-01 00:00:00 */
#define YEAR_9999_END INT64_C(253402300799)

/* Days of the years before `year`, counted from 0000-01-01, by the Gregorian rule. */
static int64_t days_before_year(int64_t year)
{
    /* Year 0 is a leap year itself, hence the rounding up. */
    return year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int64_t year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 1 && is_leap(year) ? 29 : days[month];
}

static char *put_text(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

static char *put_number(char *at, int number, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + digits;
}

void http_date_format(int64_t seconds, char out[HTTP_DATE_SIZE])
{
    if (seconds < YEAR_0)
        seconds = YEAR_0;
    else if (seconds > YEAR_9999_END)
        seconds = YEAR_9999_END;
    int64_t days = (seconds - YEAR_0) / DAY;
    int second = (int)((seconds - YEAR_0) % DAY);
    int weekday = (int)((days + 6) % 7); /* 0000-01-01 was a Saturday */
    int64_t year = days / 366;           /* never too late a year, and some twenty too early at most */
    while (days_before_year(year + 1) <= days)
        year++;
    int day = (int)(days - days_before_year(year));
    int month = 0;
    while (day >= days_of_month(year, month)) {
        day -= days_of_month(year, month);
        month++;
    }
    char *at = put_text(out, day_names[weekday], 3);
    at = put_number(put_text(at, ", ", 2), day + 1, 2);
    at = put_text(put_text(put_text(at, " ", 1), month_names[month], 3), " ", 1);
    at = put_number(put_text(put_number(at, (int)year, 4), " ", 1), second / 3600, 2);
    at = put_number(put_text(at, ":", 1), second / 60 % 60, 2);
    at = put_number(put_text(at, ":", 1), second % 60, 2);
    memcpy(at, " GMT", 5);
}

/* What is left of the text while it is matched. */
struct cursor {
    const char *at;
    size_t size;
    bool failed;
};

static void take_text(struct cursor *cursor, const char *text)
{
    size_t size = strlen(text);
    if (cursor->size < size || memcmp(cursor->at, text, size) != 0) {
        cursor->failed = true;
        return;
    }
    cursor->at += size;
    cursor->size -= size;
}

static int take_number(struct cursor *cursor, size_t digits)
{
    int number = 0;
    if (cursor->size < digits) {
        cursor->failed = true;
        return 0;
    }
    for (size_t i = 0; i < digits; i++) {
        if (cursor->at[i] < '0' || cursor->at[i] > '9') {
            cursor->failed = true;
            return 0;
        }
        number = number * 10 + (cursor->at[i] - '0');
    }
    cursor->at += digits;
    cursor->size -= digits;
    return number;
}

static int take_month(struct cursor *cursor)
{
    for (int i = 0; i < 12; i++) {
        if (cursor->size >= 3 && memcmp(cursor->at, month_names[i], 3) == 0) {
            take_text(cursor, month_names[i]);
            return i;
        }
    }
    cursor->failed = true;
    return 0;
}

/* The day's name, long or short: it must be one, whether it is the right one nobody needs to know. */
static void take_day_name(struct cursor *cursor, bool is_long)
{
    for (int i = 0; i < 7; i++) {
        size_t size = is_long ? strlen(day_names[i]) : 3;
        if (cursor->size >= size && memcmp(cursor->at, day_names[i], size) == 0) {
            cursor->at += size;
            cursor->size -= size;
            return;
        }
    }
    cursor->failed = true;
}

struct civil {
    int64_t year;
    int month, day, hour, minute, second;
};

static void take_time(struct cursor *cursor, struct civil *civil)
{
    civil->hour = take_number(cursor, 2);
    take_text(cursor, ":");
    civil->minute = take_number(cursor, 2);
    take_text(cursor, ":");
    civil->second = take_number(cursor, 2);
}

static bool to_seconds(const struct civil *civil, int64_t *seconds)
{
    if (civil->day < 1 || civil->day > days_of_month(civil->year, civil->month) || civil->hour > 23 ||
        civil->minute > 59 || civil->second > 60)
        return false;
    int64_t days = days_before_year(civil->year) + civil->day - 1;
    for (int month = 0; month < civil->month; month++)
        days += days_of_month(civil->year, month);
    *seconds = YEAR_0 + days * DAY + civil->hour * 3600 + civil->minute * 60 + civil->second;
    return true;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static void take_imf(struct cursor *cursor, struct civil *civil)
{
    take_day_name(cursor, false);
    take_text(cursor, ", ");
    civil->day = take_number(cursor, 2);
    take_text(cursor, " ");
    civil->month = take_month(cursor);
    take_text(cursor, " ");
    civil->year = take_number(cursor, 4);
    take_text(cursor, " ");
    take_time(cursor, civil);
    take_text(cursor, " GMT");
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static void take_rfc850(struct cursor *cursor, struct civil *civil)
{
    take_day_name(cursor, true);
    take_text(cursor, ", ");
    civil->day = take_number(cursor, 2);
    take_text(cursor, "-");
    civil->month = take_month(cursor);
    take_text(cursor, "-");
    civil->year = take_number(cursor, 2);
    take_text(cursor, " ");
    take_time(cursor, civil);
    take_text(cursor, " GMT");
}

/* Sun Nov  6 08:49:37 1994 */
static void take_asctime(struct cursor *cursor, struct civil *civil)
{
    take_day_name(cursor, false);
    take_text(cursor, " ");
    civil->month = take_month(cursor);
    take_text(cursor, " ");
    if (cursor->size > 0 && cursor->at[0] == ' ') {
        take_text(cursor, " ");
        civil->day = take_number(cursor, 1);
    } else {
        civil->day = take_number(cursor, 2);
    }
    take_text(cursor, " ");
    take_time(cursor, civil);
    take_text(cursor, " ");
    civil->year = take_number(cursor, 4);
}

bool http_date_parse(struct http_slice text, int64_t now, int64_t *seconds)
{
    struct cursor cursor = {text.at, text.size, false};
    struct civil civil = {0};
    const char *comma = text.size > 0 ? memchr(text.at, ',', text.size) : NULL;
    bool is_rfc850 = comma && comma - text.at > 3;
    if (is_rfc850)
        take_rfc850(&cursor, &civil);
    else if (comma)
        take_imf(&cursor, &civil);
    else
        take_asctime(&cursor, &civil);
    if (cursor.failed || cursor.size > 0)
        return false;
    if (is_rfc850) {
        char today[HTTP_DATE_SIZE];
        http_date_format(now, today);
        int64_t this_year = 0;
        for (int i = 12; i < 16; i++)
            this_year = this_year * 10 + (today[i] - '0');
        civil.year += this_year / 100 * 100 + 100;
        while (civil.year > this_year + 50)
            civil.year -= 100;
        if (civil.year < 0)
            return false;
    }
    return to_seconds(&civil, seconds);
}

int64_t http_date_now(const char **text)
{
    static _Thread_local int64_t second = INT64_MIN;
    static _Thread_local char cached[HTTP_DATE_SIZE];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != second) {
        second = now.tv_sec;
        http_date_format(second, cached);
    }
    if (text)
        *text = cached;
    return second;
}
