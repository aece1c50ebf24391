/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "config/internal.h"

/*
 * One pass over a file before libconfig sees it, to take away what libconfig 1.5 gets wrong without a word:
 * integers beyond 32 bits wrap (they get an L), beyond 64 bits saturate, 1e400 is infinity, [1, 2.0] is refused
 * (brackets become parentheses: a list may mix), a comment on a last line without newline is a syntax error.
 */

struct scanner {
    struct davy_source *source;
    const char *at;
    const char *end;
    struct davy_line line;
    char last; /* of the text written, but for space */
};

/* Length of the UTF-8 character at p, or 0: overlong forms, surrogates and what is past U+10FFFF are none. */
static size_t character(const unsigned char *p, const unsigned char *end)
{
    if (*p < 0x80)
        return 1;
    size_t length = *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : 2;
    if (*p < 0xC2 || *p > 0xF4 || (size_t)(end - p) < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    bool wrong = (*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) || (*p == 0xF0 && p[1] < 0x90) ||
                 (*p == 0xF4 && p[1] > 0x8F);
    return wrong ? 0 : length;
}

static const char *wrong_bytes(const unsigned char *p, const unsigned char *end, size_t *ret_length)
{
    if (*p == '\0')
        return "a NUL byte: this is not a text file";
    *ret_length = character(p, end);
    return *ret_length == 0 ? "bytes that are not UTF-8; save the file as UTF-8" : NULL;
}

/* Refuses the file as a whole. */
static bool check_bytes(struct davy_source *source, uint32_t file, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *end = p + length;
    struct davy_line line = {file, 1};
    const char *wrong = NULL;
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        wrong = "a byte order mark at the start; save the file as UTF-8 without it";
    while (!wrong && p < end) {
        size_t step = 1;
        wrong = wrong_bytes(p, end, &step);
        line.line += !wrong && *p == '\n';
        p += wrong ? 0 : step;
    }
    if (!wrong)
        return true;
    davy_source_problem(source, line, "%s", wrong);
    source->broken = true;
    return false;
}

static void put(struct scanner *s, const char *bytes, size_t length)
{
    davy_source_put(s->source, bytes, length);
    if (length > 0 && !strchr(" \t\r", bytes[length - 1]))
        s->last = bytes[length - 1];
}

/* A value that is wrong becomes a text that the reader knows, since only there the key's path is known. */
static void poison(struct scanner *s, const char *text, size_t length, const char *wrong)
{
    char message[160];
    struct davy_buf buf;
    davy_buf_init(&buf, message, sizeof message);
    davy_buf_printf(&buf, "\"%c%.*s%s %s\"", DAVY_POISON, length < 40 ? (int)length : 40, text,
                    length < 40 ? "" : "...", wrong);
    put(s, message, buf.length);
}

static void fatal(struct scanner *s, struct davy_line at, const char *message)
{
    davy_source_problem(s->source, at, "%s", message);
    s->source->broken = true;
}

static void newline(struct scanner *s)
{
    davy_source_newline(s->source, s->line);
    s->line.line++;
    s->at++;
}

static void skip_line_comment(struct scanner *s)
{
    while (s->at < s->end && *s->at != '\n')
        s->at++;
}

static void skip_block_comment(struct scanner *s)
{
    struct davy_line start = s->line;
    put(s, " ", 1);
    s->at += 2;
    while (s->end - s->at >= 2 && memcmp(s->at, "*/", 2) != 0)
        if (*s->at == '\n')
            newline(s);
        else
            s->at++;
    if (s->end - s->at >= 2) {
        s->at += 2;
        return;
    }
    fatal(s, start, "the comment that starts here is never closed");
    s->at = s->end;
}

/* \xNN makes any byte: only what is printable ASCII keeps a text what the file was checked to be. */
static void check_escape(struct scanner *s)
{
    char digits[] = "0x00";
    int64_t value;
    if (s->end - s->at < 4 || memcmp(s->at, "\\x", 2) != 0)
        return;
    memcpy(digits + 2, s->at + 2, 2);
    if (davy_int_parse(digits, &value) == 0 && (value < 0x20 || value >= 0x7F))
        davy_source_problem(s->source, s->line, "%.4s in a text; write the character itself", s->at);
}

static void copy_string(struct scanner *s)
{
    const char *start = s->at++;
    while (s->at < s->end && *s->at != '"' && *s->at != '\n') {
        check_escape(s);
        s->at += *s->at == '\\' && s->end - s->at >= 2 && s->at[1] != '\n' ? 2 : 1;
    }
    if (s->at >= s->end || *s->at == '\n') {
        fatal(s, s->line, "the text that starts here is not closed on its line");
        return;
    }
    s->at++;
    put(s, start, (size_t)(s->at - start));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '*';
}

/* Where a value must stand: behind '=', or in a list. */
static bool wants_value(const struct scanner *s)
{
    const struct davy_source *source = s->source;
    char bracket = source->nesting_count > 0 ? source->nesting[source->nesting_count - 1].bracket : '{';
    return s->last == '=' || s->last == ':' || bracket != '{';
}

static bool is_truth(const char *text, size_t length)
{
    return (length == 4 && strncasecmp(text, "true", 4) == 0) || (length == 5 && strncasecmp(text, "false", 5) == 0);
}

/*
 * libconfig gives up at a key that stands twice in a group. The second becomes "*2*KEY", which no schema has, so that
 * it is reported with its path and all else is still read.
 */
static void put_key(struct scanner *s, const char *name, size_t length)
{
    struct davy_source *source = s->source;
    struct davy_keys *keys = &source->keys[source->nesting_count];
    unsigned twins = 0;
    for (size_t i = 0; i < keys->count; i++)
        twins += keys->length[i] == length && memcmp(source->text + keys->start[i], name, length) == 0;
    if (keys->count == DAVY_KEYS_MAX) {
        fatal(s, s->line, "more than 64 keys in one group");
        s->at = s->end;
        return;
    }
    if (twins > 0) {
        char prefix[16];
        struct davy_buf buf;
        davy_buf_init(&buf, prefix, sizeof prefix);
        davy_buf_printf(&buf, "*%u*", twins + 1);
        put(s, prefix, buf.length);
    }
    keys->start[keys->count] = source->length;
    keys->length[keys->count++] = length;
    put(s, name, length);
}

static void copy_name(struct scanner *s)
{
    const char *start = s->at;
    while (s->at < s->end && (is_letter(*s->at) || is_digit(*s->at) || *s->at == '-'))
        s->at++;
    if (wants_value(s)) /* a name in place of a text: up to what surely ends it */
        while (s->at < s->end && !strchr(" \t\r\n,;)]}\"#", *s->at))
            s->at++;
    size_t length = (size_t)(s->at - start);
    if (!wants_value(s))
        put_key(s, start, length);
    else if (is_truth(start, length))
        put(s, start, length);
    else
        poison(s, start, length, "is neither true nor false nor a number; texts stand in quotes");
}

/* From a sign, digit or dot to the end of what looks like a number, right or wrong. */
static size_t number_length(const struct scanner *s)
{
    const char *p = s->at + (*s->at == '-' || *s->at == '+');
    bool hex = s->end - p >= 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
    while (p < s->end && (is_digit(*p) || is_letter(*p) || *p == '.')) {
        bool exponent = !hex && (*p == 'e' || *p == 'E');
        p++;
        if (exponent && p < s->end && (*p == '+' || *p == '-'))
            p++;
    }
    return (size_t)(p - s->at);
}

/* As libconfig is to read it: nothing for what it must not see. Returns what is wrong, or NULL. */
static const char *rewrite_number(const char *text, struct davy_buf *out)
{
    char digits[80];
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == 'L' && strlen(text) - length < 2)
        length--;
    struct davy_buf copy;
    davy_buf_init(&copy, digits, sizeof digits);
    davy_buf_bytes(&copy, text + (*text == '+'), length - (*text == '+'));
    int64_t whole;
    int rc = copy.overflow ? -ERANGE : davy_int_parse(digits, &whole);
    if (rc == 0) {
        bool narrow = whole >= INT32_MIN && whole <= INT32_MAX;
        bool hex = strpbrk(digits, "xX") != NULL;
        /* the largest 32-bit figures are left to 64 bits, whose conversion saturates in no version */
        davy_buf_printf(out, hex && whole >= 0 ? "0x%llX%s" : "%lld%s", (long long)whole, narrow ? "" : "L");
        return NULL;
    }
    if (rc == -ERANGE)
        return "does not fit into 64 bits";
    double value;
    rc = davy_num_parse(digits, &value);
    if (rc == -ERANGE)
        return "is too large for a number";
    if (rc < 0 || length != strlen(text))
        return "is not a number; durations, sizes and other texts stand in quotes";
    davy_buf_text(out, digits);
    return NULL;
}

static void copy_number(struct scanner *s)
{
    char text[96];
    char rewritten[128];
    struct davy_buf given, out;
    const char *start = s->at;
    size_t length = number_length(s);
    davy_buf_init(&given, text, sizeof text);
    davy_buf_bytes(&given, start, length);
    davy_buf_init(&out, rewritten, sizeof rewritten);
    const char *wrong = given.overflow ? "is too long for a number" : rewrite_number(text, &out);
    s->at += length;
    if (wrong)
        poison(s, start, length, wrong);
    else
        put(s, rewritten, out.length);
}

static void open_bracket(struct scanner *s)
{
    struct davy_source *source = s->source;
    if (source->nesting_count == DAVY_NESTING_MAX) {
        fatal(s, s->line, "nested too deeply; 32 brackets at most");
        s->at = s->end;
        return;
    }
    source->nesting[source->nesting_count].bracket = *s->at;
    source->nesting[source->nesting_count++].at = s->line;
    source->keys[source->nesting_count].count = 0;
    put(s, *s->at == '{' ? "{" : "(", 1);
    s->at++;
}

static void close_bracket(struct scanner *s)
{
    static const char pairs[] = "(){}[]";
    struct davy_source *source = s->source;
    const char *opening =
        source->nesting_count > 0 ? strchr(pairs, source->nesting[source->nesting_count - 1].bracket) : NULL;
    if (opening && opening[1] == *s->at) {
        source->nesting_count--;
    } else if (opening) {
        davy_source_problem(source, s->line, "'%c' closes the '%c' of line %u; '%c' is expected", *s->at, *opening,
                            source->nesting[source->nesting_count - 1].at.line, opening[1]);
        source->broken = true;
        source->nesting_count--;
    } else {
        davy_source_problem(source, s->line, "'%c' closes nothing", *s->at);
        source->broken = true;
    }
    put(s, *s->at == '}' ? "}" : ")", 1);
    s->at++;
}

/* Whether nothing but space stands before `at` on its line. */
static bool starts_line(const struct scanner *s, const char *text)
{
    const char *p = s->at;
    while (p > text && (p[-1] == ' ' || p[-1] == '\t'))
        p--;
    return p == text || p[-1] == '\n';
}

static void include(struct scanner *s, const char *text)
{
    static const char keyword[] = "@include";
    const char *newline_at = memchr(s->at, '\n', (size_t)(s->end - s->at));
    size_t length = (size_t)((newline_at ? newline_at : s->end) - s->at);
    char line[512];
    char name[256];
    int used = 0;
    bool fits = length < sizeof line;
    if (fits) {
        memcpy(line, s->at, length);
        line[length] = '\0';
    }
    if (fits && starts_line(s, text) && strncmp(line, keyword, sizeof keyword - 1) == 0 &&
        sscanf(line + sizeof keyword - 1, " \"%255[^\"]\" %n", name, &used) == 1 && used > 0 &&
        (line[sizeof keyword - 1 + (size_t)used] == '\0' || strchr("#/\r;", line[sizeof keyword - 1 + (size_t)used]))) {
        davy_source_newline(s->source, s->line); /* ends the line that it stands on */
        davy_source_include(s->source, s->line, name);
    } else {
        davy_source_problem(s->source, s->line, "'@' is only for @include \"FILE\" on a line of its own");
    }
    skip_line_comment(s);
    if (s->at < s->end) {
        s->line.line++;
        s->at++;
    }
}

static bool next_is(const struct scanner *s, const char *two)
{
    return s->end - s->at >= 2 && memcmp(s->at, two, 2) == 0;
}

static void step(struct scanner *s, const char *text)
{
    char c = *s->at;
    if (c == '\n')
        newline(s);
    else if (c == '#' || next_is(s, "//"))
        skip_line_comment(s);
    else if (next_is(s, "/*"))
        skip_block_comment(s);
    else if (c == '"')
        copy_string(s);
    else if (c == '@')
        include(s, text);
    else if (is_letter(c))
        copy_name(s);
    else if (is_digit(c) || ((c == '-' || c == '+' || c == '.') && s->end - s->at >= 2))
        copy_number(s);
    else if (strchr("([{", c))
        open_bracket(s);
    else if (strchr(")]}", c))
        close_bracket(s);
    else
        put(s, s->at++, 1);
}

void davy_scan(struct davy_source *source, uint32_t file, const char *text, size_t length)
{
    struct scanner s = {.source = source, .at = text, .end = text + length, .line = {file, 1}};
    if (!check_bytes(source, file, text, length))
        return;
    while (s.at < s.end)
        step(&s, text);
    davy_source_newline(source, s.line); /* the last line may lack its end */
}
