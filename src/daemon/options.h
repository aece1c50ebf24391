/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of davyd, and where its folders are. */
#pragma once

#include <stdbool.h>

#include "base/log.h"

/* Exit statuses of davyd(8); the numbers are sysexits.h's. */
#define EXIT_USAGE    64
#define EXIT_SOFTWARE 70
#define EXIT_BUSY     75
#define EXIT_CONFIG   78

struct options {
    const char *config;
    bool check;
    enum davy_log_level log_level;
    bool log_level_given;
};

/*
 * Parse. Prints help, version or what is wrong itself.
 * returns   true to go on; false with the exit status in *ret_status
 */
bool options_parse(int argc, char **argv, struct options *ret_options, int *ret_status);
