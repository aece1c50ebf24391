/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>

#include "davy_build.h"

static const char help[] =
    "davyd - gas and vibration gateway: Modbus sensors to alarms on MQTT\n"
    "\n"
    "usage: davyd [--config FILE] [--check] [--log-level LEVEL]\n"
    "\n"
    "  -c, --config FILE      configuration (default " DAVY_CONFDIR "/davyd.conf)\n"
    "      --check            print the plan, every problem and warning, and exit (0 good, 78 bad)\n"
    "  -l, --log-level LEVEL  error, warning, notice, info (default) or debug\n"
    "      --version          print the version and exit\n"
    "  -h, --help             print this and exit\n"
    "\n"
    "SIGHUP reloads the configuration, SIGTERM and SIGINT stop. It monitors and notifies; it is not a certified\n"
    "safety function. See davyd(8), davyd.conf(5), davyctl(1).\n";

enum { OPTION_CHECK = 256, OPTION_VERSION };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"log-level", required_argument, NULL, 'l'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool done(int status, int *ret_status)
{
    *ret_status = status;
    return false;
}

static bool take(int option, struct options *options, int *ret_status)
{
    switch (option) {
    case 'c':
        options->config = optarg;
        return true;
    case OPTION_CHECK:
        options->check = true;
        return true;
    case 'l':
        options->log_level_given = true;
        if (davy_log_parse_level(optarg, &options->log_level) == 0)
            return true;
        fprintf(stderr, "davyd: --log-level: '%s' is not one of error, warning, notice, info, debug\n", optarg);
        return done(EXIT_USAGE, ret_status);
    case OPTION_VERSION:
        puts("davyd " DAVY_VERSION);
        return done(0, ret_status);
    case 'h':
        fputs(help, stdout);
        return done(0, ret_status);
    default:
        fputs("try 'davyd --help'\n", stderr);
        return done(EXIT_USAGE, ret_status);
    }
}

bool options_parse(int argc, char **argv, struct options *ret_options, int *ret_status)
{
    *ret_options = (struct options){.config = DAVY_CONFDIR "/davyd.conf", .log_level = DAVY_LOG_INFO};
    int option;
    while ((option = getopt_long(argc, argv, "c:l:h", long_options, NULL)) != -1)
        if (!take(option, ret_options, ret_status))
            return false;
    if (optind == argc)
        return true;
    fprintf(stderr, "davyd: unexpected argument '%s'\ntry 'davyd --help'\n", argv[optind]);
    return done(EXIT_USAGE, ret_status);
}
