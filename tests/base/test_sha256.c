/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <stdio.h>

#include "support/cmocka_all.h"

static void assert_sum(struct davy_sha256 *sum, const char *expected)
{
    uint8_t hash[DAVY_SHA256_SIZE];
    char text[2 * DAVY_SHA256_SIZE + 1];
    davy_sha256_done(sum, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, expected);
}

/* FIPS 180-4 examples of NIST: nothing, "abc", 448 bits, a million times "a". */
static void sums_are_those_of_the_standard(void **state)
{
    (void)state;
    struct davy_sha256 sum;
    davy_sha256_init(&sum);
    davy_sha256_add(&sum, NULL, 0);
    assert_sum(&sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    davy_sha256_init(&sum);
    davy_sha256_add(&sum, "abc", 3);
    assert_sum(&sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    davy_sha256_init(&sum);
    davy_sha256_add(&sum, "abcdbcdecdefdefgefghfghighijhi", 30);
    davy_sha256_add(&sum, "jkijkljklmklmnlmnomnopnopq", 26);
    assert_sum(&sum, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    davy_sha256_init(&sum);
    for (int i = 0; i < 100000; i++)
        davy_sha256_add(&sum, "aaaaaaaaaa", 10);
    assert_sum(&sum, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_are_those_of_the_standard)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
