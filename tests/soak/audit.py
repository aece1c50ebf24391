#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a stranger can check of davy's promises: the ledger, and what a subscriber received, must tell the same.

usage: audit.py [--ledger ledger.db] [--arrivals FILE] [--davyctl PROGRAM] [--unfinished]

ARRIVALS: a line `TOPIC<tab>PAYLOAD` per message, as `mosquitto_sub -F '%t<tab>%p'` writes it, from before the first event on.
Prints what is wrong; exit 1 when there is any.

As a module: read() a ledger, then every check is a function that returns the list of its problems, empty when all is well:

  gapless(ledger)              seq goes on by 1
  chained(ledger)              both hash chains, events and actions
  agreeing(ledger)             the columns of a row say what its payload says
  arrived(ledger, seen)        what was delivered, or should be, is with the subscriber
  stored(ledger, seen)         nothing was announced as durable that is not stored
  replaced(ledger, seen)       each preview (durable: false) is followed by its event
  same(ledger, seen)           what arrived is what is stored, byte for byte
  ordered(ledger, seen)        of each alarm in order, and the newest last
  story(ledger)                the events of each alarm tell one story: no restart raises anew what goes on
  retained(ledger, seen)       what a late subscriber gets is the present state
  truth(ledger, script)        each step of the plant is an event, and no event is without its step
  valid(ledger, seen)          every payload is as its schema says
  verified(ledger, davyctl)    `davyctl verify` agrees
  whole(directory)             no database was set aside

`seen` is a list of messages with `topic`, `payload` (bytes), `data` (the payload as JSON, or None) and `retain`, such as
plant.Recorder.messages. everything() is all of them but retained(), truth() and whole().
"""
import argparse
import collections
import hashlib
import json
import pathlib
import re
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import davy_schema  # noqa: E402

Row = collections.namedtuple("Row", "seq payload hash sent_us columns event")
Ledger = collections.namedtuple("Ledger", "path rows base actions action_base pending confirmed")
Message = collections.namedtuple("Message", "topic retain payload data")
Pulse = collections.namedtuple("Pulse", "rule device point high")

COLUMNS = ("id", "event", "state", "level", "rule", "zone", "device", "point", "value", "limit", "by", "note")
ZEROS = "0" * 64
MANY = 5  # of one kind of problem; the rest is counted


def read(path, after=0):
    """The ledger's events above seq `after`, its actions, and the seqs that wait in the outbox."""
    link = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        rows = [Row(*row[:4], dict(zip(COLUMNS, row[4:])), json.loads(row[1])) for row in link.execute(
            f"SELECT seq, payload, hash, sent_us, {names} FROM events WHERE seq > ? ORDER BY seq", (after,))]
        bases = {name: (seq, bytes(value).hex()) for name, seq, value in link.execute("SELECT name, seq, hash FROM chain")}
        if after > bases["event"][0]:
            bases["event"] = link.execute("SELECT seq, hash FROM events WHERE seq = ?", (after,)).fetchone() or (after, "?")
        actions = link.execute("SELECT seq, payload, hash FROM actions ORDER BY seq").fetchall()
        pending = {row // 2 for row, in link.execute("SELECT row FROM outbox")}
        confirmed = link.execute("SELECT seq FROM confirmed").fetchone()[0]
        return Ledger(path, rows, bases["event"], actions, bases["action"], pending, confirmed)
    finally:
        link.close()


def few(problems):
    """The first of a kind, and how many more there are."""
    rest = len(problems) - MANY
    return problems[:MANY] + ([f"… and {rest} more like this"] if rest > 0 else [])


def alarms(seen):
    """The messages that are events, without those that the broker kept for a new subscription."""
    return [m for m in seen if "/alarm/" in m.topic and m.payload and not m.retain]


def key_of(event):
    return event["rule"], event["device"], event["point"]


def named(event):
    return ":".join(str(part) for part in key_of(event))


def gapless(ledger):
    seqs = [row.seq for row in ledger.rows]
    expected = list(range(ledger.base[0] + 1, ledger.base[0] + 1 + len(seqs)))
    wrong = [(want, have) for want, have in zip(expected, seqs) if want != have]
    return [f"gap: seq {wrong[0][0]} should be where {wrong[0][1]} is"] if wrong else []


def broken_link(rows, base):
    """The first seq whose hash does not follow; None."""
    chain = base[1]
    for seq, payload, stored in rows:
        chain = hashlib.sha256(chain.encode() + payload.encode()).hexdigest()
        if chain != stored:
            return seq
    return None


def chained(ledger):
    chains = (("event", [(row.seq, row.payload, row.hash) for row in ledger.rows], ledger.base),
              ("action", ledger.actions, ledger.action_base))
    broken = [(name, broken_link(rows, base)) for name, rows, base in chains]
    return [f"chain: that of the {name}s breaks at {seq}" for name, seq in broken if seq is not None]


def agreeing(ledger):
    problems = []
    for row in ledger.rows:
        event = row.event
        different = [name for name, value in row.columns.items() if event[name] != value]
        if event["seq"] != row.seq or different or not event["durable"] or event["replayed"]:
            problems.append(f"columns: seq {row.seq} differs from its payload in {different or 'seq, durable or replayed'}")
    return few(problems)


def arrived(ledger, seen, unfinished=False):
    """unfinished: what the outbox holds may still be under way."""
    have = {m.data["seq"] for m in seen if "/alarm/" in m.topic and m.data}
    lost = [row.seq for row in ledger.rows if row.seq not in have and not (unfinished and row.seq in ledger.pending)]
    return [f"lost: {len(lost)} stored events never arrived: {lost[:10]}"] if lost else []


def stored(ledger, seen):
    known = {row.seq for row in ledger.rows}
    problems = []
    for m in seen:
        if "/alarm/" not in m.topic or not m.payload:
            continue
        if not m.data or "seq" not in m.data:
            problems.append(f"stored: no event in {m.topic}: {m.payload[:80]!r}")
        elif (m.data["seq"] is None) == m.data["durable"]:
            problems.append(f"stored: seq {m.data['seq']} with durable {m.data['durable']}: {named(m.data)}")
        elif m.data["seq"] is not None and m.data["seq"] > ledger.base[0] and m.data["seq"] not in known:
            problems.append(f"stored: seq {m.data['seq']} was announced and is not in the ledger: {named(m.data)}")
    return few(problems)


def identity(event):
    return (*key_of(event), event["id"], event["event"], event["state"], event["level"], event["count"], event["step"],
            event["time"])


def replaced(ledger, seen, torn=False):
    """
    torn: a crash came between; a preview may also be followed by another later event of its alarm, and what the gateway
    said of itself may have ended with it.
    """
    known = {identity(row.event) for row in ledger.rows}
    last = {key_of(row.event): row.event["time"] for row in ledger.rows}
    problems = []
    for m in alarms(seen):
        event = m.data
        if event and event["seq"] is None and identity(event) not in known:
            followed = event["device"] == "gateway" or last.get(key_of(event), "") >= event["time"]
            if not torn or not followed:
                problems.append(f"preview: {event['event']} of {named(event)} at {event['time']} was never stored")
    return few(problems)


def plain(payload):
    text = payload.decode() if isinstance(payload, bytes) else payload
    return re.sub(r'"replayed":true', '"replayed":false', text, count=1)


def same(ledger, seen):
    known = {row.seq: row.payload for row in ledger.rows}
    problems = []
    for m in seen:
        seq = m.data["seq"] if "/alarm/" in m.topic and m.data else None
        if seq in known and plain(m.payload) != known[seq]:
            problems.append(f"payload: seq {seq} arrived as {m.payload[:300]!r}, stored is {known[seq][:300]}")
    return few(problems)


def ordered(ledger, seen, asked=()):
    """asked: seqs that the subscriber has requested again, and may come late."""
    highest, first, newest = {}, set(), {}
    problems = []
    for m in alarms(seen):
        event = m.data
        if not event or event["seq"] is None:
            continue
        seq, key = event["seq"], key_of(event)
        if seq not in first and seq < highest.get(key, 0) and seq not in asked:
            problems.append(f"order: seq {seq} of {named(event)} came after {highest[key]}")
        first.add(seq)
        highest[key] = max(seq, highest.get(key, 0))
        if seq not in asked:
            newest[key] = seq
    for key, seq in newest.items():
        if seq < highest[key] and highest[key] not in asked:
            problems.append(f"order: the last to arrive of {key} is seq {seq}, the newest {highest[key]}")
    return few(problems)


def begins(event, ids):
    """An occurrence, or a cover without one."""
    if event["id"] is None:
        return event["event"] != "raised"
    return event["event"] == "raised" and event["count"] == 1 and event["id"] not in ids


def continues(event, before):
    if before["id"] is None:
        return True
    return (event["id"] == before["id"] and event["previous_level"] == before["level"]
            and event["count"] == before["count"] + (event["event"] == "raised"))


def story(ledger):
    last, ids, problems = {}, set(), []
    for row in ledger.rows:
        event, key = row.event, key_of(row.event)
        before = last.get(key)
        state = before["state"] if before else "normal"
        if before is None and ledger.base[0] > 0:
            state = event["previous_state"]  # its beginning is not kept any more
        if event["previous_state"] != state:
            problems.append(f"story: seq {row.seq} of {named(event)}: previous_state {event['previous_state']}, it was {state}")
        elif state == "normal" and not begins(event, ids):
            problems.append(f"story: seq {row.seq} of {named(event)}: {event['event']} count {event['count']} begins nothing")
        elif state != "normal" and before and not continues(event, before):
            problems.append(f"story: seq {row.seq} of {named(event)}: another id, level or count than before")
        ids.add(event["id"])
        last[key] = event
    return few(problems)


def retained(ledger, seen):
    """seen: what a new subscription got, with the flag that it was kept."""
    now = {}
    for row in ledger.rows:
        now[key_of(row.event)] = row.event
    wanted = {key: event["seq"] for key, event in now.items() if event["state"] != "normal"}
    have = {key_of(m.data): m.data["seq"] for m in seen if m.retain and "/alarm/" in m.topic and m.data}
    return few([f"retained: {key} is seq {have.get(key)}, should be {wanted.get(key)}"
                for key in sorted(set(wanted) | set(have), key=str) if have.get(key) != wanted.get(key)])


def truth(ledger, script):
    """
    script: Pulses in the order in which the plant made them, each with a value that its point has only once: it must be in
    the ledger once as `raised` with just this value, in this order, and nothing else may be there.
    """
    expected, found = collections.defaultdict(list), collections.defaultdict(list)
    for pulse in script:
        expected[pulse[:3]].append(pulse.high)
    for row in ledger.rows:
        if row.event["event"] == "raised" and key_of(row.event) in expected:
            found[key_of(row.event)].append(row.event["value"])
    problems = []
    for key, values in expected.items():
        missing = [value for value in values if value not in found[key]]
        extra = [value for value in found[key] if value not in values]
        if missing or extra:
            problems.append(f"truth: {key}: the plant did {missing[:5]} and nobody wrote it, invented is {extra[:5]}")
        elif found[key] != values:
            problems.append(f"truth: {key}: twice or out of order: {found[key][:10]}")
    return few(problems)


def valid(ledger, seen):
    problems = []
    payloads = [(f"seq {row.seq}", row.payload) for row in ledger.rows] + [(m.topic, m.payload) for m in seen if m.payload]
    checked = set()
    for where, payload in payloads:
        text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
        if text not in checked:
            checked.add(text)
            problems += [f"schema: {where}: {error}" for error in davy_schema.validate(payload)]
    return few(problems)


def verified(ledger, davyctl):
    done = subprocess.run([str(davyctl), "verify", "--database", str(ledger.path)], capture_output=True, text=True, timeout=300,
                          check=False, stdin=subprocess.DEVNULL)
    return [f"verify: exit {done.returncode}: {done.stdout} {done.stderr}".strip()] if done.returncode != 0 else []


def whole(directory):
    return [f"set aside: {path.name}" for path in sorted(pathlib.Path(directory).glob("*.corrupt-*"))]


def everything(ledger, seen, davyctl=None, unfinished=False, torn=False, asked=()):
    """All that needs nothing else; torn, asked and unfinished as above."""
    problems = gapless(ledger) + chained(ledger) + agreeing(ledger) + story(ledger)
    problems += arrived(ledger, seen, unfinished) + stored(ledger, seen) + replaced(ledger, seen, torn) + same(ledger, seen)
    problems += ordered(ledger, seen, asked) + valid(ledger, seen)
    return problems + (verified(ledger, davyctl) if davyctl else [])


def load_arrivals(path):
    found = []
    for line in pathlib.Path(path).read_bytes().splitlines():
        topic, _, payload = line.partition(b"\t")
        try:
            data = json.loads(payload) if payload else None
        except ValueError:
            data = None
        found.append(Message(topic.decode(), False, payload, data))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ledger", default="ledger.db")
    parser.add_argument("--arrivals")
    parser.add_argument("--davyctl")
    parser.add_argument("--unfinished", action="store_true", help="what the outbox holds may still be under way")
    arguments = parser.parse_args()
    ledger = read(arguments.ledger)
    if arguments.arrivals:
        problems = everything(ledger, load_arrivals(arguments.arrivals), arguments.davyctl, arguments.unfinished, torn=True)
    else:
        problems = gapless(ledger) + chained(ledger) + agreeing(ledger) + story(ledger) + valid(ledger, [])
    print("\n".join(problems + [f"{len(ledger.rows)} events, {len(problems)} problems"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
