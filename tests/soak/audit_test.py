#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every check of audit.py passes on a sound ledger and its arrivals, and fails on one that was doctored.

usage: audit_test.py [FILL_DATABASES DAVYCTL]      with the programs also `davyctl verify` on a real ledger
"""
import contextlib
import hashlib
import json
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

import audit

SCHEMA = """
CREATE TABLE events (seq INTEGER PRIMARY KEY, time_us INTEGER, id, event, state, level, rule, zone, device, point, value,
  "limit", "by", note, payload, hash, sent_us);
CREATE TABLE actions (seq INTEGER PRIMARY KEY, payload, hash);
CREATE TABLE chain (name TEXT PRIMARY KEY, seq INTEGER, hash BLOB);
CREATE TABLE outbox (row INTEGER PRIMARY KEY);
CREATE TABLE confirmed (one INTEGER PRIMARY KEY, seq INTEGER);
INSERT INTO confirmed VALUES (1, 0);
INSERT INTO chain VALUES ('event', 0, zeroblob(32)), ('action', 0, zeroblob(32));
"""
EVENT = {
    "schema": "davy.alarm/1", "seq": 1, "id": "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11", "count": 1, "event": "raised",
    "state": "unacknowledged", "previous_state": "normal", "level": "red", "previous_level": None, "active": True,
    "acknowledged": False, "latched": False, "uncertain": False, "durable": True, "replayed": False,
    "time": "2026-11-23T08:01:02.345Z", "raised_at": "2026-11-23T08:01:02.345Z",
    "boot_id": "2b1c7a52-11a3-4c4e-9a55-0f2d1f3f6a01", "clock": "synchronized", "site": "site", "gateway": "edge",
    "zone": "A1", "zone_name": "Tank farm", "owner": None, "device": "GT-1", "device_name": None, "point": "gas",
    "rule": "loud", "kind": "gas", "quantity": "H2S", "measure": "value", "value": 41.0, "limit": 40.0,
    "condition": "above", "unit": "ppm", "quality": "good", "reason": None, "members": None, "step": None,
    "first_out": True, "by": None, "note": None, "message": "GT-1: H2S 41 ppm", "config": "sha256:" + "0" * 64,
    "latency_ms": {"decided": 0.2, "stored": 3.1}}
# rule, device, what happens, value
TALE = [("loud", "GT-1", "raised", 41.0), ("quiet", "GT-2", "raised", 42.0), ("loud", "GT-1", "cleared", 5.0),
        ("quiet", "GT-2", "cleared", 6.0), ("loud", "GT-1", "raised", 43.0), ("loud", "GT-1", "acknowledged", 43.0),
        ("quiet", "GT-2", "raised", 44.0)]
SCRIPT = [audit.Pulse("loud", "GT-1", "gas", 41.0), audit.Pulse("quiet", "GT-2", "gas", 42.0),
          audit.Pulse("loud", "GT-1", "gas", 43.0), audit.Pulse("quiet", "GT-2", "gas", 44.0)]


def tell(tale):
    """Events as the engine would make them: `loud` is to be acknowledged, `quiet` is not."""
    last, events = {}, []
    for seq, (rule, device, name, value) in enumerate(tale, 1):
        before = last.get(device)
        goes_on = before and before["state"] != "normal"
        state = {"raised": "unacknowledged" if rule == "loud" else "acknowledged", "acknowledged": "acknowledged",
                 "cleared": "returned" if rule == "loud" else "normal"}[name]
        event = {**EVENT, "seq": seq, "rule": rule, "device": device, "event": name, "state": state, "value": value,
                 "id": before["id"] if goes_on else f"0192f3c1-7b1e-7c44-9d0a-{seq:012x}",
                 "count": before["count"] + (name == "raised") if goes_on else 1, "active": name != "cleared",
                 "previous_state": before["state"] if before else "normal", "acknowledged": state in ("acknowledged", "normal"),
                 "first_out": name == "raised", "by": "local:zhao" if name == "acknowledged" else None,
                 "previous_level": "red" if goes_on else None, "time": f"2026-11-23T08:01:{seq:02d}.345Z"}
        last[device] = event
        events.append(event)
    return events


def text_of(event):
    return json.dumps(event, separators=(",", ":"))


def message(event, retain=False):
    payload = text_of(event).encode()
    topic = f"davy/v1/site/edge/alarm/A1/{event['device']}/{event['point']}/{event['rule']}"
    return audit.Message(topic, retain, payload, json.loads(payload))


def link_up(payloads):
    chain = audit.ZEROS
    for payload in payloads:
        chain = hashlib.sha256(chain.encode() + payload.encode()).hexdigest()
        yield payload, chain


def write(path, events):
    with contextlib.closing(sqlite3.connect(path)) as link:
        link.executescript(SCHEMA)
        for event, (payload, chain) in zip(events, link_up(map(text_of, events))):
            row = [event[name] for name in audit.COLUMNS]
            link.execute(f"INSERT INTO events VALUES ({', '.join('?' * 17)})", [event["seq"], 0, *row, payload, chain, 1])
        for seq, (payload, chain) in enumerate(link_up(['{"seq":1}', '{"seq":2}']), 1):
            link.execute("INSERT INTO actions VALUES (?, ?, ?)", (seq, payload, chain))
        link.commit()


class Case:
    """A sound ledger of its own with its arrivals, to be doctored."""

    def __init__(self, folder, tale=None, change=None):
        self.folder, self.path = folder, folder / "ledger.db"
        events = tell(tale or TALE)
        if change:
            change(events)
        write(self.path, events)
        self.seen = [message(event) for event in events]

    def sql(self, *statement):
        with contextlib.closing(sqlite3.connect(self.path)) as link:
            link.execute(*statement)
            link.commit()
        return self

    def ledger(self):
        return audit.read(self.path)

    def again(self, index, **changes):
        """Message `index` once more, changed, at the end."""
        self.seen.append(message({**self.seen[index].data, **changes}))
        return self

    def swap(self, one, other):
        self.seen[one], self.seen[other] = self.seen[other], self.seen[one]
        return self


def preview(case, **changes):
    """The event announced before it is stored."""
    case.seen.insert(0, message({**case.seen[0].data, "seq": None, "durable": False, **changes}))
    return case


def shuffled(events):
    events[4]["time"] = "not a time"


def rise_anew(events):
    events[5].update(event="raised", id="0192f3c1-7b1e-7c44-9d0a-aaaaaaaaaaaa", count=1, previous_state="normal")


def another_count(events):
    events[4]["count"] = 1


def begin_with_clear(events):
    events[0]["event"] = "cleared"


# name of the check, what is doctored: each must be found, and by this check
DOCTORED = {
    "a row is gone": ("gapless", lambda case: case.sql("DELETE FROM events WHERE seq = 3")),
    "the first row is gone": ("gapless", lambda case: case.sql("DELETE FROM events WHERE seq = 1")),
    "a hash is changed": ("chained", lambda case: case.sql("UPDATE events SET hash = ? WHERE seq = 4", (audit.ZEROS,))),
    "a payload is changed": ("chained", lambda case: case.sql(
        "UPDATE events SET payload = replace(payload, '41', '14') WHERE seq = 1")),
    "an action is changed": ("chained", lambda case: case.sql("UPDATE actions SET payload = '{}' WHERE seq = 2")),
    "a column is changed": ("agreeing", lambda case: case.sql("UPDATE events SET level = 'blue' WHERE seq = 2")),
    "an event did not arrive": ("arrived", lambda case: case.seen.pop(2)),
    "an event arrived that is not stored": ("stored", lambda case: case.again(6, seq=8)),
    "an event that is not stored says that it is": ("stored", lambda case: case.again(6, seq=None)),
    "a preview has a number": ("stored", lambda case: case.again(6, durable=False)),
    "a preview was never stored": ("replaced", lambda case: preview(case, id="0192f3c1-7b1e-7c44-9d0a-bbbbbbbbbbbb")),
    "another payload arrived": ("same", lambda case: case.again(6, value=44.5)),
    "two of an alarm changed places": ("ordered", lambda case: case.swap(4, 5)),
    "an old one came last": ("ordered", lambda case: case.again(2)),
    "what is not valid arrived": ("valid", lambda case: case.again(6, quality="fair")),
}
MADE = {  # wrong from the beginning
    "a restart raised anew": ("story", rise_anew),
    "the count does not go on": ("story", another_count),
    "an occurrence begins with its end": ("story", begin_with_clear),
    "a payload is not valid": ("valid", shuffled),
}


def run_check(name, case):
    check, ledger = getattr(audit, name), case.ledger()
    return check(ledger) if name in ("gapless", "chained", "agreeing", "story") else check(ledger, case.seen)


def found_by(name, case, what):
    problems = run_check(name, case)
    assert problems, f"{what}: {name}() says nothing"
    assert audit.everything(case.ledger(), case.seen), f"{what}: everything() says nothing"


def sound(new):
    """Nothing is found where nothing is; repetitions, copies and previews with their event are sound."""
    assert audit.everything(new().ledger(), new().seen) == [], audit.everything(new().ledger(), new().seen)
    case = preview(new()).again(6, replayed=True)
    case.seen.insert(0, message(case.seen[3].data, retain=True))  # kept by the broker, for a new subscription
    assert audit.everything(case.ledger(), case.seen) == [], audit.everything(case.ledger(), case.seen)


def pruned(new):
    """What retention took away is no gap, where the checkpoint says so; without it, it is."""
    case = new()
    hash_3 = case.ledger().rows[2].hash
    case.sql("DELETE FROM events WHERE seq <= 3")
    assert audit.gapless(case.ledger()) and audit.chained(case.ledger())
    case.sql("UPDATE chain SET seq = 3, hash = ? WHERE name = 'event'", (bytes.fromhex(hash_3),))
    assert audit.everything(case.ledger(), case.seen) == [], audit.everything(case.ledger(), case.seen)


def partly(new):
    """A ledger may be read from a seq on."""
    case = new()
    ledger = audit.read(case.path, 3)
    assert [row.seq for row in ledger.rows] == [4, 5, 6, 7]
    assert audit.gapless(ledger) + audit.chained(ledger) + audit.stored(ledger, case.seen) + audit.same(ledger, case.seen) == []
    case.sql("DELETE FROM events WHERE seq = 5")
    assert audit.gapless(audit.read(case.path, 3)) and audit.stored(audit.read(case.path, 3), case.seen)


def exceptions(new):
    """What each leniency excuses, and what it does not."""
    case = new()
    case.seen.pop()
    case.sql("INSERT INTO outbox VALUES (14)")
    assert audit.arrived(case.ledger(), case.seen, unfinished=True) == [] and audit.arrived(case.ledger(), case.seen)
    case.seen.pop()
    assert audit.arrived(case.ledger(), case.seen, unfinished=True)
    case = preview(new(), id="0192f3c1-7b1e-7c44-9d0a-bbbbbbbbbbbb")
    assert audit.replaced(case.ledger(), case.seen, torn=True) == []
    case = preview(new(), id="0192f3c1-7b1e-7c44-9d0a-bbbbbbbbbbbb", time="2026-11-23T09:00:00.000Z")
    assert audit.replaced(case.ledger(), case.seen, torn=True)
    case = preview(new(), rule="storage", device="gateway", point=None, id="0192f3c1-7b1e-7c44-9d0a-bbbbbbbbbbbb")
    assert audit.replaced(case.ledger(), case.seen, torn=True) == [] and audit.replaced(case.ledger(), case.seen)
    case = new().swap(4, 5)
    assert audit.ordered(case.ledger(), case.seen, asked={5}) == [] and audit.ordered(case.ledger(), case.seen, asked={6})


def kept(new):
    """retained(): the present state, no more and no less."""
    case = new()
    now = [message(case.seen[i].data, retain=True) for i in (5, 6)]
    assert audit.retained(case.ledger(), now) == [], audit.retained(case.ledger(), now)
    assert audit.retained(case.ledger(), now[:1])
    assert audit.retained(case.ledger(), [message(case.seen[4].data, retain=True), now[1]])
    case = Case(case.folder.parent / "calm", TALE[:2] + [("quiet", "GT-2", "cleared", 5.0)])
    assert audit.retained(case.ledger(), [message(case.seen[i].data, retain=True) for i in (0, 2)])
    assert audit.retained(case.ledger(), [message(case.seen[0].data, retain=True)]) == []


def plant_truth(new):
    """truth(): a step without its event, an event without its step, one twice, two in the wrong order."""
    ledger = new().ledger()
    assert audit.truth(ledger, SCRIPT) == [], audit.truth(ledger, SCRIPT)
    more = audit.Pulse("loud", "GT-1", "gas", 47.0)
    assert audit.truth(ledger, SCRIPT + [more]) and audit.truth(ledger, SCRIPT[1:]) and audit.truth(ledger, SCRIPT[::-1])
    twice = ledger._replace(rows=ledger.rows + [ledger.rows[4]])
    assert audit.truth(twice, SCRIPT)


def aside(new):
    folder = new().folder
    assert audit.whole(folder) == []
    (folder / "readings.db.corrupt-20261123T080102Z").touch()
    assert audit.whole(folder)


def real(folder, fill, davyctl):
    """`davyctl verify` on a ledger of our own writer, whole and doctored."""
    folder.mkdir()
    subprocess.run([fill, str(folder)], check=True, stdout=subprocess.DEVNULL)
    ledger = audit.read(folder / "ledger.db")
    assert ledger.rows and audit.gapless(ledger) + audit.chained(ledger) + audit.verified(ledger, davyctl) == []
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as link:
        link.execute("UPDATE event SET payload = payload || ' ' WHERE seq = 2")
        link.commit()
    ledger = audit.read(folder / "ledger.db")
    assert audit.verified(ledger, davyctl) and audit.chained(ledger)


def as_program(case):
    """The program over files: 0 on sound ones, 1 on others."""
    arrivals = case.folder / "arrivals"
    command = [sys.executable, audit.__file__, "--ledger", str(case.path), "--arrivals", str(arrivals)]
    arrivals.write_bytes(b"\n".join(m.topic.encode() + b"\t" + m.payload for m in case.seen))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "7 events, 0 problems" in done.stdout, done
    arrivals.write_bytes(b"\n".join(m.topic.encode() + b"\t" + m.payload for m in case.seen[1:]))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "lost: 1" in done.stdout, done


def main(programs):
    with tempfile.TemporaryDirectory(prefix="davy-audit-") as base:
        count = 0

        def new(**options):
            nonlocal count
            count += 1
            folder = pathlib.Path(base) / str(count)
            folder.mkdir()
            return Case(folder, **options)

        (pathlib.Path(base) / "calm").mkdir()
        for check in (sound, pruned, partly, exceptions, kept, plant_truth, aside):
            check(new)
        as_program(new())
        for what, (name, doctor) in DOCTORED.items():
            case = new()
            assert run_check(name, case) == [], what
            doctor(case)
            found_by(name, case, what)
        for what, (name, change) in MADE.items():
            found_by(name, new(change=change), what)
        if programs:
            real(new().folder / "real", *programs)
    print(f"ok: {len(DOCTORED) + len(MADE)} doctored ledgers were found out")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
