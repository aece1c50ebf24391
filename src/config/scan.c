/* SPDX-License-Identifier: Apache-2.0 */
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
}

static struct davy_depth *depth(const struct scanner *s)
{
    return &s->source->depths[s->source->nesting];
}

/* So much of a text as a message shows: whole characters. */
static int clip(const char *text, size_t length)
{
    if (length <= 40)
        return (int)length;
    int shown = 40;
    while (shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--;
    return shown;
}

/* A value that is wrong becomes a text that the reader knows, since only there the key's path is known. */
static void poison(struct scanner *s, const char *text, size_t length, const char *wrong)
{
    char message[160];
    struct davy_buf buf;
    davy_buf_init(&buf, message, sizeof message);
    davy_buf_printf(&buf, "\"%c%.*s%s %s\"", DAVY_POISON, clip(text, length), text, length <= 40 ? "" : "...", wrong);
    put(s, message, buf.length);
}

static void fatal(struct scanner *s, struct davy_line at, const char *message)
{
    davy_source_problem(s->source, at, "%s", message);
    s->source->broken = true;
}

enum token { NAME, ASSIGN, SCALAR, OPEN, CLOSE, SEMICOLON, COMMA, TOKEN_COUNT_ };

#define WRONG DAVY_SYNTAX_COUNT_
#define KEEP  DAVY_SYNTAX_COUNT_ + 1 /* the bracket's own function says what follows */

/* Grammar of libconfig 1.5, so that it never meets an error: what follows each state at each token. */
static const struct {
    unsigned char next[TOKEN_COUNT_];
    const char *expected;
} grammar[DAVY_SYNTAX_COUNT_] = {
    /*                     name                assign             scalar             open   close  ;      , */
    [DAVY_SYNTAX_KEY] = {{DAVY_SYNTAX_ASSIGN, WRONG, WRONG, WRONG, KEEP, WRONG, WRONG}, "a key"},
    [DAVY_SYNTAX_ASSIGN] = {{WRONG, DAVY_SYNTAX_VALUE, WRONG, WRONG, WRONG, WRONG, WRONG}, "'='"},
    [DAVY_SYNTAX_VALUE] = {{WRONG, WRONG, DAVY_SYNTAX_AFTER, KEEP, WRONG, WRONG, WRONG}, "a value"},
    [DAVY_SYNTAX_AFTER] = {{DAVY_SYNTAX_ASSIGN, WRONG, WRONG, WRONG, KEEP, DAVY_SYNTAX_KEY, DAVY_SYNTAX_KEY},
                           "';', a key or '}'"},
    [DAVY_SYNTAX_FIRST] = {{WRONG, WRONG, DAVY_SYNTAX_NEXT, KEEP, KEEP, WRONG, WRONG},
                           "a value or the closing bracket"},
    [DAVY_SYNTAX_NEXT] = {{WRONG, WRONG, WRONG, WRONG, KEEP, WRONG, DAVY_SYNTAX_ITEM}, "',' or the closing bracket"},
    [DAVY_SYNTAX_ITEM] = {{WRONG, WRONG, DAVY_SYNTAX_NEXT, KEEP, WRONG, WRONG, WRONG},
                          "a value (no comma behind the last)"},
};

/* What the eye does not see, or takes for right. */
static const char *hint_of(const struct scanner *s, const char *text)
{
    if ((unsigned char)text[0] >= 0x80)
        return "; outside of quotes only ASCII may stand, other kinds of spaces and quotes too are none";
    bool is_key_awaited = depth(s)->syntax == DAVY_SYNTAX_KEY;
    return is_key_awaited && text[0] >= '0' && text[0] <= '9' ? "; decimals stand behind a point, not a comma" : "";
}

/* The first error says it all: what follows may be its consequence. */
static void wrong_token(struct scanner *s, const char *text, size_t length)
{
    const struct davy_depth *open = depth(s);
    char where[48] = "";
    struct davy_buf buf;
    davy_buf_init(&buf, where, sizeof where);
    if (s->source->nesting > 0)
        davy_buf_printf(&buf, " (the '%c' of line %u is open)", open->bracket, open->at.line);
    if (!s->source->broken)
        davy_source_problem(s->source, s->line, "%.*s%s stands where %s is expected%s%s", clip(text, length), text,
                            length <= 40 ? "" : "...", grammar[open->syntax].expected, where, hint_of(s, text));
    s->source->broken = true;
}

static void take(struct scanner *s, enum token token, const char *text, size_t length)
{
    unsigned next = grammar[depth(s)->syntax].next[token];
    if (next == WRONG)
        wrong_token(s, text, length);
    else if (next < DAVY_SYNTAX_COUNT_)
        depth(s)->syntax = next;
    if (s->source->nesting == 0)
        depth(s)->at = s->line;
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

/* Texts side by side are one. */
static bool follows_text(const struct scanner *s)
{
    size_t i = s->source->length;
    while (i > 0 && strchr(" \n", s->source->text[i - 1]))
        i--;
    bool after = depth(s)->syntax == DAVY_SYNTAX_AFTER || depth(s)->syntax == DAVY_SYNTAX_NEXT;
    return after && i > 0 && s->source->text[i - 1] == '"';
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
    bool joined = s->source->length > 0 && follows_text(s);
    if (!joined)
        take(s, SCALAR, start, (size_t)(s->at - start));
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

/* Where a name can only be a text that lacks its quotes. */
static bool wants_value(const struct scanner *s)
{
    return depth(s)->syntax >= DAVY_SYNTAX_FIRST || depth(s)->syntax == DAVY_SYNTAX_VALUE;
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
    struct davy_depth *group = depth(s);
    unsigned twins = 0;
    take(s, NAME, name, length);
    for (size_t i = 0; i < group->key_count; i++)
        twins += group->key_length[i] == length && memcmp(source->text + group->key_start[i], name, length) == 0;
    if (group->key_count == DAVY_KEYS_MAX) {
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
    group->key_start[group->key_count] = source->length;
    group->key_length[group->key_count++] = length;
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
    if (!wants_value(s)) {
        put_key(s, start, length);
        return;
    }
    take(s, SCALAR, start, length);
    if (is_truth(start, length))
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
    const char *wrong = given.overflow ? "is too long for a number" : davy_literal_rewrite(text, &out);
    s->at += length;
    take(s, SCALAR, start, length);
    if (wrong)
        poison(s, start, length, wrong);
    else
        put(s, rewritten, out.length);
}

static void open_bracket(struct scanner *s)
{
    struct davy_source *source = s->source;
    bool group = *s->at == '{';
    take(s, OPEN, s->at, 1);
    if (source->nesting == DAVY_NESTING_MAX) {
        fatal(s, s->line, "nested too deeply; 32 brackets at most");
        s->at = s->end;
        return;
    }
    struct davy_depth *inner = &source->depths[++source->nesting];
    inner->syntax = group ? DAVY_SYNTAX_KEY : DAVY_SYNTAX_FIRST;
    inner->bracket = *s->at;
    inner->at = s->line;
    inner->key_count = 0;
    put(s, group ? "{" : "(", 1);
    s->at++;
}

static void wrong_bracket(struct scanner *s, char expected)
{
    const struct davy_depth *group = depth(s);
    if (s->source->broken)
        return;
    s->source->broken = true;
    if (s->source->nesting == 0)
        davy_source_problem(s->source, s->line, "'%c' closes nothing", *s->at);
    else
        davy_source_problem(s->source, s->line, "'%c' closes the '%c' of line %u; '%c' is expected", *s->at,
                            group->bracket, group->at.line, expected);
}

static void close_bracket(struct scanner *s)
{
    static const char pairs[] = "(){}[]";
    struct davy_source *source = s->source;
    char expected = strchr(pairs, depth(s)->bracket)[1];
    if (source->nesting == 0 || expected != *s->at)
        wrong_bracket(s, expected);
    else
        take(s, CLOSE, s->at, 1);
    if (source->nesting > 0)
        source->nesting--;
    depth(s)->syntax = depth(s)->bracket == '{' ? DAVY_SYNTAX_AFTER : DAVY_SYNTAX_NEXT;
    put(s, *s->at == '}' ? "}" : ")", 1);
    s->at++;
}

static void copy_mark(struct scanner *s)
{
    char c = *s->at;
    if (c == '=' || c == ':')
        take(s, ASSIGN, s->at, 1);
    else
        take(s, c == ';' ? SEMICOLON : COMMA, s->at, 1);
    put(s, s->at++, 1);
}

/* Control bytes too; of a character of several bytes all. */
static void refuse(struct scanner *s)
{
    size_t length = character((const unsigned char *)s->at, (const unsigned char *)s->end);
    if ((unsigned char)*s->at < 0x20)
        fatal(s, s->line, "a control character outside of a text");
    else
        wrong_token(s, s->at, length);
    s->at += length;
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

static void skip_space(struct scanner *s)
{
    put(s, " ", 1);
    s->at++;
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
    else if (is_letter(c) && c != '_')
        copy_name(s);
    else if (is_digit(c) || c == '-' || c == '+' || c == '.')
        copy_number(s);
    else if (strchr("([{", c))
        open_bracket(s);
    else if (strchr(")]}", c))
        close_bracket(s);
    else if (strchr("=:;,", c))
        copy_mark(s);
    else if (strchr(" \t\r\f", c))
        skip_space(s);
    else
        refuse(s);
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
