/* SPDX-License-Identifier: Apache-2.0 */
/* Names of MQTT 5 reason codes (OASIS MQTT 5.0, 2.4). Pure. Thread: any. */
#pragma once

#include <stdint.h>

/* Those that we act on. */
#define DAVY_REASON_NOBODY_SUBSCRIBED    0x10
#define DAVY_REASON_FAILURE              0x80 /* and above: a failure */
#define DAVY_REASON_TAKEN_OVER           0x8E
#define DAVY_REASON_PACKET_TOO_LARGE     0x95
#define DAVY_REASON_RETAIN_NOT_SUPPORTED 0x9A
#define DAVY_REASON_QOS_NOT_SUPPORTED    0x9B

/* "not authorized" for 0x87; "unknown reason" for what the standard does not name. Constant text. */
const char *davy_reason_code_name(uint8_t code);
