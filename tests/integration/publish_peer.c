/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A davy_publisher alone, for the tests against a real broker.
 *   publish_peer URL[,URL…] [key=value …]      keys: version (3 or 5), id, ca, cert, key, user, password_file, drain_ms
 * Standard input, one command a line:
 *   event ROW TOPIC PAYLOAD | state TOPIC PAYLOAD | telemetry ROW TOPIC PAYLOAD | status |
 *   switch SITE URL | quit
 * Standard output, one line each: "connected", "lost", "done ROW CODE", "refused ROW CODE", "status …".
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "publish/publisher.h"

#define ROOM 2048

struct peer {
    struct davy_config *config;
    struct davy_queue deliveries;
    struct davy_waker waker;
    struct davy_publisher *publisher;
    davy_span drain;
};

static const char *const delivery_names[] = {[DAVY_DELIVERY_CONNECTED] = "connected",
                                             [DAVY_DELIVERY_LOST] = "lost",
                                             [DAVY_DELIVERY_DONE] = "done",
                                             [DAVY_DELIVERY_REFUSED] = "refused"};

static void print_deliveries(struct peer *peer)
{
    struct davy_delivery delivery;
    davy_waker_wait(&peer->waker, (davy_span){0});
    while (davy_queue_pop(&peer->deliveries, &delivery)) {
        const char *name = delivery_names[delivery.kind];
        if (delivery.row == 0)
            printf("%s\n", name);
        else
            printf("%s %lld %u\n", name, (long long)delivery.row, delivery.reason_code);
    }
    fflush(stdout);
}

static void print_status(struct peer *peer)
{
    struct davy_publisher_status status;
    davy_publisher_status(peer->publisher, &status);
    printf("status connected=%d connects=%llu refused=%llu error=%s\n", status.connected,
           (unsigned long long)status.connects, (unsigned long long)status.refused, status.last_error);
    fflush(stdout);
}

static void post(struct peer *peer, enum davy_message_class class, char *arguments)
{
    struct davy_message message;
    int64_t row = 0;
    char *rest = arguments;
    if (class != DAVY_MESSAGE_STATE) {
        char *number = strsep(&rest, " ");
        if (davy_int_parse(number, &row) < 0)
            exit(2);
    }
    char *topic = strsep(&rest, " ");
    if (davy_message_new(class, row, topic, rest ? rest : "", &message) < 0)
        exit(2);
    message.retain = class == DAVY_MESSAGE_STATE || class == DAVY_MESSAGE_EVENT;
    message.expiry_s = class == DAVY_MESSAGE_TELEMETRY ? 600 : 0;
    message.schema = class == DAVY_MESSAGE_TELEMETRY ? "davy.telemetry/1" : "davy.alarm/1";
    while (davy_publisher_post(peer->publisher, &message) != 0) {
        davy_waker_wait(&peer->waker, davy_span_ms(20));
        print_deliveries(peer);
    }
}

/* The same settings for another site and broker. */
static void switch_over(struct peer *peer, char *arguments)
{
    struct davy_config *next = davy_config_new();
    const char *site = davy_config_text(next, strsep(&arguments, " "));
    next->mqtt = peer->config->mqtt;
    next->mqtt.urls = davy_config_alloc(next, 1, sizeof *next->mqtt.urls);
    next->mqtt.urls[0] = davy_config_text(next, arguments);
    next->mqtt.url_count = 1;
    next->gateway = (struct davy_gateway){.id = "edge", .site = site};
    if (davy_publisher_switch(peer->publisher, next) < 0)
        exit(2);
    davy_config_unref(next);
}

/* False: leave. */
static bool command(struct peer *peer, char *line)
{
    char *arguments = line;
    const char *verb = strsep(&arguments, " ");
    if (strcmp(verb, "event") == 0)
        post(peer, DAVY_MESSAGE_EVENT, arguments);
    else if (strcmp(verb, "state") == 0)
        post(peer, DAVY_MESSAGE_STATE, arguments);
    else if (strcmp(verb, "telemetry") == 0)
        post(peer, DAVY_MESSAGE_TELEMETRY, arguments);
    else if (strcmp(verb, "status") == 0)
        print_status(peer);
    else if (strcmp(verb, "switch") == 0)
        switch_over(peer, arguments);
    return strcmp(verb, "quit") != 0;
}

static void set_option(struct peer *peer, char *option)
{
    struct davy_mqtt *mqtt = &peer->config->mqtt;
    char *value = option;
    const char *key = strsep(&value, "=");
    const struct {
        const char *key;
        const char **field;
    } texts[] = {{"ca", &mqtt->ca_file},    {"cert", &mqtt->cert_file}, {"key", &mqtt->key_file},
                 {"user", &mqtt->username}, {"id", &mqtt->client_id},   {"password_file", &mqtt->password_file}};
    for (size_t i = 0; i < DAVY_LENGTH(texts); i++)
        if (strcmp(key, texts[i].key) == 0)
            *texts[i].field = value;
    int64_t number = 0;
    if (strcmp(key, "version") == 0)
        mqtt->version_3 = strcmp(value, "3") == 0;
    if (strcmp(key, "drain_ms") == 0 && davy_int_parse(value, &number) == 0)
        peer->drain = davy_span_ms(number);
}

static void configure(struct peer *peer, int argc, char **argv)
{
    struct davy_config *config = davy_config_new();
    if (!config || argc < 2)
        exit(2);
    peer->config = config;
    peer->drain = davy_span_ms(1000);
    config->gateway = (struct davy_gateway){.id = "edge", .site = "site"};
    config->mqtt.enabled = true;
    snprintf(config->hash, sizeof config->hash, "sha256:%064d", 7);
    config->mqtt.prefix = "davy/v1";
    config->mqtt.client_id = "davy-peer";
    config->mqtt.keepalive = davy_span_s(10);
    config->mqtt.urls = davy_config_alloc(config, 8, sizeof *config->mqtt.urls);
    for (char *urls = argv[1]; urls && config->mqtt.url_count < 8;)
        config->mqtt.urls[config->mqtt.url_count++] = strsep(&urls, ",");
    for (int i = 2; i < argc; i++)
        set_option(peer, argv[i]);
}

static void start(struct peer *peer)
{
    struct davy_publisher_options options = {.config = peer->config,
                                             .clock = &davy_system_clock,
                                             .deliveries = &peer->deliveries,
                                             .boot_id = "5f0c2c5e-7d5f-4b06-9a2b-0c8e6a1d2f3a",
                                             .seed = 7};
    if (davy_waker_init(&peer->waker) < 0 ||
        davy_queue_init(&peer->deliveries, sizeof(struct davy_delivery), ROOM, DAVY_QUEUE_REFUSE, &peer->waker) < 0 ||
        davy_publisher_new(&options, &peer->publisher) < 0 || davy_publisher_start(peer->publisher) < 0)
        exit(2);
}

/* Lines from standard input and reports from the publisher, until the input ends. */
static void serve(struct peer *peer)
{
    static char input[65536];
    size_t filled = 0;
    for (;;) {
        struct pollfd items[] = {{.fd = 0, .events = POLLIN}, {.fd = peer->waker.fd, .events = POLLIN}};
        poll(items, 2, -1);
        print_deliveries(peer);
        if (items[0].revents == 0)
            continue;
        ssize_t size = read(0, input + filled, sizeof input - filled - 1);
        if (size <= 0)
            return;
        filled += (size_t)size;
        input[filled] = '\0';
        char *line = input;
        for (char *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = '\0';
            if (!command(peer, line))
                return;
        }
        filled -= (size_t)(line - input);
        memmove(input, line, filled);
    }
}

int main(int argc, char **argv)
{
    struct peer peer = {.waker = DAVY_WAKER_INIT};
    struct davy_message last;
    configure(&peer, argc, argv);
    start(&peer);
    serve(&peer);
    if (davy_message_new(DAVY_MESSAGE_STATE, 0, "davy/v1/site/edge/status", "{\"state\":\"offline\",\"clean\":true}",
                         &last) < 0)
        return 2;
    last.retain = true;
    davy_publisher_free(peer.publisher, peer.drain, &last);
    print_deliveries(&peer);
    davy_queue_done(&peer.deliveries);
    davy_waker_done(&peer.waker);
    davy_config_unref(peer.config);
    return 0;
}
