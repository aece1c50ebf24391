/* SPDX-License-Identifier: Apache-2.0 */
/* The groups that stand alone: gateway, mqtt, storage, and the lists of buses and zones. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/num.h"
#include "config/internal.h"
#include "config/schema.h"

#define BUSES_MAX 256

/*
 * Connections of all buses together. Each takes a socket or port and the descriptor that wakes its thread, and one more
 * while a reload puts another in its place; of the 1000 descriptors of the service at least 100 are left for databases,
 * broker and control. Without a bound the buses would take those of the broker, and alarms reach nobody.
 */
#define CONNECTIONS_MAX 300
#define ZONES_MAX       4096
#define ZONES           "/usr/share/zoneinfo"
#define URLS_MAX        8

static bool has(config_setting_t *group, const char *key)
{
    return config_setting_get_member(group, key) != NULL;
}

/* A compiled zone, which begins with "TZif"; the folder has tables and other texts too. */
static bool is_time_zone(const char *name)
{
    char path[128], magic[4];
    struct stat st;
    if (strcmp(name, "UTC") == 0)
        return true;
    if (name[0] == '/' || strstr(name, ".."))
        return false;
    snprintf(path, sizeof path, ZONES "/%s", name);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    DAVY_AUTO_FILE FILE *file = fopen(path, "re");
    return file && fread(magic, 1, sizeof magic, file) == sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
}

void davy_gateway_build(struct davy_loader *loader, config_setting_t *group)
{
    struct davy_gateway *gateway = &loader->config->gateway;
    if (!group)
        return;
    davy_schema_read(group, &davy_schema_gateway, gateway);
    if (gateway->timezone && !is_time_zone(gateway->timezone))
        davy_setting_error(davy_setting_at(group, "timezone"),
                           "\"%s\" is not a time zone of this machine: " ZONES " has no such file; an IANA name like "
                           "\"Asia/Shanghai\" is expected",
                           gateway->timezone);
}

void davy_storage_build(struct davy_loader *loader, config_setting_t *group)
{
    struct davy_storage *storage = &loader->config->storage;
    /* without the group: its defaults, from a group without keys */
    config_t empty;
    config_init(&empty);
    struct davy_source source = {.loader = loader};
    config_setting_set_hook(config_root_setting(&empty), &source);
    davy_schema_read(group ? group : config_root_setting(&empty), &davy_schema_storage, storage);
    config_destroy(&empty);
    if (storage->directory && storage->directory[0] != '/')
        davy_setting_error(davy_setting_at(group, "directory"), "\"%s\" is not an absolute path", storage->directory);
}

/* HOST[:PORT], an IPv6 address in brackets; no user, path or query. */
static bool is_authority(const char *text)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    size_t host = end ? (size_t)(end - text) + 1 : strcspn(text, ":/@?#[] ");
    const char *port = text + host;
    int64_t number;
    if (host == 0 || (end && host < 4) || (text[0] == '[' && !end))
        return false;
    if (*port == '\0')
        return true;
    return *port == ':' && davy_int_parse(port + 1, &number) == 0 && number >= 1 && number <= 65535;
}

static bool is_loopback(const char *authority)
{
    return strncmp(authority, "127.", 4) == 0 || strncmp(authority, "[::1]", 5) == 0 ||
           (strncmp(authority, "localhost", 9) == 0 && strchr(":", authority[9]));
}

/* Check one URL and warn of what is unwise about it. */
static void check_url(const struct davy_mqtt *mqtt, config_setting_t *setting, const char *url)
{
    bool tls = strncmp(url, "mqtts://", 8) == 0;
    if (!tls && strncmp(url, "mqtt://", 7) != 0) {
        davy_setting_error(setting, "\"%s\" starts neither with mqtt:// nor with mqtts://", url);
        return;
    }
    const char *authority = url + (tls ? 8 : 7);
    if (!is_authority(authority)) {
        davy_setting_error(setting, "\"%s\" is not mqtt://HOST:PORT or mqtts://HOST:PORT", url);
        return;
    }
    if (is_loopback(authority))
        return;
    if (!tls)
        davy_setting_warning(setting, "\"%s\" is not encrypted, and the broker is another machine", url);
    if (!mqtt->delivery_platform)
        davy_setting_warning(setting,
                             "\"%s\" is another machine and `delivery` is \"broker\": a message that the "
                             "broker acknowledged is not a delivered one",
                             url);
}

static void read_urls(struct davy_loader *loader, const struct davy_raw_mqtt *raw, config_setting_t *group)
{
    struct davy_mqtt *mqtt = &loader->config->mqtt;
    if (has(group, "url") == has(group, "urls")) {
        davy_setting_error(davy_setting_at(group, "url"), "one of `url` and `urls` is required, not both");
        return;
    }
    size_t count = raw->urls ? davy_list_length(raw->urls, URLS_MAX) : raw->url != NULL;
    if (raw->urls && count == 0)
        davy_setting_error(raw->urls, "names no broker");
    mqtt->urls = davy_loader_alloc(loader, count, sizeof *mqtt->urls);
    for (size_t i = 0; mqtt->urls && i < count; i++) {
        config_setting_t *setting =
            raw->urls ? config_setting_get_elem(raw->urls, (unsigned)i) : davy_setting_at(group, "url");
        const char *url = davy_read_text(setting, 255);
        if (!url)
            continue;
        check_url(mqtt, setting, url);
        mqtt->urls[mqtt->url_count++] = davy_loader_text(loader, url);
    }
}

static void read_commands(struct davy_mqtt *mqtt, config_setting_t *list)
{
    static const char *const verbs[] = {"confirm", "snapshot", "resend", "ack"}; /* bits DAVY_MQTT_COMMAND_… in order */
    size_t count = davy_list_length(list, 16);
    for (size_t i = 0; i < count; i++) {
        config_setting_t *setting = config_setting_get_elem(list, (unsigned)i);
        const char *verb = davy_read_text(setting, 255);
        int found = verb ? davy_name_find(verbs, DAVY_LENGTH(verbs), verb) : -EINVAL;
        if (verb && found < 0)
            davy_setting_error(setting, "\"%s\" is not one of \"confirm\", \"snapshot\", \"resend\", \"ack\"", verb);
        if (found >= 0)
            mqtt->commands |= 1U << found;
    }
}

static void check_file(config_setting_t *group, const char *key, const char *file, bool secret)
{
    struct stat st;
    config_setting_t *setting = davy_setting_at(group, key);
    if (!file)
        return;
    if (stat(file, &st) < 0)
        davy_setting_error(setting, "\"%s\" cannot be read: %s", file, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        davy_setting_error(setting, "\"%s\" is not a regular file", file);
    else if (secret && (st.st_mode & 077) != 0)
        davy_setting_error(setting, "\"%s\" can be read by others (mode %04o); 0600 is required", file,
                           (unsigned)(st.st_mode & 07777));
}

static void check_files(const struct davy_loader *loader, const struct davy_mqtt *mqtt, config_setting_t *group)
{
    if (!mqtt->cert_file != !mqtt->key_file)
        davy_setting_error(davy_setting_at(group, mqtt->cert_file ? "cert_file" : "key_file"),
                           "`cert_file` and `key_file` belong together");
    if (loader->no_files)
        return;
    check_file(group, "password_file", mqtt->password_file, true);
    check_file(group, "key_file", mqtt->key_file, true);
    check_file(group, "cert_file", mqtt->cert_file, false);
    check_file(group, "ca_file", mqtt->ca_file, false);
}

/* What is given but cannot matter. */
static void check_use(const struct davy_mqtt *mqtt, config_setting_t *group)
{
    static const char *const keys[] = {"ca_file", "cert_file", "key_file"};
    bool tls = mqtt->url_count == 0;
    for (size_t i = 0; i < mqtt->url_count; i++)
        tls = tls || strncmp(mqtt->urls[i], "mqtts://", 8) == 0;
    for (size_t i = 0; i < DAVY_LENGTH(keys) && !tls; i++)
        if (has(group, keys[i]))
            davy_setting_warning(davy_setting_at(group, keys[i]), "is not used: no url starts with mqtts://");
    if (mqtt->delivery_platform && !(mqtt->commands & DAVY_MQTT_COMMAND_CONFIRM))
        davy_setting_warning(
            davy_setting_at(group, "delivery"),
            "is \"platform\", but `commands` does not have \"confirm\": nothing can ever be confirmed, "
            "all events are sent again for ever and the alarm `mqtt` stands");
    if (mqtt->version_3 && mqtt->password_file && !mqtt->username)
        davy_setting_error(davy_setting_at(group, "password_file"), "MQTT 3.1.1 has no password without `username`");
}

static void check_topics(const struct davy_mqtt *mqtt, config_setting_t *group)
{
    const char *prefix = mqtt->prefix;
    if (!prefix)
        return;
    size_t length = strlen(prefix);
    if (strpbrk(prefix, "+#$ ") || prefix[0] == '/' || prefix[length - 1] == '/' || strstr(prefix, "//"))
        davy_setting_error(davy_setting_at(group, "prefix"), "\"%s\" is not a topic: no + # $ or space, no empty level",
                           prefix);
}

void davy_mqtt_build(struct davy_loader *loader, config_setting_t *group)
{
    struct davy_mqtt *mqtt = &loader->config->mqtt;
    const struct davy_gateway *gateway = &loader->config->gateway;
    struct davy_raw_mqtt raw = {0};
    if (!group)
        return;
    davy_schema_read(group, &davy_schema_mqtt, &raw);
    *mqtt = raw.mqtt;
    mqtt->enabled = true;
    mqtt->version_3 = raw.version == 1;
    mqtt->telemetry_per_gateway = raw.batch == 1;
    mqtt->delivery_platform = raw.delivery == 1;
    read_urls(loader, &raw, group);
    read_commands(mqtt, raw.commands);
    check_files(loader, mqtt, group);
    check_topics(mqtt, group);
    check_use(mqtt, group);
    if (mqtt->keepalive.ns % DAVY_NS_PER_S != 0)
        davy_setting_error(davy_setting_at(group, "keepalive"), "whole seconds are allowed");
    if (mqtt->client_id || !gateway->id || !gateway->site)
        return;
    char name[160];
    snprintf(name, sizeof name, "davy-%s-%s", gateway->site, gateway->id);
    mqtt->client_id = davy_loader_text(loader, name);
}

/* Which keys a type of bus has no use for, and which it needs. */
static const struct {
    const char *key;
    bool used[DAVY_BUS_TYPE_COUNT_];
    bool required[DAVY_BUS_TYPE_COUNT_];
} bus_keys[] = {
    /* in the order rtu, tcp, rtu-over-tcp */
    {"device", {true, false, false}, {true, false, false}},
    {"baud", {true, false, true}, {false}},
    {"parity", {true, false, true}, {false}},
    {"data_bits", {true, false, true}, {false}},
    {"stop_bits", {true, false, true}, {false}},
    {"rs485", {true, false, false}, {false}},
    {"rts_delay", {true, false, false}, {false}},
    {"echo", {true, false, false}, {false}},
    {"host", {false, true, true}, {false, true, true}},
    {"port", {false, true, true}, {false, false, true}},
    {"connections", {false, true, false}, {false}},
};

/* Rates that libmodbus sets; any other it would silently replace by 9600. */
static const int rates[] = {110,     300,     600,     1200,    2400,    4800,    9600,   19200,
                            38400,   57600,   115200,  230400,  460800,  500000,  576000, 921600,
                            1000000, 1152000, 1500000, 2500000, 3000000, 3500000, 4000000};

static bool known_rate(int baud)
{
    for (size_t i = 0; i < DAVY_LENGTH(rates); i++)
        if (rates[i] == baud)
            return true;
    return false;
}

static void check_bus(const struct davy_bus *bus, config_setting_t *group)
{
    if (!has(group, "type"))
        return;
    const char *type = davy_bus_type_name(bus->type);
    for (size_t i = 0; i < DAVY_LENGTH(bus_keys); i++) {
        config_setting_t *setting = config_setting_get_member(group, bus_keys[i].key);
        if (setting && !bus_keys[i].used[bus->type])
            davy_setting_error(setting, "has no meaning for a bus of type \"%s\"", type);
        if (!setting && bus_keys[i].required[bus->type])
            davy_setting_error(group, "`%s` is missing: a bus of type \"%s\" needs it", bus_keys[i].key, type);
    }
    if (bus->type == DAVY_BUS_TCP)
        return;
    if (bus->type == DAVY_BUS_RTU && !bus->rs485 && bus->rts_delay.ns > 0)
        davy_setting_error(davy_setting_at(group, "rts_delay"), "has no meaning without `rs485`");
    if (!known_rate(bus->baud))
        davy_setting_error(davy_setting_at(group, "baud"), "%d is not a rate of a serial port (9600, 19200, ...)",
                           bus->baud);
    if (bus->data_bits != 8)
        davy_setting_error(davy_setting_at(group, "data_bits"), "%d bits cannot carry Modbus RTU; 8 are needed",
                           bus->data_bits);
}

static void build_bus(struct davy_loader *loader, config_setting_t *group, struct davy_bus *bus)
{
    struct davy_raw_bus raw = {0};
    raw.bus.type = DAVY_BUS_TYPE_COUNT_;
    davy_schema_read(group, &davy_schema_bus, &raw);
    *bus = raw.bus;
    bus->parity = "NEO"[raw.parity];
    bool typed = bus->type < DAVY_BUS_TYPE_COUNT_;
    if (!typed)
        bus->type = DAVY_BUS_RTU;
    else
        check_bus(bus, group);
    if (bus->timeout.ns == 0)
        bus->timeout = bus->type == DAVY_BUS_RTU ? davy_span_ms(300) : davy_span_s(1);
    if (!bus->name)
        bus->name = davy_loader_text(loader, "?");
}

/* An error at the first bus that is too much. */
static void check_connections(const struct davy_loader *loader)
{
    int sum = 0;
    for (size_t i = 0; i < loader->config->bus_count && sum <= CONNECTIONS_MAX; i++) {
        sum += loader->config->buses[i].connections;
        if (sum > CONNECTIONS_MAX)
            davy_setting_error(davy_setting_at(loader->bus_settings[i], "connections"),
                               "%d connections of all buses together; %d are allowed", sum, CONNECTIONS_MAX);
    }
}

void davy_buses_build(struct davy_loader *loader, config_setting_t *list)
{
    struct davy_config *config = loader->config;
    size_t count = davy_list_length(list, BUSES_MAX);
    config->buses = davy_loader_alloc(loader, count, sizeof *config->buses);
    loader->bus_settings = calloc(count + 1, sizeof *loader->bus_settings);
    if (!config->buses || !loader->bus_settings) {
        loader->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        loader->bus_settings[i] = config_setting_get_elem(list, (unsigned)i);
        build_bus(loader, loader->bus_settings[i], &config->buses[i]);
    }
    config->bus_count = count;
    check_connections(loader);
}

static bool same_zone(const struct davy_zone *a, const struct davy_zone *b)
{
    return strcmp(a->id, b->id) == 0;
}

static bool same_cell(const struct davy_zone *a, const struct davy_zone *b)
{
    return a->row >= 0 && a->row == b->row && a->column == b->column;
}

static void check_zone(const struct davy_config *config, size_t index, config_setting_t *group)
{
    const struct davy_zone *zone = &config->zones[index];
    if ((zone->row < 0) != (zone->column < 0))
        davy_setting_error(group, "`row` and `column` belong together");
    for (size_t i = 0; i < index; i++) {
        if (strcmp(zone->id, "?") != 0 && same_zone(zone, &config->zones[i]))
            davy_setting_error(davy_setting_at(group, "id"), "\"%s\" is already the id of zones[%zu]", zone->id, i);
        if (same_cell(zone, &config->zones[i]))
            davy_setting_error(davy_setting_at(group, "row"), "the cell is already that of zones[%zu] (%s)", i,
                               config->zones[i].id);
    }
}

void davy_zones_build(struct davy_loader *loader, config_setting_t *list)
{
    struct davy_config *config = loader->config;
    size_t count = davy_list_length(list, ZONES_MAX);
    config->zones = davy_loader_alloc(loader, count, sizeof *config->zones);
    for (size_t i = 0; config->zones && i < count; i++) {
        struct davy_zone *zone = &config->zones[i];
        config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        zone->row = zone->column = -1;
        davy_schema_read(group, &davy_schema_zone, zone);
        zone->id = zone->id ? zone->id : davy_loader_text(loader, "?");
        zone->name = zone->name ? zone->name : zone->id;
        if (loader->failed)
            return;
        config->zone_count = i + 1;
        check_zone(config, i, group);
    }
}
