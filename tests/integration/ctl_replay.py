#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""davyctl replay: recorded readings, and two configurations against each other, on cases worked out by hand.

usage: ctl_replay.py [DAVYCTL RECORD_TRACE]      default: $DAVYCTL $RECORD_TRACE; exit 0, or 1 with what went wrong
"""
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = float(os.environ.get("DAVY_PATIENCE") or 1)  # as in plant.py
HEADER = "time,point,value,quality\n"
START = 1700000000  # 2023-11-14T22:13:20Z
CONFIG = """
gateway = { id = "edge-07"; site = "north-plant"; };
buses = ( { name = "b1"; type = "tcp"; host = "127.0.0.1"; port = 1502; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "gas"; points = (
    { name = "h2s"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "uint16"; scale = 0.1;
      range = [0.0, %(high)s]; max_age = "%(max_age)s"; } ); } );
devices = ( %(devices)s );
rules = ( { name = "h2s"; points = ["*.h2s"]; orange = { above = %(limit)s; on_delay = "%(delay)s"; }; deadband = 0.5;
            %(red)s }%(more)s );
"""
DEVICE = '{ id = "%s"; bus = "b1"; unit = %d; zone = "A1"; interval = "1s"; profile = "gas"; }'
LOW = ', { name = "low"; points = ["*.h2s"]; blue = { below = 1.0; }; }'


def config(limit=10.0, delay="0s", more="", devices=("GT-101", "GT-102"), high=100.0, max_age="1h",
           red="red = { above = 30.0; };"):
    units = ", ".join(DEVICE % (name, unit) for unit, name in enumerate(devices, 1))
    return CONFIG % {"limit": limit, "delay": delay, "more": more, "devices": units, "high": high, "max_age": max_age, "red": red}


def rows(*readings, device="GT-101"):
    """(second, value) or (second, value, quality) each."""
    return [(r[0], f"{START + r[0]},{r[3] if len(r) > 3 else device}.h2s,{r[1]},{r[2] if len(r) > 2 else ''}\n") for r in readings]


def text_of(*lists):
    return HEADER + "".join(line for _, line in sorted((row for rows_ in lists for row in rows_), key=lambda row: row[0]))


class Bench:
    def __init__(self, program, record, folder):
        self.program = program
        self.record_trace = record
        self.folder = folder
        self.failures = 0

    def check(self, truth, what, *shown):
        if not truth:
            self.failures += 1
            print("FAILED:", what, *shown)

    def expect(self, code, *arguments, text=None, zone="UTC"):
        result = subprocess.run([self.program, *arguments], capture_output=True, text=True, timeout=60, input=text,
                                check=False, env={**os.environ, "TZ": zone})
        self.check(result.returncode == code, f"exit {code} of {arguments}", result)
        return result

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def record(self, name, configuration, *traces, killed=False):
        folder = self.folder / name
        folder.mkdir()
        files = [self.write(f"{name}-{i}.csv", trace) for i, trace in enumerate(traces)]
        subprocess.run([self.record_trace, *(["--killed"] if killed else []), configuration, folder, *files], check=True)
        return folder

    def events(self, result):
        return [json.loads(line) for line in result.stdout.splitlines()]


def short(event):
    return event["event"], event["rule"], event["device"], event["time"][11:19]


WAVE = rows((0, 5), (60, 12), (120, 5), (180, 12), (200, 31), (240, 9.6), (300, 9.4), (360, 5))


def recorded(b):
    """A database gives what its trace gives."""
    conf = b.write("now.conf", config())
    trace = text_of(WAVE, rows((10, 40), (250, "", "bad:comm"), (290, 1, "uncertain:settling"), (340, 200), device="GT-102"))
    folder = b.record("plain", conf, trace)
    wanted = b.expect(0, "replay", "--config", conf, "--input", b.folder / "plain-0.csv")
    b.check(wanted.stdout.count("\n") >= 8, "events of the trace", wanted)
    for database in (folder, folder / "readings.db"):
        for _ in range(2):
            got = b.expect(0, "replay", "--config", conf, "--database", database)
            b.check(got.stdout == wanted.stdout and got.stderr == "", "the database gives what the trace gives", got)
    killed = b.record("killed", conf, trace, killed=True)
    b.check((killed / "readings.db-wal").stat().st_size > 0, "a -wal is left")
    b.check(b.expect(0, "replay", "--config", conf, "--database", killed).stdout == wanted.stdout, "while it is written")


def periods(b):
    conf, folder = b.folder / "now.conf", b.folder / "plain"
    everything = b.events(b.expect(0, "replay", "--config", conf, "--database", folder))
    for since in (START + 200, "160s", "2023-11-14T22:16:40Z"):  # the newest reading is at 360
        got = b.events(b.expect(0, "replay", "--config", conf, "--database", folder, "--since", str(since)))
        b.check(got == [e for e in everything if e["time"] >= "2023-11-14T22:16:40"], f"--since {since}", got)
    got = b.events(b.expect(0, "replay", "--config", conf, "--database", folder, "--until", "160s"))
    b.check(got == [e for e in everything if e["time"] <= "2023-11-14T22:16:40.000Z"], "--until, inclusive", got)
    got = b.events(b.expect(0, "replay", "--config", conf, "--database", folder, "--until", "1h", "--since", "1d"))
    b.check(got == [], "before the first reading")
    b.check(b.expect(0, "replay", "--config", conf, "--database", folder, "--until", "2040-01-01T00:00:00Z").stdout.count("\n")
            == len(everything), "time does not go on behind the newest reading")
    b.check("nothing is recorded" in b.expect(1, "replay", "--config", conf, "--database", folder, "--since",
                                              "2040-01-01T00:00:00Z").stderr, "a period behind the end")
    for option in ("--since", "--until"):
        b.check("nor a duration back from the end" in b.expect(2, "replay", "--config", conf, "--database", folder, option,
                                                               "soon").stderr, option)
    b.check("is not a time" in b.expect(2, "replay", "--config", conf, "--input", "-", "--since", "1h", text=HEADER).stderr,
            "a trace has no end to count back from")
    late = b.events(b.expect(0, "replay", "--config", conf, "--input", b.folder / "plain-0.csv", "--since", str(START + 200)))
    b.check(late == [e for e in everything if e["time"] >= "2023-11-14T22:16:40"], "--since of a trace", late)


def warming_up(b):
    """A delay that began before --since still ends when it would have."""
    conf = b.write("slow.conf", config(delay="5min"))
    folder = b.record("slow", conf, text_of(rows((0, 5), (100, 12), (500, 12))))
    got = b.events(b.expect(0, "replay", "--config", conf, "--database", folder, "--since", str(START + 300)))
    b.check([short(e) for e in got] == [("raised", "h2s", "GT-101", "22:20:00")], "warmed up", got)


def unknown(b):
    folder = b.folder / "plain"
    conf = b.write("one.conf", config(devices=("GT-101",)))
    result = b.expect(0, "replay", "--config", conf, "--database", folder)
    b.check({e["device"] for e in b.events(result)} == {"GT-101"}, "only what is configured", result)
    b.check("4 readings of points that are not configured were left out, such as GT-102.h2s" in result.stderr
            and result.stderr.count("\n") == 1, "said once", result.stderr)
    b.expect(1, "replay", "--config", conf, "--input", b.folder / "plain-0.csv")


def judging(b):
    """What was recorded is not judged anew, but for a range that is narrower now."""
    conf = b.folder / "now.conf"
    folder = b.record("ranges", conf, text_of(rows((0, 5), (10, 8), (20, 120), (30, 5))))
    narrow = b.write("narrow.conf", config(limit=6.5, high=7.0, red=""))
    wide = b.write("wide.conf", config(limit=110.0, high=1000.0, red="red = { above = 500.0; };"))
    for configuration, level, value in ((narrow, "orange", 7), (wide, "red", 1000)):
        got = b.events(b.expect(0, "replay", "--config", configuration, "--database", folder))
        b.check([(e["level"], e["value"], e["reason"]) for e in got if e["event"] == "raised"] == [(level, value, "over-range")],
                "over-range is evaluated at the end of the range", got)


def silence(b):
    """`stale` is what was recorded as such, once; a daemon that was down was not silent."""
    conf = b.write("stale.conf", config(max_age="10s"))
    silent = rows((0, 12), (10, "", "bad:stale"), (40, 12), (50, "", "bad:stale"), (90, 5), (95, 5))
    folder = b.record("stale", conf, text_of(silent))
    wanted = b.expect(0, "replay", "--config", conf, "--input", "-", text=text_of([r for r in silent if "stale" not in r[1]]))
    got = b.expect(0, "replay", "--config", conf, "--database", folder)
    b.check(got.stdout == wanted.stdout and len(b.events(got)) >= 2, "no stale reading twice", got, wanted)
    folder = b.record("down", conf, text_of(rows((0, 12), (3600, 12), (3601, 5))))
    got = b.events(b.expect(0, "replay", "--config", conf, "--database", folder))
    b.check([short(e)[:2] for e in got] == [("raised", "h2s"), ("cleared", "h2s")], "down for an hour", got)


def clock_set_back(b):
    conf = b.folder / "now.conf"
    folder = b.record("back", conf, text_of(rows((3600, 5), (3660, 12), (3720, 12))), text_of(rows((0, 12), (60, 5), (61, 4))))
    got = b.events(b.expect(0, "replay", "--config", conf, "--database", folder))
    b.check([short(e) for e in got] == [("raised", "h2s", "GT-101", "23:14:20"), ("cleared", "h2s", "GT-101", "22:14:20")],
            "times as recorded, in the order of the record", got)
    crossing = b.record("crossing", conf, text_of(rows((10, 12))), text_of(rows((9.5, 12), (20, 5), device="GT-102")))
    got = b.events(b.expect(0, "replay", "--config", conf, "--database", crossing))
    b.check([e["event"] for e in got] == ["raised", "raised", "cleared"], "readings that cross", got)


def bad_databases(b):
    conf = b.folder / "now.conf"
    b.check("missing.db" in b.expect(1, "replay", "--config", conf, "--database", b.folder / "missing.db").stderr, "missing")
    b.check("not a database" in b.expect(1, "replay", "--config", conf, "--database", conf).stderr, "not a database")
    (b.folder / "empty").mkdir()
    b.expect(1, "replay", "--config", conf, "--database", b.folder / "empty")
    b.check("no readings are recorded" in b.expect(1, "replay", "--config", conf, "--database",
                                                   b.record("nothing", conf, HEADER)).stderr, "empty")
    for wrong in ((), ("--input", "-", "--database", b.folder / "plain")):
        b.check("one of --input" in b.expect(2, "replay", "--config", conf, *wrong, text=HEADER).stderr, "one source", wrong)
    b.expect(1, "replay", "--config", conf, "--against", b.folder / "missing.conf", "--input", "-", text=HEADER)
    damaged = b.folder / "damaged.db"
    data = bytearray((b.folder / "plain" / "readings.db").read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    damaged.write_bytes(data)
    result = b.expect(1, "--json", "replay", "--config", conf, "--database", damaged)
    b.check(json.loads(result.stdout)["ok"] is False and "damaged.db" in result.stderr, "damaged", result)


# With 10 as limit: 180-240, 400-420, 440-460. With 8: 60-120, 180-300, 400-460.
CASE = rows((0, 5), (60, 9), (120, 5), (180, 12), (240, 9), (300, 5), (400, 12), (420, 9), (440, 12), (460, 5))
# The same under both: 100-150 (red from 110); and what only the rule `low` sees: 500-550.
OTHER = rows((0, 5), (100, 20), (110, 35), (150, 5), (500, 0.5), (550, 5), (600, 5), device="GT-102")


def at(second):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(START + second))


def told(change):
    def side(name):
        return [(e["level"], e["begin"], e["end"], e["value"], e["limit"]) for e in change[name]]
    return change["change"], change["alarm"], side("before"), side("after")


def comparing(b):
    new, current = b.write("new.conf", config(limit=8.0)), b.write("current.conf", config(more=LOW))
    trace = b.write("case.csv", text_of(CASE, OTHER))
    folder = b.record("case", current, trace.read_text())
    key = "h2s:GT-101.h2s"
    wanted = [("appears", key, [], [("orange", at(60), at(120), 9, 8)]),
              ("moves", key, [("orange", at(180), at(240), 12, 10)], [("orange", at(180), at(300), 12, 8)]),
              ("moves", key, [("orange", at(400), at(420), 12, 10), ("orange", at(440), at(460), 12, 10)],
               [("orange", at(400), at(460), 12, 8)]),
              ("vanishes", "low:GT-102.h2s", [("blue", at(500), at(550), 0.5, 1)], [])]
    for source in (("--input", trace), ("--database", folder)):
        arguments = ("--json", "replay", "--config", new, "--against", current, *source)
        result = b.expect(0, *arguments)
        b.check(b.expect(0, *arguments).stdout == result.stdout, "the same twice")
        document = json.loads(result.stdout)
        b.check([told(c) for c in document["changes"]] == wanted, "changes", json.dumps(document["changes"], indent=1))
        b.check([document[k] for k in ("ok", "appear", "vanish", "move", "stay", "readings")] == [True, 1, 1, 2, 1, 17],
                "counts", document)
        rules = {r["rule"]: (r["before"], r["after"]) for r in document["rules"]}
        b.check(list(rules) == ["h2s", "low"], "rules in order", rules)
        b.check([(t["orange"], t["red"], t["alarms"], t["seconds"]) for t in rules["h2s"]] == [(3, 1, 4, 150), (3, 1, 4, 290)],
                "a rule", rules)
        b.check([(t["blue"], t["seconds"]) for t in rules["low"]] == [(1, 50), (0, 0)], "a rule that goes", rules)
        before, after = document["before"], document["after"]
        b.check((before["alarms"], after["alarms"], before["most_in_10_minutes"], after["most_on_one_day"]) == (5, 4, 5, 4)
                and abs(before["alarms_per_day"] - 5 * 86400 / 600) < 1e-9, "rates", before, after)
        b.check([d["day"] for d in document["days"]] == ["2023-11-14"], "days", document["days"])
    same = json.loads(b.expect(0, "--json", "replay", "--config", new, "--against", new, "--input", trace).stdout)
    b.check(same["changes"] == [] and same["stay"] == 4, "nothing changes", same)


def tables(b):
    arguments = ("replay", "--config", b.folder / "new.conf", "--against", b.folder / "current.conf", "--input",
                 b.folder / "case.csv")
    text = b.expect(0, *arguments).stdout
    b.check("1 appear, 1 vanish, 2 move, 1 stay" in text and "\x1b" not in text, "head", text)
    b.check(re.search(r"^appears +h2s:GT-101\.h2s +orange +2023-11-14T22:14:20\.000Z +1min 0s +9 +≥ 8$", text, re.M), "appears", text)
    b.check(re.search(r"^moves +h2s:GT-101\.h2s .* 1min 0s +12 +≥ 10\n  to +h2s.* 2min 0s +12 +≥ 8$", text, re.M), "moves", text)
    b.check(re.search(r"^h2s +- +- +3 +1 +4 +2min 30s → 4min 50s$", text, re.M), "a rule", text)
    b.check(re.search(r"^2023-11-14 +1 → 0 +- +3 +1 +5 → 4 ", text, re.M), "a day", text)
    b.check(re.search(r"^most in 10 minutes +5 +4$", text, re.M), "a rate", text)
    east = b.expect(0, *arguments, zone="Asia/Shanghai").stdout
    b.check(re.search(r"^2023-11-15 ", east, re.M), "days are local", east)
    placed = b.write("placed.conf", config(limit=8.0).replace('site = "north-plant";', 'site = "s"; timezone = "Asia/Shanghai";'))
    there = b.expect(0, "replay", "--config", placed, *arguments[3:]).stdout
    b.check(re.search(r"^2023-11-15 ", there, re.M), "to the plant", there)


def edges_of_the_period(b):
    """What goes on at both ends; a day that is cut by midnight; a point that only one of the two knows."""
    current = b.write("edge-now.conf", config(devices=("GT-101", "GT-102")))
    new = b.write("edge-new.conf", config(limit=8.0, devices=("GT-101", "GT-103")))
    trace = b.write("edge.csv", text_of(rows((0, 5), (10, 12), (7200, 12)), rows((20, 9), (7100, 9), device="GT-103"),
                                        rows((30, 12), (40, 5), device="GT-102")))
    document = json.loads(b.expect(0, "--json", "replay", "--config", new, "--against", current, "--input", trace,
                                   "--since", str(START + 15), "--until", str(START + 7300)).stdout)
    b.check([(c["change"], c["alarm"]) for c in document["changes"] if c["rule"] == "h2s"] ==
            [("appears", "h2s:GT-103.h2s"), ("vanishes", "h2s:GT-102.h2s")], "changes", document["changes"])
    episode = document["changes"][0]["after"][0]
    b.check(episode["open"] and not episode["begun_before"] and episode["end"] == at(7300), "goes on", episode)
    days = {d["day"]: d["after"] for d in document["days"]}
    b.check(list(days) == ["2023-11-14", "2023-11-15"] and days["2023-11-15"]["alarms"] == 0
            and days["2023-11-15"]["seconds"] >= 2 * (7300 - 6400) and days["2023-11-14"]["orange"] == 1, "midnight", days)
    stay = json.loads(b.expect(0, "--json", "replay", "--config", current, "--against", current, "--input", "-", "--since",
                               str(START + 15), text=text_of(rows((0, 5), (10, 12), (100, 5)))).stdout)
    b.check(stay["stay"] == 1 and stay["before"]["alarms"] == 0 and stay["before"]["seconds"] == 85, "began before", stay)
    b.check("no readings" in b.expect(1, "replay", "--config", new, "--against", current, "--input", "-", text=HEADER).stderr,
            "nothing to compare")


def commands(b):
    conf = b.folder / "now.conf"
    trace = (f"{START},GT-101.h2s,12,\n{START + 1},!ack,h2s GT-101.h2s\n{START + 2},GT-101.h2s,5,\n"
             f"{START + 3},!unshelve,h2s GT-101.h2s,\n")
    got = b.events(b.expect(0, "replay", "--config", conf, "--input", "-", text=HEADER + trace))
    b.check([e["event"] for e in got] == ["raised", "acknowledged", "cleared"], "a refused command gives no event", got)
    trace = rows((0, 5), (100, 12), (300, 12), (400, 5), (500, 12), (600, 5)) + [
        (50, f"{START + 50},!shelve,h2s GT-101.h2s 5min valve is open\n"),
        (450, f"{START + 450},!out-of-service,h2s GT-101.h2s no spare part,\n"),
        (550, f"{START + 550},!in-service,h2s GT-101.h2s\n"),
        (560, f"{START + 560},!shelve,h2s GT-101.h2s for the default time\n"),
        (570, f"{START + 570},!shelve,h2s GT-101.h2s 13h longer than may be\n"),
        (580, f"{START + 580},!unshelve,h2s GT-101.h2s,\n")]
    got = b.events(b.expect(0, "replay", "--config", conf, "--input", "-", text=text_of(trace)))
    found = [(e["event"], e["state"], e["by"], e["note"], e["time"][14:19]) for e in got if e["rule"] == "h2s"]
    wanted = [("shelved", "shelved", "replay", "valve is open", "14:10"), ("raised", "shelved", None, None, "15:00"),
              ("unshelved", "unacknowledged", None, None, "19:10"), ("cleared", "returned", None, None, "20:00"),
              ("out-of-service", "out-of-service", "replay", "no spare part", "20:50"),
              ("raised", "out-of-service", None, None, "21:40"), ("in-service", "unacknowledged", "replay", None, "22:30"),
              ("shelved", "shelved", "replay", "for the default time", "22:40"), ("unshelved", "unacknowledged", "replay", None, "23:00"),
              ("cleared", "returned", None, None, "23:20")]
    b.check(found == wanted, "covers", found)
    vote = b.write("vote.conf", config(more=', { name = "two"; points = ["*.h2s"]; vote = 2; red = { above = 20.0; }; }'))
    both = rows((0, 5), (10, 25), (40, 5)) + rows((0, 5), (20, 25), (50, 5), device="GT-102")
    got = b.events(b.expect(0, "replay", "--config", vote, "--input", "-",
                            text=text_of(both + [(30, f"{START + 30},!ack,two _\n")])))
    b.check([e["event"] for e in got if e["rule"] == "two"] == ["raised", "acknowledged", "cleared"], "a vote's point is _", got)
    for row, reason in ((f"{START},!shelve,h2s GT-101.h2s 1h\n", "-:2: !shelve: a reason is needed"),
                        (f"{START},!out-of-service,h2s GT-109.h2s why\n", "-:2: !out-of-service: unknown point 'GT-109.h2s'")):
        b.check(reason in b.expect(1, "replay", "--config", conf, "--input", "-", text=HEADER + row).stderr, reason)


def forecasting(b):
    """How long until the limit: only while the line goes there, not while it comes back from beyond."""
    conf = b.write("forecast.conf", config(limit=50.0, red="").replace(
        'points = ["*.h2s"];', 'points = ["*.h2s"]; measure = { type = "forecast"; window = "3s"; horizon = "10s"; };', 1))
    trace = text_of(rows((0, 10), (1, 15), (2, 20), (3, 80), (4, 60), (5, 51)))
    got = b.events(b.expect(0, "replay", "--config", conf, "--input", "-", text=trace))
    told = [(e["event"], ", reached in " in e["message"]) for e in got if e["rule"] == "h2s"]
    b.check(told == [("raised", True), ("cleared", False)], "time to the limit", got)


def stopping(b):
    """Ctrl-C while it waits for input: what was found is out, in whole lines; and the progress on a terminal."""
    conf = b.folder / "now.conf"
    arguments = [b.program, "replay", "--config", conf, "--input", "-"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write((HEADER + f"{START},GT-101.h2s,12,\n{START + 1},GT-101.h2s,5,\n").encode())
        process.stdin.flush()
        time.sleep(0.5 * PATIENCE)
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
        process.wait(10)
    b.check(process.returncode == -signal.SIGINT and out.count(b"\n") == 2 and out.endswith(b"}\n") and err == b"", "Ctrl-C",
            process.returncode, out, err)
    master, slave = pty.openpty()
    many = "".join(f"{START + i},GT-101.h2s,5,\n" for i in range(20000)).encode()
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=slave) as process:
        os.close(slave)
        process.stdin.write(HEADER.encode())
        process.stdin.flush()
        time.sleep(2.3 * PATIENCE)
        process.stdin.write(many)
        process.stdin.close()
        shown = b""
        try:
            while chunk := os.read(master, 4096):
                shown += chunk
        except OSError:
            pass  # the other side is closed
        process.wait(10)
    os.close(master)
    b.check(process.returncode == 0 and b"million readings" in shown and shown.endswith(b"\r\x1b[K"), "progress", shown)


def main():
    given = sys.argv[1:] or [os.environ["DAVYCTL"], os.environ["RECORD_TRACE"]]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(*given, pathlib.Path(folder))
        for part in (recorded, periods, warming_up, unknown, judging, silence, clock_set_back, bad_databases, comparing,
                     tables, edges_of_the_period, commands, forecasting, stopping):
            part(bench)
        return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
