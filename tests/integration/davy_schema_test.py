#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The schemas accept payloads of each kind and refuse each mutation of them."""
import copy
import json
import sys

from davy_schema import validate

ID = "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11"
BOOT = "5e2f7f1c-1f53-4c6b-8a57-0e3b1c0d9a42"
HASH = "sha256:" + "0123456789abcdef" * 4
TIME = "2026-11-23T08:01:02.345Z"
ALARM = {
    "schema": "davy.alarm/1", "seq": 1842, "id": ID, "count": 1, "event": "raised", "state": "unacknowledged",
    "previous_state": "normal", "level": "red", "previous_level": None, "active": True, "acknowledged": False,
    "latched": False, "uncertain": False, "durable": True, "replayed": False, "time": TIME, "raised_at": TIME,
    "boot_id": BOOT, "clock": "synchronized", "site": "north-plant", "gateway": "edge-07", "zone": "A1",
    "zone_name": "罐区一", "owner": "zhang.wei", "device": "GT-101", "device_name": "Tank farm H2S", "point": "h2s",
    "rule": "h2s", "kind": "gas", "quantity": "H2S", "measure": "value", "value": 15.2, "limit": 14.0,
    "condition": "above", "unit": "ppm", "quality": "good", "reason": None, "members": None, "step": None,
    "first_out": True, "by": None, "note": None, "message": "Tank farm H2S: H2S 15.2 ppm ≥ 14 ppm", "config": HASH,
    "latency_ms": {"decided": 0.2, "stored": 3.1},
}
BUILTIN = {
    "level": "yellow", "state": "acknowledged", "acknowledged": True, "limit": None, "measure": None,
    "first_out": False,
}
NOBODY = {
    "zone": None, "zone_name": None, "owner": None, "device_name": None, "point": None, "kind": None,
    "quantity": None, "unit": None, "value": None, "quality": None, "reason": None,
}
COVER = {
    "id": None, "event": "shelved", "state": "shelved", "level": None, "count": 0, "raised_at": None,
    "active": False, "limit": None, "condition": None, "first_out": False, "by": "local:li.na",
    "note": "calibration",
}
VOTE = {"device": None, "device_name": None, "point": None, "condition": "vote", "value": 2, "limit": 2,
        "members": [{"point": "GT-101.h2s", "value": 15.2, "vote": True, "quality": "good"},
                    {"point": "GT-102.h2s", "value": None, "vote": False, "quality": "bad"}]}
STATUS = {
    "schema": "davy.status/1", "state": "online", "since": TIME, "version": "0.1.0", "boot_id": BOOT, "config": HASH,
    "last_seq": 0, "outbox": {"events": 0, "telemetry": 3}, "confirmed_seq": None,
    "alarms": {"blue": 0, "yellow": 1, "orange": 0, "red": 0, "unacknowledged": 0, "shelved": 0, "out_of_service": 0},
    "points": {"good": 3, "uncertain": 0, "bad": 1},
    "buses": [{"name": "plc-1", "state": "up", "utilization": 0.2, "requests": 10, "errors": 0, "age_s": 0.4}],
    "storage": {"bytes": 4096, "free_bytes": 1000000, "ok": True}, "clock": "synchronized"}
WILL = {
    "state": "offline", "since": None, "config": HASH, "last_seq": None, "outbox": None, "alarms": None,
    "points": None, "buses": None, "storage": None, "clock": None,
}
ZONE = {
    "schema": "davy.zone/1", "zone": "A1", "name": "罐区一", "colour": "red", "previous_colour": "blue",
    "risk": "orange", "owner": "zhang.wei", "since": TIME, "cause": [ID],
}
CONFIG = {"schema": "davy.config/1", "hash": HASH, "loaded_at": TIME, "accepted": True, "errors": [],
          "changes": [{"path": "rules.h2s.red.above", "old": 14.0, "new": 12.0}]}
SNAPSHOT = {"schema": "davy.snapshot/1", "last_seq": 1842, "part": 1, "parts": 1, "alarms": [ALARM]}
READING = {"point": "h2s", "time": TIME, "value": 1.5, "quality": "good", "reason": None}
TELEMETRY = {"schema": "davy.telemetry/1", "device": "GT-101", "zone": "A1", "replayed": False, "readings": [READING]}
ACK = {
    "schema": "davy.command/1", "nonce": "n-1", "issued_at": TIME, "by": "zhang.wei", "id": ID, "level": "red",
    "note": None,
}
REPLY = {"schema": "davy.reply/1", "nonce": "n-1", "verb": "ack", "ok": True, "reason": None}


def having(payload, *changes, **more):
    result = copy.deepcopy(payload)
    for change in (*changes, more):
        result.update(change)
    return result


RIGHT = [
    ALARM, STATUS, ZONE, CONFIG, SNAPSHOT, TELEMETRY, ACK, REPLY, having(ALARM, seq=None, durable=False),
    having(ALARM, COVER), having(ALARM, VOTE), having(ALARM, clock="replay", boot_id=None, latency_ms=None),
    having(ALARM, event="acknowledged", state="acknowledged", acknowledged=True, first_out=False, previous_level="red",
           by="mqtt:zhang.wei", note=""),
    having(ALARM, event="overdue", step=1, first_out=False, previous_level="orange"),
    having(ALARM, event="cleared", state="returned", active=False, first_out=False, previous_level="red"),
    having(ALARM, event="latched", state="latched", active=False, latched=True, first_out=False, previous_level="red"),
    having(ALARM, quality="uncertain", reason="over-range", uncertain=True),
    having(ALARM, BUILTIN, rule="fault", condition="fault", quality="bad", reason="comm"),
    having(ALARM, BUILTIN, NOBODY, rule="fault", condition="fault", device="rs485-1"),
    having(ALARM, BUILTIN, NOBODY, rule="storage", condition="storage", device="gateway"),
    having(ALARM, BUILTIN, VOTE, rule="tank-2oo3.fault", condition="fault", limit=None, members=None),
    having(STATUS, WILL), having(CONFIG, accepted=False, errors=["thresholds.conf:3: rules"], changes=[]),
    having(ZONE, previous_colour=None, cause=[], risk=None, owner=None),
    having(TELEMETRY, device=None, zone=None, readings=[having(READING, point="GT-101.h2s")]),
    having(TELEMETRY, readings=[having(READING, value=None, quality="bad", reason="comm")]),
    {"schema": "davy.command/1", "seq": 7}, {"schema": "davy.command/1", "from": 1, "to": 9},
    {"schema": "davy.command/1"}, having(REPLY, ok=False, nonce=None, verb="silence", reason="unknown verb"),
]
WRONG = [
    having(ALARM, seq=None), having(ALARM, seq=0), having(ALARM, durable=False), having(ALARM, seq=1.5),
    having(ALARM, count=0), having(ALARM, event="risen"), having(ALARM, state="normal"),
    having(ALARM, state="acknowledged"), having(ALARM, level=None), having(ALARM, id=None),
    having(ALARM, id=ID.upper()), having(ALARM, id=BOOT), having(ALARM, active=False),
    having(ALARM, time="2026-11-23T08:01:02Z"), having(ALARM, time="2026-11-23T08:01:02.345+00:00"),
    having(ALARM, time="2026-02-30T08:01:02.345Z"), having(ALARM, raised_at=None), having(ALARM, boot_id=None),
    having(ALARM, clock="replay"), having(ALARM, value="15.2"), having(ALARM, limit=None),
    having(ALARM, condition="vote"), having(ALARM, condition=None), having(ALARM, members=[]),
    having(ALARM, VOTE, members=None), having(ALARM, VOTE, limit=1.5), having(ALARM, quality="bad"),
    having(ALARM, quality=None), having(ALARM, reason="comm"), having(ALARM, step=1),
    having(ALARM, event="overdue", first_out=False), having(ALARM, event="cleared", first_out=False),
    having(ALARM, event="escalated", first_out=False), having(ALARM, zone=None), having(ALARM, by="zhang.wei"),
    having(ALARM, config="sha256:…"), having(ALARM, boot_id="…"), having(ALARM, device=None),
    having(ALARM, point="a.b"), having(ALARM, latency_ms={"decided": 0.2}), having(ALARM, latency_ms=3),
    having(ALARM, extra=1), having(ALARM, message=""), having(ALARM, COVER, by=None),
    having(ALARM, COVER, level="red"), having(ALARM, schema="davy.alarm/2"),
    having(ALARM, BUILTIN, rule="fault", condition="fault", level="red"), having(ALARM, rule="fault"),
    having(ALARM, BUILTIN, NOBODY, rule="storage", condition="storage", device="rs485-1"),
    having(STATUS, state="idle"), having(STATUS, last_seq=None), having(STATUS, outbox={"events": 0}),
    having(STATUS, clock="replay"), having(STATUS, alarms=having(STATUS["alarms"], green=0)),
    having(STATUS, buses=[{}]), having(STATUS, since=None), having(ZONE, colour="green"),
    having(ZONE, cause=[ID, ID]), having(ZONE, cause=["x"]), having(ZONE, since=None),
    having(CONFIG, accepted=False), having(CONFIG, errors=["x"]),
    having(CONFIG, changes=[{"path": "a", "old": None, "new": None}]), having(CONFIG, hash=None),
    having(SNAPSHOT, part=0), having(SNAPSHOT, alarms=[having(ALARM, seq=0)]),
    having(SNAPSHOT, alarms=[having(ALARM, event="cleared", state="normal", active=False, acknowledged=True,
                                    first_out=False)]),
    having(TELEMETRY, readings=[]), having(TELEMETRY, device=None), having(TELEMETRY, zone=None),
    having(TELEMETRY, readings=[having(READING, point="GT-101.h2s")]),
    having(TELEMETRY, readings=[having(READING, value=None)]),
    having(TELEMETRY, readings=[having(READING, quality="bad", reason="comm")]),
    having(TELEMETRY, readings=[having(READING, quality="bad", reason=None, value=None)]),
    having(TELEMETRY, readings=[having(READING, reason="over-range")]), having(ACK, nonce=None),
    having(ACK, issued_at=None), having(ACK, level="green"), having(ACK, seq=1),
    {"schema": "davy.command/1", "from": 1}, {"schema": "davy.command/1", "seq": 0}, having(REPLY, reason="why"),
    having(REPLY, ok=False), having(REPLY, verb="silence"),
]


def texts():
    """Payloads that are wrong as text, and every payload with each of its keys left out."""
    yield from ("", "[]", "null", "{", '{"schema": 1}', json.dumps(ALARM).replace("15.2,", "NaN,", 1),
                json.dumps(ALARM).replace('"count": 1', '"count": 1, "count": 1'), b"\xff{}")
    for payload in (ALARM, STATUS, ZONE, CONFIG, SNAPSHOT, TELEMETRY, ACK, REPLY):
        yield from (json.dumps({key: payload[key] for key in payload if key != left}) for left in payload)
    yield from (json.dumps(payload) for payload in WRONG)


def main():
    passed = failed = 0
    for payload in RIGHT:
        errors = validate(json.dumps(payload, ensure_ascii=False).encode())
        passed, failed = passed + (not errors), failed + bool(errors)
        if errors:
            print("refused:", errors, json.dumps(payload)[:160])
    for text in texts():
        errors = validate(text)
        passed, failed = passed + bool(errors), failed + (not errors)
        if not errors:
            print("accepted:", text)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
