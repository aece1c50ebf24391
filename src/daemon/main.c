/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"
#include "daemon/setup.h"

int main(int argc, char **argv)
{
    struct options options;
    int status;
    if (!options_parse(argc, argv, &options, &status))
        return status;
    davy_log_set_level(options.log_level);
    return options.check ? setup_check(options.config) : daemon_run(&options);
}
