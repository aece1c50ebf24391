/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seed of a randomised test. A gate must fail for what a change did and for nothing else: so each test has a seed
 * that stays, and others are tried on purpose (`tools/dev seeds`).
 *
 * DAVY_SEED=NUMBER repeats a run, DAVY_SEED=random draws a number.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

/*
 * Once in a program, so that one number repeats all of its tests; short, so that people can type it and count on from
 * it.
 */
static inline uint64_t davy_test_seed_drawn(void)
{
    static uint64_t drawn;
    while (drawn == 0) {
        davy_random_bytes(&drawn, sizeof drawn);
        drawn %= 1000000000;
    }
    return drawn;
}

/* What is neither a number nor `random` ends the program: a run that seems to be repeated, but is not, misleads. */
static inline uint64_t davy_test_seed_of(const char *text)
{
    char *end;
    if (strcmp(text, "random") == 0)
        return davy_test_seed_drawn();
    errno = 0;
    const uint64_t seed = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        fprintf(stderr, "DAVY_SEED=%s is neither a number nor random\n", text);
        exit(2);
    }
    return seed;
}

/* DAVY_SEED, or the `usual` one where it is not given or empty; printed as `DAVY_SEED=n`. */
static inline uint64_t davy_test_seed(uint64_t usual)
{
    const char *given = getenv("DAVY_SEED");
    const uint64_t seed = given && *given ? davy_test_seed_of(given) : usual;
    printf("DAVY_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout); /* before a crash, and before a fork */
    return seed;
}
