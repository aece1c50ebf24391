/* SPDX-License-Identifier: Apache-2.0 */
/* Time, value and quality of a row: the common forms fast, the others by the parsers of the base. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "ctl/trace_internal.h"

/* Digits up to the first other character. Returns how many; *value is what they say, for up to 18 of them. */
static size_t digits(const char *text, uint64_t *value)
{
    size_t count = 0;
    *value = 0;
    for (; text[count] >= '0' && text[count] <= '9' && count < 19; count++)
        *value = *value * 10 + (uint64_t)(text[count] - '0');
    return count;
}

static const int64_t powers[] = {1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};

/* Behind whole seconds: nothing or "." and 1 to 9 digits, then `end`. False where it is anything else. */
static bool take_fraction(const char *text, char end, int64_t *ret_ns)
{
    uint64_t fraction = 0;
    size_t count = 0;
    if (*text == '.') {
        count = digits(++text, &fraction);
        if (count == 0 || count > 9)
            return false;
    }
    if (text[count] != end || (end && text[count + 1]))
        return false;
    *ret_ns = (int64_t)fraction * powers[count];
    return true;
}

/* The common forms, fast; false leaves it to davy_wall_parse(). */
static bool take_epoch(const struct field *field, davy_wall *ret_t)
{
    uint64_t seconds;
    int64_t ns;
    const size_t count = digits(field->text, &seconds);
    if (count == 0 || count > 9 + 1 || seconds > 9000000000 || !take_fraction(field->text + count, '\0', &ns))
        return false;
    ret_t->ns = (int64_t)seconds * DAVY_NS_PER_S + ns;
    return true;
}

static int two_digits(const char *text)
{
    const int tens = text[0] - '0', ones = text[1] - '0';
    return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? 1000 : 10 * tens + ones;
}

/* UTC of a day whose midnight is known, or found out. */
static bool take_rfc3339(struct trace *trace, const struct field *field, davy_wall *ret_t)
{
    const char *s = field->text;
    if (field->length < 20 || s[10] != 'T' || s[13] != ':' || s[16] != ':')
        return false;
    if (memcmp(s, trace->date, sizeof trace->date) != 0) {
        char text[32];
        davy_wall midnight;
        snprintf(text, sizeof text, "%.10sT00:00:00Z", s);
        if (davy_wall_parse(text, &midnight) < 0)
            return false;
        memcpy(trace->date, s, sizeof trace->date);
        trace->midnight_ns = midnight.ns;
    }
    const int hour = two_digits(s + 11), minute = two_digits(s + 14), second = two_digits(s + 17);
    int64_t ns;
    if (hour > 23 || minute > 59 || second > 59 || !take_fraction(s + 19, 'Z', &ns))
        return false;
    ret_t->ns = trace->midnight_ns + ((hour * 60 + minute) * 60 + second) * DAVY_NS_PER_S + ns;
    return true;
}

int davy_trace_take_time(struct trace *trace, const struct field *field, char error[TRACE_ERROR_SIZE])
{
    davy_wall t;
    if (!take_epoch(field, &t) && !take_rfc3339(trace, field, &t) && davy_wall_parse(field->text, &t) < 0)
        return davy_trace_complain(error, "'%.80s' is not a time", field->text);
    if (trace->any && t.ns < trace->time.ns)
        return davy_trace_complain(error, "time goes back: '%.80s'", field->text);
    trace->any = true;
    trace->time = t;
    return 0;
}

/*
 * Up to 15 digits are exact in a double, as are the powers of ten up to 10^22: one division then rounds once (Clinger,
 * "How to read floating point numbers accurately", 1990). Everything else goes the long way.
 */
static int parse_value(const struct field *field, double *ret)
{
    static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *text = field->text + (field->text[0] == '-');
    uint64_t whole, fraction = 0;
    const size_t before = digits(text, &whole);
    size_t after = 0;
    text += before;
    if (before > 0 && *text == '.')
        text += 1 + (after = digits(text + 1, &fraction));
    if (before == 0 || before + after > 15 || *text != '\0')
        return davy_num_parse(field->text, ret);
    double value = (double)whole;
    if (after > 0)
        value = ((double)whole * tens[after] + (double)fraction) / tens[after];
    *ret = field->text[0] == '-' ? -value : value;
    return 0;
}

/* "good", "", "bad:comm", "uncertain:settling". */
static int take_quality(const struct field *field, struct davy_reading *reading, char error[TRACE_ERROR_SIZE])
{
    reading->quality = DAVY_QUALITY_GOOD;
    reading->reason = DAVY_REASON_NONE;
    if (field->length == 0 || strcmp(field->text, "good") == 0)
        return 0;
    char *colon = strchr(field->text, ':');
    if (colon)
        *colon = '\0';
    const int quality = davy_quality_find(field->text);
    const int reason = colon && colon[1] ? davy_reason_find(colon + 1) : -EINVAL;
    if (quality < 0)
        return davy_trace_complain(error, "'%.80s' is not a quality: good, uncertain or bad", field->text);
    if (reason < 0)
        return davy_trace_complain(error, "the quality %s needs a known reason behind a colon, not '%.80s'",
                                   field->text, colon ? colon + 1 : "");
    if (davy_reason_quality((enum davy_reason)reason) != (enum davy_quality)quality)
        return davy_trace_complain(error, "the reason %s does not belong to %s", colon + 1, field->text);
    reading->quality = (enum davy_quality)quality;
    reading->reason = (enum davy_reason)reason;
    return 0;
}

int davy_trace_take_value(const struct field *value, const struct field *quality, struct davy_reading *reading,
                          char error[TRACE_ERROR_SIZE])
{
    reading->has_value = value->length > 0;
    reading->value = 0;
    if (reading->has_value && parse_value(value, &reading->value) < 0)
        return davy_trace_complain(error, "'%.80s' is not a number", value->text);
    int rc = take_quality(quality, reading, error);
    if (rc == 0 && !reading->has_value && reading->quality == DAVY_QUALITY_GOOD)
        return davy_trace_complain(error, "a good reading needs a value");
    return rc;
}
