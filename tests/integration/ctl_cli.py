#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""davyctl against a daemon that is only played: canned answers on a unix socket.

usage: ctl_cli.py [DAVYCTL]      default: $DAVYCTL; exit 0, or 1 with what went wrong
"""
import fcntl
import fnmatch
import json
import os
import pathlib
import pty
import re
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading

UUID = "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11"


def point(key, value=1.5, zone="A1", **more):
    return {"point": key, "name": "name of " + key, "zone": zone, "value": value, "unit": "ppm", "quality": "good",
            "reason": None, "time": "2026-11-23T08:01:02.345Z", "age_s": 0.4, "level": None, **more}


def alarm(key, level="yellow", state="unacknowledged", **more):
    rule, place = key.split(":")
    return {"alarm": key, "id": UUID, "rule": rule, "zone": "A1", "device": place.split(".")[0], "point": "h2s",
            "state": state, "level": level, "active": True, "acknowledged": state != "unacknowledged", "latched": False,
            "since": "2026-11-23T08:01:02.345Z", "count": 1, "value": 15.2, "unit": "ppm", "limit": 14, "quality": "good",
            "reason": None, "message": "Tank farm H2S: 15.2 ppm", "below": state, "by": None, "note": None,
            "shelved_until": None, "out_of_service": False, **more}


def limit(level, bound, **more):
    return {"level": level, "condition": "above", "bound": bound, "bound_high": None, "deadband": 0.5, "on_delay_s": 5,
            "off_delay_s": 30, "latch": False, "upper": False, "tripped": False, "held": False, "uncertain": False,
            "timer": None, "left_s": None, **more}


def explained(key, why, sentence, **more):
    return {**alarm(key, None, "normal", since=None), "why": why, "sentence": sentence,
            "reading": {"value": 6.1, "unit": "ppm", "quality": "good", "reason": None,
                        "time": "2026-11-23T08:01:02.345Z", "age_s": 0.4},
            "measure": {"type": "value", "window_s": None, "value": 6.1, "upper": 6.1, "coverage": 1,
                        "coverage_needed": None, "lack": None},
            "limits": [limit("orange", 7), limit("red", 14, timer="on", left_s=3.2)], "when": None, "vote": None,
            "ladder": [], **more}


STATUS = {"state": "online", "since": "2026-11-23T08:01:02.345Z", "version": "0.1.0", "boot_id": "b", "config": "sha256:0",
          "last_seq": 7, "outbox": {"events": 1, "telemetry": 2}, "confirmed_seq": None,
          "alarms": {"blue": 0, "yellow": 1, "orange": 0, "red": 2, "unacknowledged": 3, "shelved": 0,
                     "out_of_service": 0},
          "points": {"good": 3, "uncertain": 0, "bad": 1},
          "buses": [{"name": "field-1", "state": "up", "utilization": 0.415, "requests": 1000, "errors": 3, "skipped": 11, "age_s": 0.2}],
          "storage": {"bytes": 1048576, "free_bytes": 104857600, "ok": True}, "clock": "synchronized"}
PLAN = {"buses": [{"name": "field-1", "utilization": 0.37, "quarantined": 2}],
        "slowest": [{"rule": "h2s", "level": "red", "alone_s": 1.25, "one_dead_s": 3.5, "some_dead_s": 8.125}], "more": 4,
        "devices": [{"device": "GT-101", "bus": "field-1", "p50_ms": 18.04, "p95_ms": 31.52, "misses": 2, "slow": True,
                     "flapping": False}], "more_devices": 31}

BROKER = {"connected": False, "url": "mqtt://b:1883", "since": None, "unstable": False, "last_error": "cannot connect: no route",
          "last_error_url": "mqtt://a:1883", "last_error_at": "2026-11-23T08:01:02.345Z", "last_error_count": 3,
          "last_error_since": "2026-11-23T08:00:02.345Z", "limits": None, "acknowledged": 10, "refused": 0, "unheard": 1,
          "last_refusal": None}

POINTS = [point("GT-101.h2s", 15.2, level="red"), point("GT-102.h2s", None, quality="bad", reason="comm"),
          point("气体-1.h2s", 0.1, name="罐区一"), point("evil", name="\x1b[2J\u202ehidden\nline")]
ALARMS = [alarm("h2s:GT-101.h2s", "red"), alarm("h2s:GT-102.h2s"), alarm("fault:GT-103", state="acknowledged"),
          alarm("h2s:GT-104.h2s"), alarm("h2s:GT-105.h2s", None, "normal", id=None)]
SHELVED = alarm("h2s:GT-106.h2s", "orange", "shelved", below="returned", by="local:li", note="pump \x1b[1m test",
                shelved_until="2026-11-23T16:01:02.345Z")
UNTIL = "2026-11-23T16:01:02.345Z"
EXPLAINED = {
    "GT-101.h2s": [explained("h2s:GT-101.h2s", "on-delay", "waits: the on-delay of red has 3.2 s to go")],
    "": [explained("h2s:GT-101.h2s", "not-reached", "6.1 ppm reaches no limit"),
         explained("h2s:GT-102.h2s", "comm", "the device does not reply: limits are held"),
         explained("h2s:GT-103.h2s", "returned", "the condition is gone")],
    "_": [explained(
        "tank:_", "votes", "1 of 3 members vote, 2 needed", reading=None,
        limits=[limit("red", 14, needed=2)],
        when={"point": "GT-1.running", "condition": "equals", "bound": 1, "for_s": 30, "answer": False, "value": 0,
              "quality": "good", "reason": None, "left_s": 12.0},
        vote={"votes": 1, "needed": 2, "healthy": 3, "count": 3,
              "members": [{"point": "GT-101.h2s", "vote": True, "value": 15.2, "quality": "good"},
                          {"point": "GT-102.h2s", "vote": True, "by_fault": True, "value": None, "quality": "bad"}]},
        ladder=[{"step": 1, "after_s": 900, "unless": "acknowledged", "owner": "shift-leader", "level": "red",
                 "done": True, "left_s": None},
                {"step": 2, "after_s": 172800, "unless": "cleared", "owner": "plant-manager", "level": None,
                 "done": False, "left_s": 3600}])]}


class Daemon(threading.Thread):
    """Answers by verb; keeps every request that it got. Two items a page."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.requests = []
        self.settings, self.file, self.switches, self.broker = [], None, 0, BROKER
        self.raw = None  # bytes to answer with, whatever is asked; b"" closes
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.start()

    def page(self, items, key, request):
        names = [i[key] for i in items]
        first = names.index(request["after"]) + 1 if "after" in request else 0
        return items[first:first + 2], first + 2 < len(items)

    def answer(self, r):
        verb = r["verb"]
        if verb == "status":
            return {"ok": True, "status": STATUS, "plan": PLAN, "directory": "/nowhere", "config_file": "/etc/davy/davyd.conf",
                    "broker": self.broker}
        if verb == "points":
            found = [p for p in POINTS if fnmatch.fnmatchcase(p["point"], r.get("glob", "*"))]
            items, more = self.page(found, "point", r)
            return {"ok": True, "points": items, "more": more}
        if verb == "alarms":
            items, more = self.page([a for a in ALARMS if r["all"] or a["state"] != "normal"], "alarm", r)
            return {"ok": True, "alarms": items, "more": more}
        if verb == "ack" and r["alarm"] == "h2s:GT-104.h2s":
            return {"ok": False, "error": "it has risen to red since"}
        if verb == "ack" or verb == "reset":
            return {"ok": True, "alarm": r["alarm"], "state": "acknowledged" if verb == "ack" else "normal"}
        if verb == "reload":
            return {"ok": False, "error": "kept the old one", "problems": ["davyd.conf:3: error: no \x1b[1m"]}
        if verb == "read":
            if r["table"] == "holding":
                words = {100: 0x4120, 200: 0x1234, 201: 0x4120}
                return {"ok": True, "words": [words.get(i, 0) for i in range(r["register"], r["register"] + r["count"])]}
            if r["table"] == "input":
                if r["register"] in (30106, 106):
                    return {"ok": False, "error": "unit 1 answers with exception 2: it does not have these registers",
                            "answer": "exception", "exception": 2}
                return {"ok": True, "words": [7] * r["count"]}
            return {"ok": True, "words": [1, 0, 1]}
        if verb in ("shelve", "unshelve", "out-of-service", "in-service"):
            if r["alarm"] == "h2s:GT-104.h2s":
                return {"ok": False, "error": "a limit that is tripped may not be shelved"}
            return {"ok": True, "alarm": r["alarm"], "state": "shelved" if verb == "shelve" else verb,
                    **({"until": UNTIL} if verb == "shelve" else {})}
        if verb in ("inhibit", "uninhibit"):
            return {"ok": True, "device": r["device"], "until": UNTIL if verb == "inhibit" else None}
        if verb == "explain":
            if r["rule"] == "h3s":
                return {"ok": False, "error": "no such rule or device: h3s; did you mean h2s?"}
            items, more = self.page(EXPLAINED[r.get("point", "")], "alarm", r)
            return {"ok": True, "alarms": items, "more": more}
        if verb == "settings":
            first = r["from"]
            if first > 0 and self.switches > 0:  # a reload between two pages
                self.switches -= 1
                return {"ok": True, "config": "sha256:1", "file": self.file, "settings": [], "more": False}
            return {"ok": True, "config": "sha256:0", "file": self.file, "settings": self.settings[first:first + 7],
                    "more": first + 7 < len(self.settings)}
        return {"ok": verb == "log-level"}

    def run(self):
        while True:
            client, _ = self.listener.accept()
            with client, client.makefile("rwb") as file:
                for line in file:
                    request = json.loads(line)
                    self.requests.append(request)
                    if self.raw == b"":
                        break
                    file.write(self.raw or json.dumps(self.answer(request)).encode() + b"\n")
                    file.flush()


class Bench:
    def __init__(self, program, folder):
        self.program = program
        self.socket = folder / "davyd.sock"
        self.daemon = Daemon(str(self.socket))
        self.failures = 0

    def run(self, *arguments, **environment):
        self.daemon.requests.clear()
        return subprocess.run([self.program, "--socket", self.socket, *arguments], capture_output=True, text=True,
                              timeout=20, env={**os.environ, **environment}, check=False)

    def check(self, truth, what, *shown):
        if not truth:
            self.failures += 1
            print("FAILED:", what, *shown)

    def expect(self, code, *arguments):
        result = self.run(*arguments)
        self.check(result.returncode == code, f"exit {code} of {arguments}", result)
        return result


def usage(b):
    b.expect(2)
    b.check("unknown verb explode\n" in b.expect(2, "explode").stderr, "a verb that is like none")
    b.check("unknown verb alarm; did you mean alarms?\n" in b.expect(2, "alarm").stderr, "a verb with a slip")
    b.check("\x1b" not in b.expect(2, "\x1b[2Jx").stderr, "a verb with an escape")
    for verb in ("risk", "kpi", "export"):
        result = b.expect(2, verb, "x")
        b.check("not available in this version" in result.stderr, verb, result)
    b.expect(2, "ack")
    b.expect(2, "status", "more")
    b.expect(2, "status", "--since", "1h")
    b.expect(2, "ack", "a", "--note")
    b.expect(2, "alarms", "--all=1")
    b.expect(2, "alarms", "--all", "--all")
    b.expect(2, "-x")
    for wrong in (["ack"], ["status", "more"], ["alarm"], ["kpi"], ["ack", "a", "--note"], ["alarms", "--al"], []):
        answer = json.loads(b.expect(2, "--json", *wrong).stdout or "{}")
        b.check(answer.get("ok") is False and answer["error"], "a usage error as JSON", wrong, answer)
    b.check("usage" in b.expect(0, "--help").stdout, "help")
    b.check(re.match(r"davyctl \d", b.expect(0, "--version").stdout), "version")


def unreachable(b):
    def refused(*arguments):
        result = subprocess.run([b.program, *arguments], capture_output=True, text=True, timeout=20, check=False,
                                env={**os.environ, "RUNTIME_DIRECTORY": "/nonexistent"})
        b.check(result.returncode == 3 and "not reachable" in result.stderr, "exit 3", result)
        return result
    b.check("/nonexistent/davyd.sock" in refused("status").stderr, "default socket")
    b.check(json.loads(refused("--json", "status").stdout)["ok"] is False, "json of a failure")
    refused("--socket", "/" + "x" * 200, "status")
    for raw in (b"", b"not json\n", b"[1]\n", b"{\"ok\":true}"[:5] + b"\n"):
        b.daemon.raw = raw
        b.expect(3, "status")
    b.daemon.raw = None


def listings(b):
    text = b.expect(0, "status").stdout
    b.check("2 red" in text and "42 %" in text and "field-1" in text and "1.0 MiB" in text, "status", text)
    b.check(re.search(r"field-1 +up +42 % +37 % +1000 +3 +11 +2 ", text) is not None, "status: planned", text)
    b.check(re.search(r"h2s +red +1.25 s +3.50 s +8.12 s", text) is not None and "and 4 more" in text, "status: slowest", text)
    b.check(re.search(r"GT-101 +field-1 +18.0 ms +31.5 ms +2 +slow", text) is not None and "and 31 more" in text, "status: turn-around", text)
    b.check("0 out of service" in text, "status: words, not keys", text)
    b.check("NOT CONNECTED, trying mqtt://b:1883, none since the start\n" in text, "status: never connected", text)
    b.check("last trouble: cannot connect: no route (mqtt://a:1883, at 2026-11-23T08:01:02.345Z, 3 times since" in text,
            "status: what is over is said to be", text)
    b.daemon.broker = {**BROKER, "connected": True, "since": "2026-11-23T08:01:02.345Z"}
    text = b.expect(0, "status").stdout
    b.check("connected to mqtt://b:1883 since 2026-11-23T08:01:02.345Z\n" in text, "status: connected", text)
    b.check(json.loads(b.expect(0, "status", "--json").stdout)["status"] == STATUS, "status --json")
    result = b.expect(0, "points")
    b.check([r.get("after") for r in b.daemon.requests] == [None, "GT-102.h2s"], "pages", b.daemon.requests)
    lines = result.stdout.split("\n")
    b.check(len(lines) == 6, "one line a point", result.stdout)
    b.check("\x1b" not in result.stdout and "\u202e" not in result.stdout and "\\x1b[2J" in result.stdout, "escapes",
            result.stdout)
    columns = [sum(2 if "\u4e00" <= c <= "\u9fff" else 1 for c in line[:line.index("A1")]) for line in lines[1:5]]
    b.check(len(set(columns)) == 1, "wide characters line up", result.stdout)
    b.check("bad:comm" in result.stdout, "quality with its reason", result.stdout)
    for glob, hint in (("XX", "no point matches 'XX.*'"), ("XX-*.h2s", "no point matches")):
        result = b.expect(1, "points", glob)
        b.check(hint in result.stderr and not result.stdout, "a glob that matches nothing", result)
    b.expect(0, "points", "GT-*")
    b.check(b.daemon.requests[0]["glob"] == "GT-*", "the glob is the daemon's", b.daemon.requests)
    document = b.expect(0, "points", "--json").stdout
    b.check(json.loads(document)["points"] == POINTS and "\x1b" not in document and '"value": 15.2,' in document, "json",
            document)
    some = b.expect(0, "alarms")
    b.check("GT-105" not in some.stdout and some.stderr == "", "alarms", some.stderr)
    kept, ALARMS[:] = ALARMS[:], [a for a in ALARMS if a["state"] == "normal"]
    b.check("every alarm is normal" in b.expect(0, "alarms").stderr, "alarms where there is none")
    ALARMS[:] = kept
    b.check("GT-105" in b.expect(0, "alarms", "--all").stdout, "alarms --all")
    b.check(len(json.loads(b.expect(0, "alarms", "--all", "--json").stdout)["alarms"]) == 5, "alarms --json")


def acknowledging(b):
    def acks():
        return [r for r in b.daemon.requests if r["verb"] == "ack"]
    result = b.expect(0, "ack", "h2s:GT-101.h2s", "--note", "on my way")
    b.check(acks() == [{"verb": "ack", "alarm": "h2s:GT-101.h2s", "note": "on my way", "id": UUID, "level": "red"}],
            "sends what was seen", b.daemon.requests)
    b.check(result.stdout == "h2s:GT-101.h2s acknowledged\n", "says so", result)
    b.expect(0, "ack", UUID.upper())
    b.check(acks()[0]["alarm"] == "h2s:GT-101.h2s", "by id", acks())
    result = b.expect(1, "ack", "h2s:*")
    b.check([r["alarm"] for r in acks()] == ["h2s:GT-102.h2s", "h2s:GT-104.h2s"], "a glob leaves the red one", acks())
    b.check("GT-101.h2s: refused: a glob never" in result.stderr and "risen" in result.stderr, "says why", result)
    document = json.loads(b.expect(1, "--json", "ack", "h2s:GT-10[12]*").stdout)
    b.check(not document["ok"] and [r["ok"] for r in document["results"]] == [False, True], "ack --json", document)
    b.expect(0, "ack", "h2s:GT-102*")
    for name in ("nothing:*", "fault:*", "no:such.alarm", "h2s:GT-105.h2s"):
        b.expect(1, "ack", name)
        b.check(not acks(), "nothing is sent for " + name, acks())
    for name, meant in (("h2s:GT-101.h2", "h2s:GT-101.h2s"), ("fault", "fault:GT-103")):
        b.check(f"did you mean {meant}?" in b.expect(1, "ack", name).stderr, "the nearest name", name)
    b.check("normal" in b.expect(0, "reset", "GT-101.h2s").stdout, "reset")
    b.check(b.daemon.requests == [{"verb": "reset", "alarm": "GT-101.h2s"}], "reset", b.daemon.requests)
    result = b.expect(1, "reload")
    b.check("davyd.conf:3" in result.stderr and "\x1b" not in result.stderr, "problems of a reload", result)
    b.expect(0, "log-level", "debug")
    b.check("error, warning, notice, info or debug" in b.expect(2, "log-level", "loud").stderr, "what levels there are")


def covering(b):
    def asked(*arguments):
        result = b.expect(0, *arguments)
        return b.daemon.requests, result.stdout
    name = "h2s:GT-101.h2s"
    b.check(asked("shelve", name, "2h", "--reason", "pump test") == (
        [{"verb": "shelve", "alarm": name, "duration_s": 7200, "reason": "pump test"}], f"{name} shelved until {UNTIL}\n"),
            "shelve", b.daemon.requests)
    b.check(asked("shelve", name, "--reason=x")[0] == [{"verb": "shelve", "alarm": name, "reason": "x"}],
            "the default is the daemon's", b.daemon.requests)
    b.check(asked("unshelve", name, "--note", "over")[0] == [{"verb": "unshelve", "alarm": name, "note": "over"}],
            "unshelve", b.daemon.requests)
    b.check(asked("out-of-service", name, "--reason", "r") == (
        [{"verb": "out-of-service", "alarm": name, "reason": "r"}], f"{name} out-of-service\n"), "out-of-service",
            b.daemon.requests)
    b.check(asked("in-service", name)[0] == [{"verb": "in-service", "alarm": name}], "in-service", b.daemon.requests)
    b.check(asked("inhibit", "GT-101", "45min", "--reason", "bump test") == (
        [{"verb": "inhibit", "device": "GT-101", "duration_s": 2700, "reason": "bump test"}],
        f"GT-101 inhibited until {UNTIL}\n"), "inhibit", b.daemon.requests)
    b.check(asked("uninhibit", "GT-101") == ([{"verb": "uninhibit", "device": "GT-101"}], "GT-101 no longer inhibited\n"),
            "uninhibit", b.daemon.requests)
    b.check("may not be shelved" in b.expect(1, "shelve", "h2s:GT-104.h2s", "--reason", "r").stderr, "the reason")
    document = json.loads(b.expect(0, "--json", "shelve", name, "--reason", "r").stdout)
    b.check(document == {"ok": True, "alarm": name, "state": "shelved", "until": UNTIL}, "shelve --json", document)
    for wrong in (["shelve", name], ["shelve", name, "--reason", " "], ["shelve", name, "soon", "--reason", "r"],
                  ["shelve", name, "250ms", "--reason", "r"], ["inhibit", "GT-101"], ["out-of-service", name],
                  ["out-of-service", name, "1h", "--reason", "r"], ["unshelve", name, "--reason", "r"],
                  ["shelve", name, "1h", "more", "--reason", "r"], ["inhibit", "--reason", "r"]):
        b.expect(2, *wrong)
        b.check(not b.daemon.requests, "nothing is sent", wrong, b.daemon.requests)
    ALARMS.append(SHELVED)
    text = b.expect(0, "alarms").stdout
    b.check("shelved (returned)" in text and "local:li" in text and UNTIL in text and "\x1b" not in text,
            "who hid it, why and until when", text)
    ALARMS.remove(SHELVED)


def explaining(b):
    text = b.expect(0, "explain", "h2s", "GT-101.h2s").stdout
    b.check(b.daemon.requests == [{"verb": "explain", "rule": "h2s", "point": "GT-101.h2s"}], "request", b.daemon.requests)
    b.check(text.startswith("h2s:GT-101.h2s: waits: the on-delay of red has 3.2 s to go\n"), "the reason first", text)
    for part in ("6.1 ppm, good, 0.4s old", "≥ 14 ppm", "on-delay, 3.2s left", "calm"):
        b.check(part in text, part, text)
    b.expect(0, "explain", "h2s:GT-101.h2s")
    b.check(b.daemon.requests == [{"verb": "explain", "rule": "h2s", "point": "GT-101.h2s"}], "an alarm's name",
            b.daemon.requests)
    lines = b.expect(0, "explain", "h2s").stdout.splitlines()
    b.check(len(lines) == 4 and lines[2].startswith("h2s:GT-102.h2s") and "does not reply" in lines[2], "a line each", lines)
    b.check([r.get("after") for r in b.daemon.requests] == [None, None, "h2s:GT-102.h2s"], "is it a rule? pages", b.daemon.requests)
    text = b.expect(0, "explain", "tank:_").stdout
    for part in ("1 of 3, 2 needed, 3 healthy", "≥ 14 ppm, 2 needed", "being bad", "GT-1.running = 1: false; it is 0, good; changes in 12", "shift-leader",
                 "done", "in 60min"):
        b.check(part in text, part, text)
    document = json.loads(b.expect(0, "--json", "explain", "h2s").stdout)
    b.check(document["alarms"] == EXPLAINED[""], "explain --json", document)
    b.check("did you mean h2s?" in b.expect(1, "explain", "h3s").stderr, "unknown rule")
    ALARMS.append(alarm("tank:_", None, "normal"))
    lines = b.expect(0, "explain", "GT-101.h2s").stdout.splitlines()
    b.check([line.split()[0] for line in lines[1:]] == ["h2s:GT-101.h2s", "tank:_"], "what watches a sensor", lines)
    document = json.loads(b.expect(0, "--json", "explain", "GT-101.h2s").stdout)
    b.check([a["alarm"] for a in document["alarms"]] == ["h2s:GT-101.h2s", "tank:_"], "the same as JSON", document)
    b.check("no rule watches 气体-1.h2s" in b.expect(0, "explain", "气体-1.h2s").stdout, "nothing watches it")
    del ALARMS[-1]


PLAIN = """gateway = { id = "edge"; site = "site"; };
buses = ( { name = "b"; type = "tcp"; host = "127.0.0.1"; port = 1502; } );
zones = ( { id = "A"; name = "A"; } );
devices = ( { id = "GT-1"; zone = "A"; bus = "b"; unit = 1; points = (
  { name = "h2s"; kind = "gas"; unit = "ppm"; register = 0; type = "uint16"; range = [0.0, 100.0]; } ); } );
rules = ( { name = "h2s"; points = ["GT-1.h2s"]; red = { above = %s; }; } );
"""


def differing(b):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "davyd.conf"
        file.write_text(PLAIN % "14.0", encoding="utf-8")
        flat = {"gateway.id": "edge", "gateway.site": "site", "buses.b.name": "b", "buses.b.type": "tcp",
                "buses.b.host": "127.0.0.1", "zones.A.id": "A", "zones.A.name": "A", "devices.GT-1.id": "GT-1",
                "devices.GT-1.zone": "A", "devices.GT-1.bus": "b", "devices.GT-1.points.h2s.name": "h2s",
                "devices.GT-1.points.h2s.kind": "gas", "devices.GT-1.points.h2s.unit": "ppm",
                "devices.GT-1.points.h2s.type": "uint16", "rules.h2s.name": "h2s"}
        settings = {**{path: f'"{value}"' for path, value in flat.items()}, "buses.b.port": "1502",
                    "devices.GT-1.unit": "1", "devices.GT-1.points.h2s.register": "0",
                    "devices.GT-1.points.h2s.range": "[0, 100]", "rules.h2s.points": '["GT-1.h2s"]',
                    "rules.h2s.red.above": "14"}

        def serve(**changes):
            now = {path: value for path, value in {**settings, **changes}.items() if value is not None}
            b.daemon.settings = [{"path": path, "value": now[path]} for path in sorted(now)]
            b.daemon.file = str(file)
        serve()
        b.check(b.expect(0, "diff").stdout == "no difference\n", "no difference", b.run("diff"))
        b.check([r["from"] for r in b.daemon.requests] == [0, 7, 14], "pages", b.daemon.requests)
        b.daemon.switches = 2
        b.check(b.expect(0, "diff").stdout == "no difference\n", "begins anew after a reload")
        b.daemon.switches = 99
        b.check("changes all the time" in b.expect(1, "diff").stderr, "gives up")
        b.daemon.switches = 0
        serve(**{"rules.h2s.red.above": "20", "gateway.id": '"other"', "buses.b.port": "1503",
                 "rules.h2s.yellow.above": "5"})
        text = b.expect(0, "diff", str(file)).stdout
        for path, running, new, effect in (("rules.h2s.red.above", "20", "14", "at a reload"),
                                           ("rules.h2s.yellow.above", "5", "-", "at a reload"),
                                           ("gateway.id", '"other"', '"edge"', "at a restart"),
                                           ("buses.b.port", "1503", "1502", "opens the bus anew")):
            b.check(re.search(rf"^{re.escape(path)} +{re.escape(running)} +{re.escape(new)} +.*{effect}", text, re.M), path,
                    text)
        b.check(len(text.splitlines()) == 5, "nothing else", text)
        document = json.loads(b.expect(0, "--json", "diff").stdout)
        b.check(document["ok"] and document["file"] == str(file) and document["changes"][0] == {
            "path": "buses.b.port", "running": "1503", "file": "1502", "effect": "bus"}, "diff --json", document)
        file.write_text(PLAIN % '"much"', encoding="utf-8")
        b.check("davyd.conf:6" in b.expect(1, "diff").stderr, "problems of the file")
        document = json.loads(b.expect(1, "--json", "diff").stdout)
        b.check(document["ok"] is False and document["problems"][0]["line"] == 6, "as JSON", document)
        b.expect(1, "diff", str(file) + ".gone")


def reading(b):
    text = b.expect(0, "read", "field-1", "1", "holding", "100", "2").stdout
    b.check(re.search(r"^ *100 +40101 +16672 +0x4120 +5 8 14$", text, re.M), "raw registers", text)
    b.check(re.search(r"float32 +ABCD +yes +10$", text, re.M), "every type", text)
    b.check(re.search(r"float32 +CDAB +- ", text, re.M) and "would be" not in text, "what is not plausible", text)
    b.check(b.daemon.requests[0] == {"verb": "read", "bus": "field-1", "unit": 1, "table": "holding", "register": 100,
                                     "count": 2}, "request", b.daemon.requests)
    text = b.expect(0, "read", "field-1", "1", "holding", "200", "2").stdout
    b.check("register 201 as float32, order ABCD, would be 10: one behind" in text, "one beside", text)
    beside = json.loads(b.expect(0, "--json", "read", "field-1", "1", "holding", "200", "2").stdout)["beside"]
    b.check(beside["register"] == 201 and beside["value"] == 10, "one beside", beside)
    for number, meant in (("30106", "105"), ("106", "105")):
        text = b.expect(1, "read", "field-1", "1", "input", number, "1").stderr
        b.check("exception 2" in text and f"register {meant} answers" in text and f"30106 of the documentation" in text,
                "a number of the documentation", text)
    text = b.expect(0, "read", "field-1", "1", "coil", "0x10", "3").stdout
    b.check(re.findall(r"^ *(\d+) +\d+ +([01])$", text, re.M) == [("16", "1"), ("17", "0"), ("18", "1")], "bits", text)
    json.loads(b.expect(0, "--json", "read", "field-1", "1", "holding", "100", "2").stdout)
    b.expect(2, "read", "field-1", "one", "holding", "100", "2")
    b.expect(2, "read", "field-1", "1", "attic", "100", "2")
    b.expect(2, "read", "field-1", "1", "holding", "65536", "2")


def on_terminal(b, **environment):
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, int(environment.get("COLUMNS", 0)), 0, 0))
    subprocess.run([b.program, "--socket", b.socket, "alarms"], stdout=child, timeout=20, check=False,
                   env={**os.environ, **environment})
    os.close(child)
    text = b""
    try:
        while chunk := os.read(parent, 65536):
            text += chunk
    except OSError:
        pass
    os.close(parent)
    return text


def colours(b):
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    os.environ.clear()
    os.environ.update(environment)
    b.check("\x1b" not in b.run("alarms").stdout, "no colour in a file")
    b.check(b"\x1b[1;31mred\x1b[0m" in on_terminal(b), "colour on a terminal")
    b.check(b"\x1b" not in on_terminal(b, NO_COLOR="1"), "NO_COLOR")


def narrow(b):
    """The worst first, and no wider than the screen."""
    ALARMS.append(alarm("h2s:GT-108.h2s", "red", message="罐区一 " + "very long " * 30))
    ALARMS.insert(0, alarm("h2s:GT-109.h2s", "blue"))
    listed = json.loads(b.expect(0, "--json", "alarms").stdout)["alarms"]
    b.check([a["level"] for a in listed] == ["red", "red", "yellow", "yellow", "yellow", "blue"], "the worst first", listed)
    b.check([a["alarm"] for a in listed][-2:] == ["fault:GT-103", "h2s:GT-109.h2s"], "acknowledged ones behind", listed)
    wide = b.expect(0, "alarms").stdout
    b.check("NOTE" in wide and "very long " * 30 in wide, "a file has all", wide)
    text = on_terminal(b, COLUMNS="150", NO_COLOR="1").decode()
    rows = text.split("\r\n")[:-1]
    b.check("NOTE" not in text and "MESSAGE" in text and "…" in text, "a screen has what is there", text)
    b.check(len(rows) == 7 and all(len(row) <= 150 for row in rows), "no wider than the screen", rows)
    del ALARMS[0], ALARMS[-1]


def watching(b):
    b.expect(2, "watch")
    hidden = alarm("h2s:GT-107.h2s", None, "out-of-service", below="normal", out_of_service=True)
    ALARMS[0:0] = [SHELVED, hidden]
    parent, child = pty.openpty()
    process = subprocess.Popen([b.program, "--socket", b.socket, "watch"], stdin=child, stdout=child, stderr=child)
    os.close(child)
    text = b""
    while b"GT-107" not in text:
        text += os.read(parent, 65536)
    os.write(parent, b"q")
    try:
        while chunk := os.read(parent, 65536):
            text += chunk
    except OSError:
        pass
    os.close(parent)
    b.check(process.wait(timeout=10) == 0, "q ends the watch")
    b.check(text.startswith(b"\x1b[?1049h") and text.endswith(b"\x1b[?1049l"), "the screen is put back", text)
    b.check(text.index(b"h2s:GT-101") < text.index(b"fault:GT-103") < text.index(b"GT-107"), "worst first", text)
    b.check(b"0 shelved   0 out of service" in text and b"shelved (returned)" in text, "what is hidden", text)
    del ALARMS[0:2]


def completing(b):
    """As readline divides a line: a colon is a word of its own."""
    script = pathlib.Path(__file__).resolve().parents[2] / "src/ctl/davyctl.bash"

    def completions(*words):
        line = ["davyctl", "--socket", str(b.socket), *words]
        text = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _davyctl; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", text, script, *line], capture_output=True, text=True, timeout=20, check=False,
                              env={**os.environ, "PATH": f"{pathlib.Path(b.program).resolve().parent}:{os.environ['PATH']}"})
        return done.stdout.split()
    for words, expected in ((["expl"], ["explain"]),
                            (["ack", "h2s"], ["h2s:GT-101.h2s", "h2s:GT-102.h2s", "h2s:GT-104.h2s"]),
                            (["ack", "h2s", ":"], ["GT-101.h2s", "GT-102.h2s", "GT-104.h2s"]),
                            (["ack", "h2s", ":", "GT-101"], ["GT-101.h2s"]),
                            (["ack", "fault", ":", "GT"], ["GT-103"]),
                            (["ack", "h2s", ":", "XX"], []),
                            (["explain", "mq"], ["mqtt"]), (["explain", "GT-102"], ["GT-102", "GT-102.h2s"]),
                            (["points", "GT"], ["GT-101", "GT-102", "GT-101.h2s", "GT-102.h2s"]),
                            (["events", "--level", "o"], ["orange"])):
        b.check(completions(*words) == expected, f"completion of {words}", completions(*words))


def main():
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(sys.argv[1] if len(sys.argv) > 1 else os.environ["DAVYCTL"], pathlib.Path(folder))
        for part in (usage, unreachable, listings, acknowledging, covering, explaining, differing, reading, colours, narrow,
                     watching, completing):
            part(bench)
        return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
