/* SPDX-License-Identifier: Apache-2.0 */
/* davysim: a simulated plant of Modbus devices. Options, set-up, end. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "davy_build.h"
#include "sim/channel.h"
#include "sim/control.h"
#include "sim/line.h"
#include "sim/load.h"
#include "sim/sim.h"

static const char usage[] =
    "usage: davysim [--plant FILE] [--control SOCKET] [--seconds N] [--speed X] [--seed N]\n"
    "       davysim --control SOCKET --send COMMAND\n"
    "       davysim --check --plant FILE\n"
    "\n"
    "A simulated plant: Modbus TCP and RTU devices with live values, incidents and faults.\n"
    "  --plant FILE      lines, devices and incidents (default: a small plant on a free TCP port)\n"
    "  --control SOCKET  take commands at this unix socket\n"
    "  --send COMMAND    send a command to a running davysim, print its reply\n"
    "  --seconds N       end after N seconds\n"
    "  --speed X         plant time runs X times as fast (default 1)\n"
    "  --seed N          of all noise and chance (default: the plant file's, else 1)\n"
    "  --check           check the plant file and end\n"
    "  --version, --help\n";

/* What runs without a plant file: enough for a first look with any Modbus master. */
static const char small_plant[] =
    "lines = ( { name = \"plc-1\"; type = \"tcp\"; } );\n"
    "devices = (\n"
    "  { id = \"GT-101\"; line = \"plc-1\"; unit = 1; points = (\n"
    "    { name = \"h2s\"; register = 0; type = \"float32\"; range = [0.0, 100.0];\n"
    "      wave = { type = \"random-walk\"; low = 0.5; high = 2.5; period = \"5s\"; noise = 0.05; }; },\n"
    "    { name = \"status\"; register = 2; type = \"uint16\"; } ); },\n"
    "  { id = \"VT-201\"; line = \"plc-1\"; unit = 2; points = (\n"
    "    { name = \"z_rms\"; register = 5200; type = \"float32\"; range = [0.0, 65.0];\n"
    "      wave = { type = \"sine\"; mean = 2.0; amplitude = 0.4; period = \"20s\"; noise = 0.1; }; },\n"
    "    { name = \"running\"; table = \"discrete\"; register = 3; type = \"bool\"; value = true; } ); } );\n";

struct options {
    const char *plant;
    const char *control;
    const char *send;
    double seconds; /* INFINITY: no end */
    double speed;
    int64_t seed; /* -1: not given */
    bool check;
};

enum { OPTION_PLANT = 1, OPTION_CONTROL, OPTION_SEND, OPTION_SECONDS, OPTION_SPEED, OPTION_SEED, OPTION_CHECK };
enum { OPTION_VERSION = 100, OPTION_HELP };

static const struct option option_table[] = {
    {"plant", required_argument, NULL, OPTION_PLANT}, {"control", required_argument, NULL, OPTION_CONTROL},
    {"send", required_argument, NULL, OPTION_SEND},   {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"speed", required_argument, NULL, OPTION_SPEED}, {"seed", required_argument, NULL, OPTION_SEED},
    {"check", no_argument, NULL, OPTION_CHECK},       {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},         {0},
};

static bool take_positive(const char *text, double *value)
{
    double number;
    if (davy_num_parse(text, &number) < 0 || number <= 0 || number > 1e9)
        return false;
    *value = number;
    return true;
}

static bool take_option(int option, const char *text, struct options *o)
{
    switch (option) {
    case OPTION_PLANT:
        o->plant = text;
        return true;
    case OPTION_CONTROL:
        o->control = text;
        return true;
    case OPTION_SEND:
        o->send = text;
        return true;
    case OPTION_SECONDS:
        return take_positive(text, &o->seconds);
    case OPTION_SPEED:
        return take_positive(text, &o->speed);
    case OPTION_SEED:
        return davy_int_parse(text, &o->seed) == 0 && o->seed >= 0;
    case OPTION_CHECK:
        o->check = true;
        return true;
    default:
        return false;
    }
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
    for (int option; (option = getopt_long(argc, argv, "", option_table, NULL)) != -1;) {
        if (option == OPTION_HELP) {
            fputs(usage, stdout);
            return EX_OK;
        }
        if (option == OPTION_VERSION) {
            puts("davysim " DAVY_VERSION);
            return EX_OK;
        }
        if (!take_option(option, optarg, o)) {
            if (option != '?')
                fprintf(stderr, "davysim: \"%s\" is not allowed here\n", optarg);
            fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    if (optind == argc && (!o->send || o->control))
        return -1;
    if (optind < argc)
        fprintf(stderr, "davysim: unexpected argument '%s'\n", argv[optind]);
    else
        fputs("davysim: --send needs --control SOCKET\n", stderr);
    fputs(usage, stderr);
    return EX_USAGE;
}

static int load(const struct options *o, struct davy_sim_plant *ret_plant)
{
    int rc = o->plant ? davy_sim_load_file(o->plant, stderr, ret_plant)
                      : davy_sim_load_text("built-in", small_plant, stderr, ret_plant);
    if (rc < 0 && rc != -EINVAL)
        fprintf(stderr, "davysim: %s: %s\n", o->plant ? o->plant : "built-in", strerror(-rc));
    return rc < 0 ? EX_CONFIG : EX_OK;
}

static void signal_ready(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events)
{
    (void)handler;
    (void)events;
    sim->quit = true;
}

static int watch_signals(struct davy_sim *sim)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    sim->signals = (struct davy_sim_handler){.fd = signalfd(-1, &set, SFD_CLOEXEC), .ready = signal_ready};
    return sim->signals.fd < 0 ? -errno : davy_sim_watch(sim, &sim->signals, EPOLLIN);
}

/* As many descriptors as we may have: each connection is one. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer connections then */
}

static int open_all(struct davy_sim *sim, const char *control_path, struct davy_sim_control **ret_control)
{
    char why[512];
    struct davy_buf buf;
    davy_buf_init(&buf, why, sizeof(why));
    sim->listeners = calloc(sim->plant.line_count, sizeof(*sim->listeners));
    sim->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!sim->listeners || sim->epoll < 0)
        return -errno;
    for (size_t i = 0; i < sim->plant.line_count; i++)
        sim->listeners[i].fd = -1;
    int rc = watch_signals(sim);
    /* first, so that a second davysim ends here and not with the links of the first */
    if (rc == 0 && control_path)
        rc = davy_sim_control_open(sim, control_path, &buf, ret_control);
    for (size_t i = 0; rc == 0 && i < sim->plant.line_count; i++)
        rc = davy_sim_line_open(sim, i, &buf);
    if (rc < 0)
        fprintf(stderr, "davysim: %s\n", buf.length > 0 ? why : strerror(-rc));
    return rc;
}

static davy_mono end_of_run(davy_mono started, double seconds)
{
    return isfinite(seconds) ? davy_mono_add(started, (davy_span){(int64_t)(seconds * 1e9)}) : DAVY_MONO_NEVER;
}

static int run(const struct options *o, struct davy_sim *sim)
{
    struct davy_sim_control *control = NULL;
    int64_t seed = o->seed >= 0 ? o->seed : sim->plant.seed >= 0 ? sim->plant.seed : 1;
    davy_sim_plant_sow(&sim->plant, (uint64_t)seed);
    sim->random.state = (uint64_t)seed;
    raise_limits();
    (void)prctl(PR_SET_TIMERSLACK, 1); /* else each character of a line is up to 50 us late */
    setvbuf(stdout, NULL, _IOLBF, 0);  /* who reads a pipe waits for these lines */
    int rc = open_all(sim, o->control, &control);
    if (rc == 0) {
        puts("ready");
        sim->started = davy_clock_now(&davy_system_clock).mono;
        sim->end = end_of_run(sim->started, o->seconds);
        davy_sim_tick(sim, sim->started);
        rc = davy_sim_run(sim);
    }
    davy_sim_control_free(control);
    davy_sim_line_close_all(sim);
    davy_sim_channel_end(sim);
    free(sim->listeners);
    if (sim->signals.fd >= 0)
        close(sim->signals.fd);
    if (sim->epoll >= 0)
        close(sim->epoll);
    return rc < 0 ? EX_OSERR : EX_OK;
}

int main(int argc, char **argv)
{
    struct options o = {.seconds = INFINITY, .speed = 1, .seed = -1};
    int status = parse_options(argc, argv, &o);
    if (status >= 0)
        return status;
    if (o.send)
        return davy_sim_control_send(o.control, o.send);
    struct davy_sim sim = {.epoll = -1, .signals.fd = -1, .speed = o.speed};
    status = load(&o, &sim.plant);
    if (status == EX_OK && !o.check)
        status = run(&o, &sim);
    davy_sim_plant_done(&sim.plant);
    return status;
}
