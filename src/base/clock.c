/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include "base/attr.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * DAVY_NS_PER_S + t.tv_nsec;
}

static struct davy_stamp system_now(void *context)
{
    (void)context;
    return (struct davy_stamp){.mono = {read_clock(CLOCK_BOOTTIME)}, .wall = {read_clock(CLOCK_REALTIME)}};
}

int64_t davy_clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

const struct davy_clock davy_system_clock = {.now = system_now};

davy_wall davy_wall_as_of(struct davy_stamp then, struct davy_stamp now)
{
    const davy_span ago = davy_mono_sub(now.mono, then.mono);
    const davy_wall at = {davy_mono_sub((davy_mono){now.wall.ns}, (davy_mono){ago.ns}).ns};
    const int64_t off = davy_mono_sub((davy_mono){at.ns}, (davy_mono){then.wall.ns}).ns;
    return off > DAVY_NS_PER_S || off < -DAVY_NS_PER_S ? at : then.wall;
}

#define DAY_S 86400

struct date {
    int64_t year;
    unsigned month, day; /* from 1 */
};

/*
 * The civil date, without the C library, whose gmtime_r() takes a lock and is too slow for each reading. Years begin in
 * March, eras of 400 years have 146,097 days: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms",
 * civil_from_days, howardhinnant.github.io/date_algorithms.html.
 * day       since 1970-01-01; 719,468 lie between 0000-03-01 and that
 */
static struct date date_of(int64_t day)
{
    const int64_t era_days = 146097;
    int64_t since = day + 719468;
    int64_t era = (since >= 0 ? since : since - era_days + 1) / era_days;
    unsigned in_era = (unsigned)(since - era * era_days);
    unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * in_year + 2) / 153; /* from March, 0 */
    struct date date = {.year = era * 400 + year, .day = in_year - (153 * month + 2) / 5 + 1};
    date.month = month < 10 ? month + 3 : month - 9;
    date.year += date.month <= 2;
    return date;
}

static void write_digits(char *text, unsigned value, int count)
{
    for (int i = count; i-- > 0; value /= 10)
        text[i] = (char)('0' + value % 10);
}

/* "YYYY-MM-DD" */
static void write_date(struct date date, char *text)
{
    write_digits(text, (unsigned)date.year, 4);
    write_digits(text + 5, date.month, 2);
    write_digits(text + 8, date.day, 2);
    text[4] = text[7] = '-';
}

/* "hh:mm:ss.mmmZ" and the end; second: of the day */
static void write_time(unsigned second, unsigned ms, char *text)
{
    write_digits(text, second / 3600, 2);
    write_digits(text + 3, second / 60 % 60, 2);
    write_digits(text + 6, second % 60, 2);
    write_digits(text + 9, ms, 3);
    text[2] = text[5] = ':';
    text[8] = '.';
    text[12] = 'Z';
    text[13] = '\0';
}

char *davy_wall_format(davy_wall t, char text[DAVY_WALL_TEXT])
{
    int64_t ms = t.ns / DAVY_NS_PER_MS;
    int64_t rest = t.ns % DAVY_NS_PER_MS;
    if (rest < 0) {
        ms--;
        rest += DAVY_NS_PER_MS;
    }
    if (rest >= DAVY_NS_PER_MS / 2)
        ms++;
    int64_t s = ms / 1000 - (ms % 1000 < 0);
    int64_t day = s / DAY_S - (s % DAY_S < 0);
    write_date(date_of(day), text);
    text[10] = 'T';
    write_time((unsigned)(s - day * DAY_S), (unsigned)(ms - s * 1000), text + 11);
    return text;
}

/* The decimals of a second, ".123" with 1 to 9 digits. Advances *text past them. */
static int parse_fraction(const char **text, int64_t *ret_ns)
{
    *ret_ns = 0;
    if (**text != '.')
        return 0;
    int64_t unit = DAVY_NS_PER_S;
    const char *digit = *text + 1;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        unit /= 10;
        if (unit == 0)
            return -EINVAL;
        *ret_ns += (*digit - '0') * unit;
    }
    if (digit == *text + 1)
        return -EINVAL;
    *text = digit;
    return 0;
}

/* sscanf() takes signs and blanks where RFC 3339 has digits only. `pattern`: 0 stands for a digit, ? for anything. */
static bool has_shape(const char *text, const char *pattern)
{
    for (; *pattern; pattern++, text++) {
        bool digit = *text >= '0' && *text <= '9';
        if (*text == '\0' || (*pattern == '0' ? !digit : *pattern != '?' && *pattern != *text))
            return false;
    }
    return true;
}

static int parse_offset(const char *text, int64_t *ret_s)
{
    if ((text[0] == 'Z' || text[0] == 'z') && text[1] == '\0') {
        *ret_s = 0;
        return 0;
    }
    int hours, minutes;
    char sign;
    if (strlen(text) != 6 || !has_shape(text, "?00:00") || sscanf(text, "%c%2d:%2d", &sign, &hours, &minutes) != 3)
        return -EINVAL;
    if ((sign != '+' && sign != '-') || hours > 23 || minutes > 59)
        return -EINVAL;
    *ret_s = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return 0;
}

/* Seconds since 1970 of a day and time that exist. */
static int count_seconds(struct tm *tm, int64_t *ret_s)
{
    const int day = tm->tm_mday, month = tm->tm_mon, leap = tm->tm_sec == 60;
    if (month < 1 || month > 12 || day < 1 || day > 31 || tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
        return -EINVAL;
    tm->tm_sec -= leap; /* a leap second is the second after */
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    int64_t seconds = timegm(tm);
    if (tm->tm_mday != day) /* a day that its month does not have was carried over */
        return -EINVAL;
    *ret_s = seconds + leap;
    return 0;
}

static int parse_rfc3339(const char *text, davy_wall *ret_t)
{
    struct tm tm = {0};
    char separator;
    if (!has_shape(text, "0000-00-00?00:00:00") ||
        sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &separator, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec) != 7 ||
        !strchr("Tt ", separator))
        return -EINVAL;
    int64_t seconds, fraction, offset, ns;
    const char *rest = text + strlen("0000-00-00?00:00:00");
    if (count_seconds(&tm, &seconds) < 0 || parse_fraction(&rest, &fraction) < 0 || parse_offset(rest, &offset) < 0)
        return -EINVAL;
    if (__builtin_mul_overflow(seconds - offset, DAVY_NS_PER_S, &ns) || __builtin_add_overflow(ns, fraction, &ns))
        return -EINVAL;
    ret_t->ns = ns;
    return 0;
}

static int parse_epoch(const char *text, davy_wall *ret_t)
{
    char *end = NULL;
    errno = 0;
    long long seconds = has_shape(text, "0") ? strtoll(text, &end, 10) : -1;
    if (errno != 0 || seconds < 0 || seconds > INT64_MAX / DAVY_NS_PER_S - 1)
        return -EINVAL;
    int64_t fraction;
    const char *rest = end;
    if (parse_fraction(&rest, &fraction) < 0 || *rest != '\0')
        return -EINVAL;
    ret_t->ns = seconds * DAVY_NS_PER_S + fraction;
    return 0;
}

int davy_wall_parse(const char *text, davy_wall *ret_t)
{
    return strchr(text, ':') ? parse_rfc3339(text, ret_t) : parse_epoch(text, ret_t);
}

int64_t davy_wall_local_day(davy_wall t)
{
    const int64_t second = t.ns / DAVY_NS_PER_S - (t.ns % DAVY_NS_PER_S < 0);
    const time_t seconds = (time_t)second;
    struct tm local;
    if (!localtime_r(&seconds, &local))
        memset(&local, 0, sizeof local);
    struct tm date = {.tm_year = local.tm_year, .tm_mon = local.tm_mon, .tm_mday = local.tm_mday};
    return timegm(&date) / (24 * 3600);
}

void davy_timezone_use(const char *name)
{
    if (name && setenv("TZ", name, 1) == 0)
        tzset();
}

bool davy_clock_synchronized(void)
{
    struct timex state = {0};
    int rc = adjtimex(&state);
    return rc != TIME_ERROR && rc >= 0 && !(state.status & STA_UNSYNC);
}

void davy_boot_id(char text[37])
{
    strcpy(text, "unknown");
    DAVY_AUTO_FILE FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    char line[64];
    if (file && fgets(line, sizeof line, file) && strlen(line) >= 36) {
        memcpy(text, line, 36);
        text[36] = '\0';
    }
}
