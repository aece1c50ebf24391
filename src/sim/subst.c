/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/subst.h"

#include <errno.h>
#include <string.h>

#define NAME_SIZE 256

/* The length of a comment at `p`, without the end of its line; 0: none. */
static size_t comment_length(const char *p)
{
    if (p[0] == '#' || (p[0] == '/' && p[1] == '/'))
        return strcspn(p, "\n");
    if (p[0] != '/' || p[1] != '*')
        return 0;
    const char *end = strstr(p + 2, "*/");
    return end ? (size_t)(end - p) + 2 : strlen(p);
}

static size_t string_length(const char *p)
{
    return p[0] == '\\' && p[1] != '\0' ? 2 : 1;
}

/* Split "NAME:-default" in place. NULL: no default. */
static const char *take_default(char *name)
{
    char *mark = strstr(name, ":-");
    if (!mark)
        return NULL;
    *mark = '\0';
    return mark + 2;
}

static bool value_is_clean(const char *value)
{
    for (; *value; value++)
        if ((unsigned char)*value < 0x20 || *value == '"' || *value == '\\' || *value == 0x7F)
            return false;
    return true;
}

/* `p` is behind "${". returns what is to be written, or NULL with the reason in `why` */
static const char *resolve(const char *p, char name[NAME_SIZE], const char *(*lookup)(const char *name),
                           struct davy_buf *why)
{
    size_t length = strcspn(p, "}\n\"");
    if (p[length] != '}' || length >= NAME_SIZE) {
        davy_buf_text(why, "${ without its }");
        return NULL;
    }
    memcpy(name, p, length);
    name[length] = '\0';
    const char *fallback = take_default(name);
    const char *value = lookup(name);
    if (!value || (*value == '\0' && fallback))
        value = fallback;
    if (!value)
        davy_buf_printf(why, "${%s}: the environment has no such variable", name);
    else if (!value_is_clean(value))
        davy_buf_printf(why, "${%s}: quotes, backslashes and control bytes are not allowed", name);
    else
        return value;
    return NULL;
}

static void complain(struct davy_buf *why, const char *text, const char *at, const char *reason)
{
    unsigned line = 1;
    for (const char *p = text; p < at; p++)
        line += *p == '\n';
    davy_buf_printf(why, "%u: %s", line, reason);
}

static int copy(const char *text, const char *(*lookup)(const char *name), struct davy_buf *why, FILE *out)
{
    bool in_string = false;
    for (const char *p = text; *p;) {
        size_t plain = in_string ? string_length(p) : comment_length(p);
        if (plain == 0)
            plain = 1;
        if (plain == 1 && *p == '"')
            in_string = !in_string;
        if (p[0] != '$' || p[1] != '{') {
            fwrite(p, 1, plain, out);
            p += plain;
            continue;
        }
        char name[NAME_SIZE];
        char reason[NAME_SIZE + 128];
        struct davy_buf reason_buf;
        davy_buf_init(&reason_buf, reason, sizeof(reason));
        const char *value = resolve(p + 2, name, lookup, &reason_buf);
        if (!value) {
            complain(why, text, p, reason);
            return -EINVAL;
        }
        fputs(value, out);
        p = strchr(p, '}') + 1;
    }
    return 0;
}

int davy_sim_subst(const char *text, const char *(*lookup)(const char *name), struct davy_buf *why, char **ret)
{
    char *result = NULL;
    size_t size;
    FILE *out = open_memstream(&result, &size);
    if (!out)
        return -ENOMEM;
    int rc = copy(text, lookup, why, out);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        rc = -ENOMEM;
    if (rc == 0)
        *ret = result;
    else
        free(result);
    return rc;
}
