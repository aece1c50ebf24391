#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""davyctl against a daemon that is only played: canned answers on a unix socket.

usage: ctl_cli.py [DAVYCTL]      default: $DAVYCTL; exit 0, or 1 with what went wrong
"""
import json
import os
import pathlib
import pty
import re
import socket
import subprocess
import sys
import tempfile
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
            "reason": None, "message": "Tank farm H2S: 15.2 ppm", **more}


STATUS = {"state": "online", "since": "2026-11-23T08:01:02.345Z", "version": "0.1.0", "boot_id": "b", "config": "sha256:0",
          "last_seq": 7, "outbox": {"events": 1, "telemetry": 2}, "confirmed_seq": None,
          "alarms": {"blue": 0, "yellow": 1, "orange": 0, "red": 2, "unacknowledged": 3, "shelved": 0,
                     "out_of_service": 0},
          "points": {"good": 3, "uncertain": 0, "bad": 1},
          "buses": [{"name": "field-1", "state": "up", "utilization": 0.415, "requests": 1000, "errors": 3, "age_s": 0.2}],
          "storage": {"bytes": 1048576, "free_bytes": 104857600, "ok": True}, "clock": "synchronized"}

POINTS = [point("GT-101.h2s", 15.2, level="red"), point("GT-102.h2s", None, quality="bad", reason="comm"),
          point("气体-1.h2s", 0.1, name="罐区一"), point("evil", name="\x1b[2J\u202ehidden\nline")]
ALARMS = [alarm("h2s:GT-101.h2s", "red"), alarm("h2s:GT-102.h2s"), alarm("fault:GT-103", state="acknowledged"),
          alarm("h2s:GT-104.h2s"), alarm("h2s:GT-105.h2s", None, "normal", id=None)]


class Daemon(threading.Thread):
    """Answers by verb; keeps every request that it got. Two items a page."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.requests = []
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
            return {"ok": True, "status": STATUS, "buses": [], "directory": "/nowhere", "config_file": "/etc/davy/davyd.conf"}
        if verb == "points":
            items, more = self.page(POINTS, "point", r)
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
            return {"ok": True, "words": [0x4120, 0x0000] if r["table"] == "holding" else [1, 0, 1]}
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
    b.expect(2, "explode")
    for verb in ("shelve", "unshelve", "inhibit", "explain", "diff", "risk", "kpi", "scan", "identify", "frames", "export",
                 "backup", "out-of-service", "in-service", "uninhibit"):
        result = b.expect(2, verb, "x")
        b.check("not available in this version" in result.stderr, verb, result)
    b.expect(2, "ack")
    b.expect(2, "status", "more")
    b.expect(2, "status", "--since", "1h")
    b.expect(2, "ack", "a", "--note")
    b.expect(2, "alarms", "--all=1")
    b.expect(2, "alarms", "--all", "--all")
    b.expect(2, "-x")
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
    b.expect(0, "points", "GT-*")
    b.check(b.daemon.requests[0]["glob"] == "GT-*", "the glob is the daemon's", b.daemon.requests)
    document = b.expect(0, "points", "--json").stdout
    b.check(json.loads(document)["points"] == POINTS and "\x1b" not in document and '"value": 15.2,' in document, "json",
            document)
    b.check("GT-105" not in b.expect(0, "alarms").stdout, "alarms")
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
    b.check("normal" in b.expect(0, "reset", "GT-101.h2s").stdout, "reset")
    b.check(b.daemon.requests == [{"verb": "reset", "alarm": "GT-101.h2s"}], "reset", b.daemon.requests)
    result = b.expect(1, "reload")
    b.check("davyd.conf:3" in result.stderr and "\x1b" not in result.stderr, "problems of a reload", result)
    b.expect(0, "log-level", "debug")


def reading(b):
    text = b.expect(0, "read", "field-1", "1", "holding", "100", "2").stdout
    b.check(re.search(r"100 +16672 +0x4120", text), "raw registers", text)
    b.check(re.search(r"float32 +ABCD +10$", text, re.M), "every type", text)
    b.check(b.daemon.requests[0] == {"verb": "read", "bus": "field-1", "unit": 1, "table": "holding", "register": 100,
                                     "count": 2}, "request", b.daemon.requests)
    text = b.expect(0, "read", "field-1", "1", "coil", "0x10", "3").stdout
    b.check(re.findall(r"^ *(\d+) +([01])$", text, re.M) == [("16", "1"), ("17", "0"), ("18", "1")], "bits", text)
    json.loads(b.expect(0, "--json", "read", "field-1", "1", "holding", "100", "2").stdout)
    b.expect(2, "read", "field-1", "one", "holding", "100", "2")
    b.expect(2, "read", "field-1", "1", "attic", "100", "2")
    b.expect(2, "read", "field-1", "1", "holding", "65536", "2")


def on_terminal(b, **environment):
    parent, child = pty.openpty()
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


def watching(b):
    b.expect(2, "watch")
    parent, child = pty.openpty()
    process = subprocess.Popen([b.program, "--socket", b.socket, "watch"], stdin=child, stdout=child, stderr=child)
    os.close(child)
    text = b""
    while b"GT-104" not in text:
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
    b.check(text.index(b"h2s:GT-101") < text.index(b"fault:GT-103"), "worst first", text)


def main():
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(sys.argv[1] if len(sys.argv) > 1 else os.environ["DAVYCTL"], pathlib.Path(folder))
        for part in (usage, unreachable, listings, acknowledging, reading, colours, watching):
            part(bench)
        return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
