/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "config/internal.h"

const char *davy_literal_rewrite(const char *text, struct davy_buf *out)
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
