/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of golden vectors, tests/data/profiles/NAME.vec: registers of a device and what its profile makes of them.
 *
 *   # comment
 *   requests N                         in the plan of a device that has the profile
 *   TABLE ADDRESS WORD...              the image: words in hexadecimal (bits: 0, 1) from a zero-based decimal address;
 *                                      WORD*N is N of them
 *   case NAME                          begins a case; what follows changes the image for it alone
 *   TABLE ADDRESS WORD...
 *   each TABLE ADDRESS WORD...         the case is run once for each of these words at that address
 *   expect POINT VALUE QUALITY [REASON]    VALUE "-": none
 *   rest QUALITY [REASON]              of all points that have no `expect`
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "model/config.h"
#include "support/cmocka_all.h"

#define VECTOR_WORDS   192
#define VECTOR_EACH    64
#define VECTOR_EXPECTS 48
#define VECTOR_CASES   64
#define VECTOR_NAME    160

struct vector_word {
    enum davy_table table;
    uint16_t address;
    uint16_t word;
};

struct vector_words {
    struct vector_word words[VECTOR_WORDS];
    size_t count;
};

struct vector_expect {
    char point[DAVY_ID_MAX + 1];
    bool has_value;
    double value;
    enum davy_reason reason;
};

struct vector_case {
    char name[VECTOR_NAME];
    struct vector_words changes;
    struct vector_words each; /* at one address */
    struct vector_expect expects[VECTOR_EXPECTS];
    size_t expect_count;
    bool has_rest;
    enum davy_reason rest;
};

struct vectors {
    const char *file;
    unsigned line;
    unsigned requests;
    struct vector_words image;
    struct vector_case cases[VECTOR_CASES];
    size_t case_count;
};

#define VECTOR_CHECK(vectors, condition, what)                                                                         \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("%s:%u: %s", (vectors)->file, (vectors)->line, what);                                             \
    } while (0)

/* The next word of the line, ended; NULL at its end. */
static inline char *vector_token(char **line)
{
    char *token = *line + strspn(*line, " \t\n");
    char *end = token + strcspn(token, " \t\n");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return *token ? token : NULL;
}

static inline void vector_add_word(struct vectors *v, struct vector_words *into, enum davy_table table,
                                   unsigned address, unsigned word)
{
    VECTOR_CHECK(v, address < 65536 && into->count < VECTOR_WORDS, "too many words");
    into->words[into->count++] = (struct vector_word){table, (uint16_t)address, (uint16_t)word};
}

static inline void vector_read_words(struct vectors *v, const char *table, char *line, struct vector_words *into)
{
    const char *token = vector_token(&line);
    int64_t address = -1;
    int found = davy_table_find(table);
    VECTOR_CHECK(v, found >= 0, "no such keyword or table");
    VECTOR_CHECK(v, token && davy_int_parse(token, &address) == 0 && address >= 0 && address < 65536, "no address");
    for (token = vector_token(&line); token; token = vector_token(&line)) {
        char *end;
        unsigned long word = strtoul(token, &end, 16);
        unsigned long times = *end == '*' ? strtoul(end + 1, &end, 10) : 1;
        VECTOR_CHECK(v, *end == '\0' && word < 65536 && times < 126, "a bad word");
        for (; times > 0; times--)
            vector_add_word(v, into, (enum davy_table)found, (unsigned)address++, (unsigned)word);
    }
}

/* QUALITY [REASON]: the reason, which must be one of that quality. */
static inline enum davy_reason vector_reason(struct vectors *v, char *line)
{
    const char *quality = vector_token(&line);
    const char *reason = vector_token(&line);
    VECTOR_CHECK(v, quality, "no quality");
    int found = reason ? davy_reason_find(reason) : DAVY_REASON_NONE;
    VECTOR_CHECK(v, found >= 0, "no such reason");
    VECTOR_CHECK(v, davy_quality_find(quality) == (int)davy_reason_quality((enum davy_reason)found),
                 "the reason is not one of this quality");
    return (enum davy_reason)found;
}

static inline void vector_read_expect(struct vectors *v, char *line, struct vector_case *c)
{
    const char *point = vector_token(&line);
    const char *value = vector_token(&line);
    VECTOR_CHECK(v, point && value && strlen(point) <= DAVY_ID_MAX, "POINT VALUE QUALITY [REASON]");
    VECTOR_CHECK(v, c->expect_count < VECTOR_EXPECTS, "too many");
    struct vector_expect *expect = &c->expects[c->expect_count++];
    strcpy(expect->point, point);
    expect->has_value = strcmp(value, "-") != 0;
    VECTOR_CHECK(v, !expect->has_value || davy_num_parse(value, &expect->value) == 0, "no number");
    expect->reason = vector_reason(v, line);
}

static inline void vector_read_case(struct vectors *v, const char *name)
{
    VECTOR_CHECK(v, v->case_count < VECTOR_CASES && strlen(name) < VECTOR_NAME, "too many cases, or too long a name");
    strcpy(v->cases[v->case_count++].name, name);
}

static inline void vector_read_in_case(struct vectors *v, const char *keyword, char *line, struct vector_case *c)
{
    if (strcmp(keyword, "expect") == 0) {
        vector_read_expect(v, line, c);
    } else if (strcmp(keyword, "rest") == 0) {
        c->has_rest = true;
        c->rest = vector_reason(v, line);
    } else if (strcmp(keyword, "each") == 0) {
        VECTOR_CHECK(v, c->each.count == 0, "one `each` a case");
        const char *table = vector_token(&line);
        vector_read_words(v, table ? table : "", line, &c->each);
        for (size_t i = 0; i < c->each.count; i++)
            c->each.words[i].address = c->each.words[0].address;
    } else {
        vector_read_words(v, keyword, line, &c->changes);
    }
}

static inline void vector_read_line(struct vectors *v, char *line)
{
    line[strcspn(line, "#\n")] = '\0';
    char *keyword = vector_token(&line);
    if (!keyword)
        return;
    if (strcmp(keyword, "case") == 0) {
        vector_read_case(v, line);
    } else if (v->case_count > 0) {
        vector_read_in_case(v, keyword, line, &v->cases[v->case_count - 1]);
    } else if (strcmp(keyword, "requests") == 0) {
        v->requests = (unsigned)strtoul(line, NULL, 10);
    } else {
        vector_read_words(v, keyword, line, &v->image);
    }
}

/* Read a file; a line that is wrong fails the test. Free with free(). */
static inline struct vectors *vectors_read(const char *file)
{
    char line[1024];
    struct vectors *v = calloc(1, sizeof *v);
    DAVY_AUTO_FILE FILE *in = fopen(file, "r");
    assert_non_null(v);
    if (!in)
        fail_msg("%s: %s", file, strerror(errno));
    v->file = file;
    while (fgets(line, sizeof line, in)) {
        v->line++;
        VECTOR_CHECK(v, strchr(line, '\n'), "a line that is too long, or does not end");
        vector_read_line(v, line);
    }
    return v;
}
