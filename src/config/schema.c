/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "base/attr.h"

#define AT(type, field) .offset = offsetof(struct type, field)

#define TABLES "\"coil\", \"discrete\", \"input\", \"holding\""
#define LEVELS "\"blue\", \"yellow\", \"orange\", \"red\""

/* seconds */
#define MINUTE 60
#define HOUR   3600
#define DAY    86400.0
#define YEAR   (366 * DAY)

#define BYTES_MAX 0x1p50

/* An option is a paragraph, not a column. */
/* clang-format off */
static const struct davy_option root_options[] = {
    {.name = "gateway", .type = DAVY_OPTION_GROUP, AT(davy_raw_root, gateway), .required = true,
     .help = "who this gateway is"},
    {.name = "mqtt", .type = DAVY_OPTION_GROUP, AT(davy_raw_root, mqtt), .otherwise = "nothing is published",
     .help = "the broker and what is sent to it"},
    {.name = "storage", .type = DAVY_OPTION_GROUP, AT(davy_raw_root, storage), .otherwise = "all defaults",
     .help = "where readings and events are kept, and how long"},
    {.name = "buses", .type = DAVY_OPTION_LIST, AT(davy_raw_root, buses), .required = true,
     .help = "serial lines and TCP servers"},
    {.name = "zones", .type = DAVY_OPTION_LIST, AT(davy_raw_root, zones), .otherwise = "none",
     .help = "areas of the plant, each with a colour"},
    {.name = "profiles", .type = DAVY_OPTION_LIST, AT(davy_raw_root, profiles), .otherwise = "none",
     .help = "register maps beside those in files"},
    {.name = "devices", .type = DAVY_OPTION_LIST, AT(davy_raw_root, devices), .required = true,
     .help = "what is polled"},
    {.name = "rules", .type = DAVY_OPTION_LIST, AT(davy_raw_root, rules), .otherwise = "none",
     .help = "limits and what they do; by custom in thresholds.conf"},
};

static const struct davy_option gateway_options[] = {
    {.name = "id", .type = DAVY_OPTION_ID, AT(davy_gateway, id), .required = true,
     .help = "id of this gateway, unique within the site"},
    {.name = "site", .type = DAVY_OPTION_ID, AT(davy_gateway, site), .required = true, .help = "id of the plant"},
    {.name = "timezone", .type = DAVY_OPTION_TEXT, AT(davy_gateway, timezone), .max = 64, .otherwise = "the machine's",
     .help = "IANA name of the zone of calendar days and local hours"},
    {.name = "detect_within", .type = DAVY_OPTION_SPAN, AT(davy_gateway, detect_within), .min = 0.001, .max = DAY,
     .otherwise = "none",
     .help = "a warning is given where the worst-case time from a condition to its alarm is longer"},
};

static const char *const versions[] = {"5", "3.1.1", NULL};
static const char *const telemetries[] = {
    [DAVY_TELEMETRY_OFF] = "off", [DAVY_TELEMETRY_CHANGES] = "changes", [DAVY_TELEMETRY_ALL] = "all", NULL};
static const char *const batches[] = {"device", "gateway", NULL};
static const char *const deliveries[] = {"broker", "platform", NULL};

static const struct davy_option mqtt_options[] = {
    {.name = "url", .type = DAVY_OPTION_TEXT, AT(davy_raw_mqtt, url),
     .help = "mqtt://HOST:PORT or mqtts://HOST:PORT; this or `urls` is required"},
    {.name = "urls", .type = DAVY_OPTION_LIST, AT(davy_raw_mqtt, urls), .help = "up to 8 brokers, tried in order"},
    {.name = "version", .type = DAVY_OPTION_ENUM, AT(davy_raw_mqtt, version), .names = versions,
     .allowed = "\"5\", \"3.1.1\"", .fallback = "5", .help = "of the MQTT protocol"},
    {.name = "client_id", .type = DAVY_OPTION_TEXT, AT(davy_raw_mqtt, mqtt.client_id), .max = 160,
     .otherwise = "davy-SITE-GATEWAY", .help = "must be unique at the broker"},
    {.name = "username", .type = DAVY_OPTION_TEXT, AT(davy_raw_mqtt, mqtt.username), .otherwise = "none",
     .help = "user at the broker"},
    {.name = "password_file", .type = DAVY_OPTION_TEXT, AT(davy_raw_mqtt, mqtt.password_file), .max = 1023,
     .otherwise = "the service credential mqtt-password, if there is one",
     .help = "file whose first line is the password; mode 0600"},
    {.name = "ca_file", .type = DAVY_OPTION_TEXT, AT(davy_raw_mqtt, mqtt.ca_file), .max = 1023,
     .otherwise = "the machine's", .help = "certificates that may vouch for the broker"},
    {.name = "cert_file", .type = DAVY_OPTION_TEXT, AT(davy_raw_mqtt, mqtt.cert_file), .max = 1023,
     .otherwise = "none", .help = "certificate of this gateway; needs `key_file`; used anew when it changes on disk"},
    {.name = "key_file", .type = DAVY_OPTION_TEXT, AT(davy_raw_mqtt, mqtt.key_file), .max = 1023, .otherwise = "none",
     .help = "its key; mode 0600"},
    {.name = "prefix", .type = DAVY_OPTION_TEXT, AT(davy_raw_mqtt, mqtt.prefix), .max = 128, .fallback = "davy/v1",
     .help = "what all topics start with; no wildcards"},
    {.name = "keepalive", .type = DAVY_OPTION_SPAN, AT(davy_raw_mqtt, mqtt.keepalive), .min = 5, .max = HOUR,
     .fallback = "15s", .help = "the longest silence towards the broker; whole seconds"},
    {.name = "telemetry", .type = DAVY_OPTION_ENUM, AT(davy_raw_mqtt, mqtt.telemetry), .names = telemetries,
     .allowed = "\"off\", \"changes\", \"all\"", .fallback = "changes",
     .help = "which readings are sent: none, those that moved by `report_deadband`, all"},
    {.name = "telemetry_interval", .type = DAVY_OPTION_SPAN, AT(davy_raw_mqtt, mqtt.telemetry_interval), .min = 0.1,
     .max = DAY, .fallback = "10s", .help = "readings are batched this long"},
    {.name = "telemetry_batch", .type = DAVY_OPTION_ENUM, AT(davy_raw_mqtt, batch), .names = batches,
     .allowed = "\"device\", \"gateway\"", .fallback = "device", .help = "one message per device, or for all"},
    {.name = "commands", .type = DAVY_OPTION_LIST, AT(davy_raw_mqtt, commands), .otherwise = "none",
     .allowed = "\"confirm\", \"snapshot\", \"resend\", \"ack\"", .help = "verbs taken over MQTT, at the topic cmd/VERB; `ack` needs a fresh time and a new nonce"},
    {.name = "delivery", .type = DAVY_OPTION_ENUM, AT(davy_raw_mqtt, delivery), .names = deliveries,
     .allowed = "\"broker\", \"platform\"", .fallback = "broker",
     .help = "an event counts as delivered when the broker has it, or when the platform confirmed it (cmd/confirm)"},
    {.name = "confirm_within", .type = DAVY_OPTION_SPAN, AT(davy_raw_mqtt, mqtt.confirm_within), .min = 1, .max = DAY,
     .fallback = "60s",
     .help = "what the platform has not confirmed this long after the broker's acknowledgement is sent again, and alarmed"},
};

static const struct davy_option storage_options[] = {
    {.name = "directory", .type = DAVY_OPTION_TEXT, AT(davy_storage, directory), .max = 1023,
     .scope = DAVY_SCOPE_RESTART, .otherwise = "$STATE_DIRECTORY, else /var/lib/davy",
     .help = "folder of the databases"},
    {.name = "retention", .type = DAVY_OPTION_SPAN, AT(davy_storage, retention), .min = HOUR, .max = 50 * YEAR,
     .fallback = "90d",
     .help = "of readings; minutes of them are kept 10 times as long, hours as long as `event_retention`"},
    {.name = "max_size", .type = DAVY_OPTION_SIZE, AT(davy_storage, max_size_bytes), .min = 0x1p24, .max = BYTES_MAX,
     .fallback = "2GiB", .help = "of readings, minutes, hours and telemetry, whichever comes first"},
    {.name = "event_retention", .type = DAVY_OPTION_SPAN, AT(davy_storage, event_retention), .min = DAY,
     .max = 50 * YEAR, .fallback = "1095d", .help = "of the ledger of events and operator actions"},
    {.name = "commit_interval", .type = DAVY_OPTION_SPAN, AT(davy_storage, commit_interval), .min = 0.01,
     .max = MINUTE, .fallback = "1s", .help = "of readings; an event is committed at once"},
    {.name = "announce_within", .type = DAVY_OPTION_SPAN, AT(davy_storage, announce_within), .min = 0.01,
     .max = MINUTE, .fallback = "500ms", .help = "an event that is not stored by then is announced before it is"},
};

static const char *const parities[] = {"none", "even", "odd", NULL};

static const struct davy_option bus_options[] = {
    {.name = "name", .type = DAVY_OPTION_ID, AT(davy_raw_bus, bus.name), .required = true,
     .help = "id, unique among buses and devices"},
    {.name = "type", .type = DAVY_OPTION_ENUM, AT(davy_raw_bus, bus.type), .required = true,
     .find = davy_bus_type_find, .allowed = "\"rtu\", \"tcp\", \"rtu-over-tcp\"", .help = "how it is reached"},
    {.name = "device", .type = DAVY_OPTION_TEXT, AT(davy_raw_bus, bus.device), .max = 1023,
     .help = "path of the serial port, best one below /dev/serial/by-id; required for rtu"},
    {.name = "baud", .type = DAVY_OPTION_INT, AT(davy_raw_bus, bus.baud), .min = 110, .max = 4000000,
     .fallback = "9600", .unit = "bit/s", .help = "a rate that Linux knows; not for tcp"},
    {.name = "parity", .type = DAVY_OPTION_ENUM, AT(davy_raw_bus, parity), .names = parities,
     .allowed = "\"none\", \"even\", \"odd\"", .fallback = "none", .help = "not for tcp"},
    {.name = "data_bits", .type = DAVY_OPTION_INT, AT(davy_raw_bus, bus.data_bits), .min = 7, .max = 8,
     .fallback = "8", .help = "RTU needs 8; not for tcp"},
    {.name = "stop_bits", .type = DAVY_OPTION_INT, AT(davy_raw_bus, bus.stop_bits), .min = 1, .max = 2,
     .fallback = "1", .help = "not for tcp"},
    {.name = "host", .type = DAVY_OPTION_TEXT, AT(davy_raw_bus, bus.host), .max = 253,
     .help = "name or address; required for tcp and rtu-over-tcp"},
    {.name = "port", .type = DAVY_OPTION_INT, AT(davy_raw_bus, bus.port), .min = 1, .max = 65535, .fallback = "502",
     .help = "required for rtu-over-tcp"},
    {.name = "connections", .type = DAVY_OPTION_INT, AT(davy_raw_bus, bus.connections), .min = 1, .max = 16,
     .fallback = "1", .help = "parallel connections, each for a share of the devices; of all buses together at most 300; tcp only"},
    {.name = "timeout", .type = DAVY_OPTION_SPAN, AT(davy_raw_bus, bus.timeout), .min = 0.01, .max = MINUTE,
     .otherwise = "300ms for rtu, else 1s", .help = "when we stop waiting for a reply"},
    {.name = "retries", .type = DAVY_OPTION_INT, AT(davy_raw_bus, bus.retries), .min = 0, .max = 10, .fallback = "1",
     .help = "of a request without a reply"},
    {.name = "pause", .type = DAVY_OPTION_SPAN, AT(davy_raw_bus, bus.pause), .min = 0, .max = 10, .fallback = "0ms",
     .help = "added silence between requests"},
    {.name = "fault_delay", .type = DAVY_OPTION_SPAN, AT(davy_raw_bus, bus.fault_delay), .min = 0, .max = HOUR,
     .fallback = "10s", .help = "how long there must be no answer, or only bad readings, before the alarm `fault`"},
    {.name = "rs485", .type = DAVY_OPTION_BOOL, AT(davy_raw_bus, bus.rs485), .fallback = "false",
     .help = "the driver switches RTS; rtu only"},
    {.name = "rts_delay", .type = DAVY_OPTION_SPAN, AT(davy_raw_bus, bus.rts_delay), .min = 0, .max = 1,
     .fallback = "0ms", .help = "before and after a frame; with `rs485` only"},
    {.name = "echo", .type = DAVY_OPTION_BOOL, AT(davy_raw_bus, bus.echo), .fallback = "false",
     .help = "the adapter returns what it sends; rtu only"},
};

static const struct davy_option zone_options[] = {
    {.name = "id", .type = DAVY_OPTION_ID, AT(davy_zone, id), .required = true, .help = "id of the zone"},
    {.name = "name", .type = DAVY_OPTION_TEXT, AT(davy_zone, name), .otherwise = "the id", .help = "for people"},
    {.name = "owner", .type = DAVY_OPTION_TEXT, AT(davy_zone, owner), .otherwise = "none",
     .help = "who answers for it"},
    {.name = "risk", .type = DAVY_OPTION_ENUM, AT(davy_zone, risk), .find = davy_level_find, .allowed = LEVELS,
     .otherwise = "not assessed", .help = "the assessed base colour"},
    {.name = "row", .type = DAVY_OPTION_INT, AT(davy_zone, row), .min = 0, .max = 255, .fallback = "-1",
     .otherwise = "not on the map", .help = "cell on the map; with `column`"},
    {.name = "column", .type = DAVY_OPTION_INT, AT(davy_zone, column), .min = 0, .max = 255, .fallback = "-1",
     .otherwise = "not on the map", .help = "cell on the map; with `row`"},
};

#define MAX_GAP_HELP       "unneeded registers that may be read to join two points in one request"
#define MAX_REGISTERS_HELP "registers in one request at most"

static const struct davy_option profile_options[] = {
    {.name = "name", .type = DAVY_OPTION_ID, AT(davy_raw_profile, name), .required = true,
     .help = "as `profile` of a device; that of the file without .conf"},
    {.name = "description", .type = DAVY_OPTION_TEXT, AT(davy_raw_profile, description), .max = 1023,
     .otherwise = "none", .help = "which device it is for"},
    {.name = "source", .type = DAVY_OPTION_TEXT, AT(davy_raw_profile, source), .max = 1023, .otherwise = "none",
     .help = "the document that the register map comes from"},
    {.name = "notes", .type = DAVY_OPTION_TEXT, AT(davy_raw_profile, notes), .max = 2047, .otherwise = "none",
     .help = "what is unproven, what to set on the device"},
    {.name = "verified", .type = DAVY_OPTION_BOOL, AT(davy_raw_profile, verified), .fallback = "false",
     .help = "whether the map was proven on a device"},
    {.name = "interval", .type = DAVY_OPTION_SPAN, AT(davy_raw_profile, interval), .min = 0.01, .max = DAY,
     .otherwise = "1s", .help = "of a device that gives none"},
    {.name = "max_reply", .type = DAVY_OPTION_SPAN, AT(davy_raw_profile, max_reply), .min = 0.01, .max = MINUTE,
     .otherwise = "the longer of 1s and the timeout of the bus", .help = "of a device that gives none"},
    {.name = "settle", .type = DAVY_OPTION_INT, AT(davy_raw_profile, settle), .min = 0, .max = 1000, .fallback = "-1",
     .otherwise = "2", .help = "of a device that gives none"},
    {.name = "max_gap", .type = DAVY_OPTION_INT, AT(davy_raw_profile, max_gap), .min = 0, .max = 124, .fallback = "0",
     .help = MAX_GAP_HELP},
    {.name = "max_registers", .type = DAVY_OPTION_INT, AT(davy_raw_profile, max_registers), .min = 1, .max = 125,
     .fallback = "125", .help = MAX_REGISTERS_HELP},
    {.name = "points", .type = DAVY_OPTION_LIST, AT(davy_raw_profile, points), .required = true,
     .help = "what is measured"},
    {.name = "status", .type = DAVY_OPTION_LIST, AT(davy_raw_profile, status), .otherwise = "none",
     .help = "status words of the device"},
};

static const struct davy_option device_options[] = {
    {.name = "id", .type = DAVY_OPTION_ID, AT(davy_raw_device, device.id), .required = true,
     .help = "id, unique among buses and devices"},
    {.name = "name", .type = DAVY_OPTION_TEXT, AT(davy_raw_device, device.name), .otherwise = "the id",
     .help = "for people"},
    {.name = "zone", .type = DAVY_OPTION_ID, AT(davy_raw_device, zone), .otherwise = "none", .help = "id of a zone"},
    {.name = "bus", .type = DAVY_OPTION_ID, AT(davy_raw_device, bus), .required = true, .help = "name of a bus"},
    {.name = "unit", .type = DAVY_OPTION_INT, AT(davy_raw_device, unit), .min = 0, .max = 255, .required = true,
     .help = "Modbus address: 1 to 247, on tcp 0 to 255"},
    {.name = "profile", .type = DAVY_OPTION_ID, AT(davy_raw_device, device.profile),
     .help = "its register map; this, `points` or both"},
    {.name = "points", .type = DAVY_OPTION_LIST, AT(davy_raw_device, points),
     .help = "what is measured; a point replaces the profile's of the same name"},
    {.name = "status", .type = DAVY_OPTION_LIST, AT(davy_raw_device, status), .otherwise = "the profile's",
     .help = "status words, valid for all points"},
    {.name = "interval", .type = DAVY_OPTION_SPAN, AT(davy_raw_device, device.interval), .min = 0.01, .max = DAY,
     .otherwise = "the profile's, else 1s", .help = "how often it is read"},
    {.name = "alarm_interval", .type = DAVY_OPTION_SPAN, AT(davy_raw_device, device.alarm_interval), .min = 0.01,
     .max = DAY, .otherwise = "`interval`", .help = "how often it is read while one of its points is in alarm"},
    {.name = "max_reply", .type = DAVY_OPTION_SPAN, AT(davy_raw_device, device.max_reply), .min = 0.01, .max = MINUTE,
     .otherwise = "the profile's, else the longer of 1s and the timeout of the bus",
     .help = "the longest that it may take to answer, however late; after an error on a serial line nothing is "
     "sent before that time is over"},
    {.name = "settle", .type = DAVY_OPTION_INT, AT(davy_raw_device, device.settle), .min = 0, .max = 1000,
     .fallback = "-1", .otherwise = "the profile's, else 2", .help = "so many readings after a bad one are uncertain"},
    {.name = "inhibit_max", .type = DAVY_OPTION_SPAN, AT(davy_raw_device, device.inhibit_max), .min = 1,
     .max = 8 * HOUR, .fallback = "30min",
     .help = "warm-up or calibration by status bits that lasts longer is a device fault"},
    {.name = "max_gap", .type = DAVY_OPTION_INT, AT(davy_raw_device, device.max_gap), .min = 0, .max = 124,
     .fallback = "-1", .otherwise = "the profile's, else 0", .help = MAX_GAP_HELP},
    {.name = "max_registers", .type = DAVY_OPTION_INT, AT(davy_raw_device, device.max_registers), .min = 1, .max = 125,
     .fallback = "-1", .otherwise = "the profile's, else 125", .help = MAX_REGISTERS_HELP},
    {.name = "enabled", .type = DAVY_OPTION_BOOL, AT(davy_raw_device, device.enabled), .fallback = "true",
     .help = "false: it is not polled"},
    {.name = "calibration_due", .type = DAVY_OPTION_DATE, AT(davy_raw_device, device.calibration_due),
     .otherwise = "none", .help = "day on which the alarm `calibration` comes, at 00:00 UTC"},
    {.name = "owner", .type = DAVY_OPTION_TEXT, AT(davy_raw_device, device.owner), .otherwise = "the zone's",
     .help = "who answers for it"},
};

static const char *const over_ranges[] = {"follow", "latch", NULL};

#define REGISTER_HELP                                                                                                  \
    "zero-based address, 0 to 65535, or a Modicon number in quotes, \"40001\", \"400001\", \"30001\", \"10001\" or "   \
    "\"00001\", which is one-based and sets `table` too"

static const struct davy_option point_options[] = {
    {.name = "name", .type = DAVY_OPTION_ID, AT(davy_raw_point, name), .required = true,
     .help = "unique within the device, without a dot"},
    {.name = "kind", .type = DAVY_OPTION_ENUM, AT(davy_raw_point, kind), .find = davy_kind_find,
     .allowed = "\"gas\", \"vibration\", \"temperature\", \"state\", \"other\"", .fallback = "other",
     .help = "what it is"},
    {.name = "quantity", .type = DAVY_OPTION_TEXT, AT(davy_raw_point, quantity), .max = 64, .otherwise = "none",
     .help = "what is measured; of a gas its formula or name"},
    {.name = "unit", .type = DAVY_OPTION_TEXT, AT(davy_raw_point, unit), .max = 16, .fallback = "1",
     .help = "of the value: ppm mg/m3 %LEL %vol mm/s m/s2 g um degC 1 ..."},
    {.name = "zone", .type = DAVY_OPTION_ID, AT(davy_raw_point, zone), .otherwise = "the device's",
     .help = "id of a zone"},
    {.name = "table", .type = DAVY_OPTION_ENUM, AT(davy_raw_point, table), .find = davy_table_find, .allowed = TABLES,
     .fallback = "holding", .help = "Modbus table"},
    {.name = "register", .type = DAVY_OPTION_SETTING, AT(davy_raw_point, reg), .required = true,
     .help = REGISTER_HELP},
    {.name = "type", .type = DAVY_OPTION_ENUM, AT(davy_raw_point, type), .required = true, .find = davy_type_find,
     .allowed = "\"bool\", \"int16\", \"uint16\", \"int32\", \"uint32\", \"int64\", \"uint64\", \"float32\", "
     "\"float64\"", .help = "of the raw value"},
    {.name = "bit", .type = DAVY_OPTION_INT, AT(davy_raw_point, bit), .min = 0, .max = 63, .otherwise = "none",
     .fallback = "-1", .help = "one bit of the raw value, 0 is the lowest"},
    {.name = "mask", .type = DAVY_OPTION_SETTING, AT(davy_raw_point, mask), .otherwise = "none",
     .help = "part of the raw value: (raw & mask) >> shift, unsigned"},
    {.name = "shift", .type = DAVY_OPTION_INT, AT(davy_raw_point, shift), .min = 0, .max = 63, .fallback = "0",
     .help = "with `mask`"},
    {.name = "order", .type = DAVY_OPTION_ENUM, AT(davy_raw_point, order), .find = davy_order_find,
     .allowed = "\"ABCD\", \"CDAB\", \"BADC\", \"DCBA\" (64 bits also \"ABCDEFGH\", \"GHEFCDAB\", \"BADCFEHG\", "
     "\"HGFEDCBA\")", .fallback = "ABCD", .help = "of the bytes: as sent, words swapped, bytes swapped, both"},
    {.name = "scale", .type = DAVY_OPTION_REAL, AT(davy_raw_point, scale), .fallback = "1",
     .help = "value = raw x scale + offset; a scale of 1/n divides by n; never 0"},
    {.name = "offset", .type = DAVY_OPTION_REAL, AT(davy_raw_point, offset), .fallback = "0",
     .help = "added after scaling"},
    {.name = "range", .type = DAVY_OPTION_LIST, AT(davy_raw_point, range), .otherwise = "none",
     .help = "[low, high]: the measuring range, in `unit`"},
    {.name = "over_range", .type = DAVY_OPTION_ENUM, AT(davy_raw_point, over_range), .names = over_ranges,
     .allowed = "\"follow\", \"latch\"", .fallback = "follow",
     .help = "latch: once over, over-range until `reset DEVICE.POINT` (catalytic sensors)"},
    {.name = "bad_values", .type = DAVY_OPTION_LIST, AT(davy_raw_point, bad_values), .otherwise = "none",
     .help = "raw values that mean no measurement, as the number or (in hexadecimal) as its bits"},
    {.name = "status", .type = DAVY_OPTION_LIST, AT(davy_raw_point, status), .otherwise = "none",
     .help = "status words of this point"},
    {.name = "interval", .type = DAVY_OPTION_SPAN, AT(davy_raw_point, interval), .min = 0.01, .max = DAY,
     .otherwise = "the device's", .help = "how often it is read"},
    {.name = "max_rate", .type = DAVY_OPTION_REAL, AT(davy_raw_point, max_rate), .min = 0, .max = 1e300,
     .fallback = "0", .otherwise = "any",
     .help = "the fastest change that is possible, in `unit` a second: readings behind a faster one are uncertain as after a "
     "bad one, they raise but do not clear"},
    {.name = "report_deadband", .type = DAVY_OPTION_REAL, AT(davy_raw_point, report_deadband), .min = 0, .max = 1e300,
     .fallback = "-1", .otherwise = "0.5 % of the range, else 0",
     .help = "change that is worth a telemetry message, in `unit`"},
    {.name = "max_age", .type = DAVY_OPTION_SPAN, AT(davy_raw_point, max_age), .min = 0.01, .max = 7 * DAY,
     .otherwise = "the longer of 3 x interval and 5s", .help = "older than this is stale"},
};

static const struct davy_option status_options[] = {
    {.name = "table", .type = DAVY_OPTION_ENUM, AT(davy_raw_status, table), .find = davy_table_find, .allowed = TABLES,
     .fallback = "holding", .help = "Modbus table"},
    {.name = "register", .type = DAVY_OPTION_SETTING, AT(davy_raw_status, reg), .required = true,
     .help = REGISTER_HELP},
    {.name = "mask", .type = DAVY_OPTION_INT, AT(davy_raw_status, mask), .min = 1, .max = 65535, .fallback = "65535",
     .help = "the bits that count"},
    {.name = "value", .type = DAVY_OPTION_INT, AT(davy_raw_status, value), .min = 0, .max = 65535, .fallback = "-1",
     .otherwise = "anything but 0", .help = "holds when (raw & mask) is this"},
    {.name = "means", .type = DAVY_OPTION_ENUM, AT(davy_raw_status, means), .required = true, .find = davy_means_find,
     .allowed = "\"fault\", \"warm-up\", \"calibration\", \"over-range\", \"maintenance\"",
     .help = "what it says about the readings"},
};

static const char *const on_faults[] = {"hold", "trip", NULL};
static const char *const on_bads[] = {"degrade", "trip", "abstain", NULL};

/* Keys of a rule that a limit overrides; `raw` is the struct that has them as its first member `behaviour`. */
#define BEHAVIOUR(raw)                                                                                                 \
    {.name = "deadband", .type = DAVY_OPTION_REAL, AT(raw, behaviour.deadband), .min = 0, .max = 1e300,                \
     .otherwise = "0", .help = "how far a value must return beyond the limit"},                                        \
    {.name = "on_delay", .type = DAVY_OPTION_SPAN, AT(raw, behaviour.on_delay), .min = 0, .max = 30 * DAY,             \
     .otherwise = "0s", .help = "how long the condition must hold before the limit trips"},                            \
    {.name = "off_delay", .type = DAVY_OPTION_SPAN, AT(raw, behaviour.off_delay), .min = 0, .max = 30 * DAY,           \
     .otherwise = "0s", .help = "how long it must be gone before the limit returns"},                                  \
    {.name = "latch", .type = DAVY_OPTION_BOOL, AT(raw, behaviour.latch), .otherwise = "false",                        \
     .help = "stays until `reset`"},                                                                                   \
    {.name = "acknowledge", .type = DAVY_OPTION_BOOL, AT(raw, behaviour.acknowledge), .otherwise = "true",             \
     .help = "whether somebody must take it"},                                                                         \
    {.name = "on_fault", .type = DAVY_OPTION_ENUM, AT(raw, behaviour.on_fault), .names = on_faults,                    \
     .allowed = "\"hold\", \"trip\"", .otherwise = "\"hold\"",                                                         \
     .help = "trip: a bad reading counts as one on the trip side"},                                                    \
    {.name = "owner", .type = DAVY_OPTION_TEXT, AT(raw, behaviour.owner),                                              \
     .otherwise = "the device's, else the zone's", .help = "who is to act"},                                           \
    {.name = "message", .type = DAVY_OPTION_TEXT, AT(raw, behaviour.message), .otherwise = "made from the facts",      \
     .help = "what to do, for people"},                                                                                \
    {.name = "shelvable", .type = DAVY_OPTION_BOOL, AT(raw, behaviour.shelvable), .otherwise = "true, of red false",   \
     .help = "whether it may be shelved; it may be taken out of service in any case"},                                 \
    {.name = "source", .type = DAVY_OPTION_TEXT, AT(raw, behaviour.source), .max = 1023, .otherwise = "none",          \
     .help = "the document that the number comes from"}

static const struct davy_option rule_options[] = {
    {.name = "name", .type = DAVY_OPTION_ID, AT(davy_raw_rule, name), .required = true,
     .help = "unique, and not that of a built-in alarm"},
    {.name = "points", .type = DAVY_OPTION_LIST, AT(davy_raw_rule, points), .required = true,
     .help = "globs over DEVICE.POINT, matched apart before and after the last dot"},
    {.name = "blue", .type = DAVY_OPTION_GROUP, AT(davy_raw_rule, limits[DAVY_LEVEL_BLUE]),
     .help = "a limit of low risk; a rule has one to four limits"},
    {.name = "yellow", .type = DAVY_OPTION_GROUP, AT(davy_raw_rule, limits[DAVY_LEVEL_YELLOW]),
     .help = "a limit of general risk"},
    {.name = "orange", .type = DAVY_OPTION_GROUP, AT(davy_raw_rule, limits[DAVY_LEVEL_ORANGE]),
     .help = "a limit of larger risk"},
    {.name = "red", .type = DAVY_OPTION_GROUP, AT(davy_raw_rule, limits[DAVY_LEVEL_RED]),
     .help = "a limit of major risk"},
    {.name = "unit", .type = DAVY_OPTION_TEXT, AT(davy_raw_rule, unit), .max = 16, .otherwise = "the point's",
     .help = "of the rule's numbers, which are converted to that of each point"},
    {.name = "measure", .type = DAVY_OPTION_GROUP, AT(davy_raw_rule, measure), .otherwise = "the value itself",
     .help = "what is compared with the limits"},
    {.name = "preset", .type = DAVY_OPTION_TEXT, AT(davy_raw_rule, preset), .max = 128,
     .otherwise = "none", .help = "FAMILY/NAME: limits, deadband, delays and latching from a table"},
    {.name = "baseline", .type = DAVY_OPTION_REAL, AT(davy_raw_rule, baseline), .min = 0, .max = 1e6,
     .otherwise = "none", .help = "usual value of the machine: the orange limit of a preset of ISO 10816 follows it"},
    {.name = "when", .type = DAVY_OPTION_GROUP, AT(davy_raw_rule, when), .otherwise = "always",
     .help = "the rule applies only while this is true"},
    {.name = "vote", .type = DAVY_OPTION_INT, AT(davy_raw_rule, vote), .min = 1, .max = 1000,
     .fallback = "0", .otherwise = "none",
     .help = "so many of the points, of one zone and one unit, must agree; one alarm for all"},
    {.name = "on_bad", .type = DAVY_OPTION_ENUM, AT(davy_raw_rule, on_bad), .names = on_bads,
     .allowed = "\"degrade\", \"trip\", \"abstain\"", .fallback = "degrade",
     .help = "what a bad member without a vote is: degrade, one vote less is needed; trip, a vote; abstain, nothing"},
    {.name = "escalate", .type = DAVY_OPTION_LIST, AT(davy_raw_rule, escalate), .otherwise = "none",
     .help = "who is told when nothing happens: up to 16 steps, ascending by `after`"},
    BEHAVIOUR(davy_raw_rule),
};

static const struct davy_option limit_options[] = {
    {.name = "above", .type = DAVY_OPTION_REAL, AT(davy_raw_limit, above),
     .help = "trips at this value and over it; exactly one of above, below, outside, equals"},
    {.name = "below", .type = DAVY_OPTION_REAL, AT(davy_raw_limit, below), .help = "trips at this value and under it"},
    {.name = "outside", .type = DAVY_OPTION_LIST, AT(davy_raw_limit, outside),
     .help = "[low, high]: trips at or below the first, at or above the second"},
    {.name = "equals", .type = DAVY_OPTION_SETTING, AT(davy_raw_limit, equals),
     .help = "true, false or a number; for points of kind state and whole numbers"},
    BEHAVIOUR(davy_raw_limit),
};

static const struct davy_option measure_options[] = {
    {.name = "type", .type = DAVY_OPTION_ENUM, AT(davy_raw_measure, type), .required = true, .find = davy_measure_find,
     .allowed = "\"value\", \"mean\", \"min\", \"max\", \"stddev\", \"rms\", \"rate\", \"forecast\", \"stel\", "
     "\"twa\", \"deviation\", \"stuck\", \"difference\", \"occurrences\"", .help = "what is made of the readings"},
    {.name = "window", .type = DAVY_OPTION_SPAN, AT(davy_raw_measure, window), .min = 0.1, .max = 400 * DAY,
     .help = "how far back it looks; of stel always 15min, of twa 8h"},
    {.name = "coverage", .type = DAVY_OPTION_REAL, AT(davy_raw_measure, coverage), .min = 0.01, .max = 1,
     .fallback = "0.75", .help = "the part of the window that must be covered; mean, rms, stddev"},
    {.name = "per", .type = DAVY_OPTION_SPAN, AT(davy_raw_measure, per), .min = 0.001, .max = 400 * DAY,
     .fallback = "1min", .help = "the unit of time of a rate"},
    {.name = "horizon", .type = DAVY_OPTION_SPAN, AT(davy_raw_measure, horizon), .min = 0.1, .max = 400 * DAY,
     .help = "how far ahead a forecast looks"},
    {.name = "guard", .type = DAVY_OPTION_SPAN, AT(davy_raw_measure, guard), .min = 0, .max = 400 * DAY,
     .otherwise = "a tenth of the window", .help = "the newest part that a deviation leaves out"},
    {.name = "epsilon", .type = DAVY_OPTION_REAL, AT(davy_raw_measure, epsilon), .min = 0, .max = 1e300,
     .fallback = "0", .help = "a move by more than this counts; stuck"},
    {.name = "other", .type = DAVY_OPTION_TEXT, AT(davy_raw_measure, other),
     .help = "point of the same unit that a difference subtracts; without a dot one of the same device"},
    {.name = "rule", .type = DAVY_OPTION_ID, AT(davy_raw_measure, rule),
     .help = "an earlier rule without `vote`, over the same points, whose occurrences are counted"},
    {.name = "days", .type = DAVY_OPTION_BOOL, AT(davy_raw_measure, days), .fallback = "false",
     .help = "count calendar days in a row with an occurrence"},
};

static const struct davy_option when_options[] = {
    {.name = "point", .type = DAVY_OPTION_TEXT, AT(davy_raw_when, point), .required = true,
     .help = "DEVICE.POINT; without a dot one of the same device, of a vote only where that is one"},
    {.name = "equals", .type = DAVY_OPTION_SETTING, AT(davy_raw_when, equals),
     .help = "true, false or a number; exactly one of equals, above, below"},
    {.name = "above", .type = DAVY_OPTION_REAL, AT(davy_raw_when, above), .help = "true at this value and over it"},
    {.name = "below", .type = DAVY_OPTION_REAL, AT(davy_raw_when, below), .help = "true at this value and under it"},
    {.name = "for", .type = DAVY_OPTION_SPAN, AT(davy_raw_when, hold), .min = 0, .max = 30 * DAY, .otherwise = "0s",
     .help = "how long the answer must hold, either way"},
};

static const char *const unlesses[] = {"acknowledged", "cleared", NULL};

static const struct davy_option step_options[] = {
    {.name = "after", .type = DAVY_OPTION_SPAN, AT(davy_raw_step, after), .min = 0, .max = 400 * DAY, .required = true,
     .help = "from the first raise"},
    {.name = "unless", .type = DAVY_OPTION_ENUM, AT(davy_raw_step, unless), .names = unlesses, .required = true,
     .allowed = "\"acknowledged\", \"cleared\"", .help = "what makes the step needless"},
    {.name = "owner", .type = DAVY_OPTION_TEXT, AT(davy_raw_step, owner), .otherwise = "none", .help = "who is told"},
    {.name = "level", .type = DAVY_OPTION_ENUM, AT(davy_raw_step, level), .find = davy_level_find, .allowed = LEVELS,
     .otherwise = "as it is", .help = "the least that the alarm has from then on"},
};

/* clang-format on */

#define GROUP(noun, called, path, reload)                                                                              \
    const struct davy_group davy_schema_##noun = {.name = called,                                                      \
                                                  .where = path,                                                       \
                                                  .scope = reload,                                                     \
                                                  .options = noun##_options,                                           \
                                                  .count = DAVY_LENGTH(noun##_options)}

GROUP(root, "configuration", "", DAVY_SCOPE_AT_ONCE);
GROUP(gateway, "gateway", "gateway", DAVY_SCOPE_RESTART);
GROUP(mqtt, "mqtt group", "mqtt", DAVY_SCOPE_MQTT);
GROUP(storage, "storage group", "storage", DAVY_SCOPE_AT_ONCE);
GROUP(bus, "bus", "buses[]", DAVY_SCOPE_BUS);
GROUP(zone, "zone", "zones[]", DAVY_SCOPE_AT_ONCE);
GROUP(profile, "profile", "profiles[]", DAVY_SCOPE_AT_ONCE);
GROUP(device, "device", "devices[]", DAVY_SCOPE_AT_ONCE);
GROUP(point, "point", "devices[].points[]", DAVY_SCOPE_AT_ONCE);
GROUP(status, "status word", "devices[].status[]", DAVY_SCOPE_AT_ONCE);
GROUP(rule, "rule", "rules[]", DAVY_SCOPE_AT_ONCE);
GROUP(limit, "limit", "rules[].LEVEL", DAVY_SCOPE_AT_ONCE);
GROUP(measure, "measure", "rules[].measure", DAVY_SCOPE_AT_ONCE);
GROUP(when, "condition", "rules[].when", DAVY_SCOPE_AT_ONCE);
GROUP(step, "step of an escalation", "rules[].escalate[]", DAVY_SCOPE_AT_ONCE);

const struct davy_group *const davy_schema[] = {
    &davy_schema_root,    &davy_schema_gateway, &davy_schema_mqtt,    &davy_schema_storage,
    &davy_schema_bus,     &davy_schema_zone,    &davy_schema_profile, &davy_schema_device,
    &davy_schema_point,   &davy_schema_status,  &davy_schema_rule,    &davy_schema_limit,
    &davy_schema_measure, &davy_schema_when,    &davy_schema_step,    NULL,
};
