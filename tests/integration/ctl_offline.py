#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""davyctl without a daemon: check, replay, and the verbs that read the databases.

usage: ctl_offline.py [DAVYCTL FILL_DATABASES]      default: $DAVYCTL $FILL_DATABASES; exit 0, or 1 with what went wrong
"""
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile

CONFIG = """
gateway = { id = "edge-07"; site = "north-plant"; %s };
buses = ( { name = "b1"; type = "tcp"; host = "127.0.0.1"; port = 1502; } );
zones = ( { id = "A1"; name = "罐区一"; } );
devices = ( { id = "GT-101"; bus = "b1"; unit = 1; zone = "A1"; interval = "1s"; points = (
    { name = "h2s"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "uint16"; scale = 0.1;
      range = [0.0, 100.0]; max_age = "1h"; } ); } );
rules = ( { name = "h2s"; points = ["GT-101.h2s"]; orange = { above = 7.0; on_delay = "10s"; };
            red = { above = 14.0; latch = true; }; deadband = 0.5; } );
"""
HEADER = "time,point,value,quality\n"


class Bench:
    def __init__(self, program, fill, folder):
        self.program = program
        self.fill = fill
        self.folder = folder
        self.failures = 0

    def check(self, truth, what, *shown):
        if not truth:
            self.failures += 1
            print("FAILED:", what, *shown)

    def expect(self, code, *arguments, text=None, env=None):
        result = subprocess.run([self.program, *arguments], capture_output=True, text=True, timeout=60, input=text,
                                check=False, env={**os.environ, "RUNTIME_DIRECTORY": str(self.folder), **(env or {})})
        self.check(result.returncode == code, f"exit {code} of {arguments}", result)
        return result

    def replay(self, code, rows, *more):
        return self.expect(code, "replay", "--config", self.folder / "good.conf", "--input", "-", *more, text=HEADER + rows)

    def events(self, rows, *more):
        return [json.loads(line) for line in self.replay(0, rows, *more).stdout.splitlines()]


def checking(b):
    (b.folder / "good.conf").write_text(CONFIG % "", encoding="utf-8")
    (b.folder / "late.conf").write_text(CONFIG % 'detect_within = "1s";', encoding="utf-8")
    (b.folder / "bad.conf").write_text(CONFIG.replace("14.0", '"high"') % "", encoding="utf-8")
    text = b.expect(0, "check", b.folder / "good.conf").stdout
    b.check(re.search(r"b1 .*1 requests for 1 points", text) and re.search(r"orange ≥ 7 ppm: .* within 1[01]\.", text), "plan", text)
    (b.folder / "thresholds.conf").write_text("rules = " + (CONFIG % "").split("rules = ")[1], encoding="utf-8")
    part = b.expect(1, "check", b.folder / "thresholds.conf")
    b.check("check the davyd.conf" in part.stderr and part.stderr.count("error:") == 1, "a file to be included", part)
    b.check("detect_within" in b.expect(0, "check", b.folder / "late.conf").stderr, "a late detection is a warning")
    result = b.expect(1, "check", b.folder / "bad.conf")
    b.check(re.search(r"bad\.conf:\d+: error: ", result.stderr) and result.stdout.endswith("bad.conf: 1 errors, 0 warnings\n"), "problems", result)
    document = json.loads(b.expect(1, "--json", "check", b.folder / "bad.conf").stdout)
    b.check(document["ok"] is False and document["problems"][0]["line"] > 1, "check --json", document)
    b.check(json.loads(b.expect(0, "--json", "check", b.folder / "good.conf").stdout)["ok"], "check --json")
    b.expect(1, "check", b.folder / "missing.conf")


def readme(b):
    """The small configuration of README.md is checked as it says there."""
    text = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = {block.split(maxsplit=1)[0]: block for block in re.findall(r"^```\n(.*?)^```$", text, re.S | re.M)}
    folder = b.folder / "readme"
    folder.mkdir()
    (folder / "davyd.conf").write_text(blocks["gateway"], encoding="utf-8")
    (folder / "thresholds.conf").write_text(blocks["rules"], encoding="utf-8")
    plan = b.expect(0, "check", folder / "davyd.conf").stdout
    b.check(plan.replace(f"{folder}/", "") == blocks["1"], "the plan in README.md", plan)


def replaying(b):
    events = b.events("1700000000,GT-101.h2s,8,\n1700000005,GT-101.h2s,15.2,good\n"
                      "1700000006,!ack,h2s GT-101.h2s\n1700000007,!ack,h2s GT-101.h2s,\n"
                      "2023-11-14T22:13:28Z,GT-101.h2s,3,\n1700000020,!reset,h2s GT-101.h2s\n")
    b.check([e["event"] for e in events] == ["raised", "acknowledged", "latched", "reset"], "events", events)
    b.check([e["seq"] for e in events] == [1, 2, 3, 4], "seq", events)
    b.check({e["id"] for e in events} == {"018bcfe5-7b88-7000-8000-000000000001"}, "the id holds the seq", events)
    b.check([e["by"] for e in events] == [None, "replay", None, "replay"], "by", events)
    first = events[0]
    b.check(first["boot_id"] is None and first["latency_ms"] is None and first["clock"] == "replay" and first["durable"]
            and not first["replayed"] and first["time"] == "2023-11-14T22:13:25.000Z" and first["zone_name"] == "罐区一",
            "constants of a replay", first)
    late = "1700000000,GT-101.h2s,8,\n"
    b.check(not b.events(late), "time ends with the last row")
    b.check([e["time"] for e in b.events(late, "--until", "1700000010")] == ["2023-11-14T22:13:30.000Z"],
            "a timer fires at its due time, up to --until")
    b.check(not b.events(late, "--until", "2023-11-14T22:13:29.999Z"), "not before")
    b.check(not b.events("5,GT-101.h2s,99,\n", "--until", "4"), "rows behind --until are left out")
    b.check(not b.events(""), "no rows, no events")
    b.check(b.events("0,GT-101.h2s,120,\n")[0]["reason"] == "over-range", "range checks as live")


def refusing(b):
    for rows, message in (("1,GT-101.co,1,\n", "-:2: unknown point"), ("2,GT-101.h2s,1,\n1,GT-101.h2s,1,\n", "-:3: time"),
                          ("1,GT-101.h2s,,good\n", "-:2: "), ("x\n", "-:2: "), ("1,!shelve,h2s GT-101.h2s 1h\n", "-:2: !shelve: a reason")):
        result = b.replay(1, rows)
        b.check(message in result.stderr and not result.stdout, rows, result)
    result = b.replay(1, "1,GT-101.h2s,20,\n2,GT-101.h2s,1\n")
    b.check(result.stdout.count("\n") == 1, "what came before is printed", result)
    b.expect(1, "replay", "--config", b.folder / "bad.conf", "--input", "-", text=HEADER)
    b.expect(1, "replay", "--config", b.folder / "good.conf", "--input", b.folder / "missing.csv")
    b.expect(1, "replay", "--config", b.folder / "good.conf", "--input", "-", text="")
    b.expect(2, "replay", "--config", b.folder / "good.conf")
    b.expect(2, "replay", "--config", b.folder / "good.conf", "--input", "-", "--until", "soon", text=HEADER)


def presets(b):
    """Every figure can be looked up with its source."""
    text = b.expect(0, "presets").stdout
    b.check(re.search(r"^iso10816-3/group2/rigid +vibration +mm/s rms +- +above 2.8 +above 4.5 +NO$", text, re.M), text)
    b.check(re.search(r"^CO +28.01 +- +20 +30 +PC-TWA +1700 +10.9 +NO$", text, re.M), text)
    gas = b.expect(0, "presets", "硫化氢").stdout
    b.check(gas.startswith("H2S\n") and "10 mg/m3 = 7.05843 ppm, the OEL" in gas and "source" in gas, gas)
    family = json.loads(b.expect(0, "--json", "presets", "gb50493").stdout)
    b.check(len(family["presets"]) == 5 and not family["gases"], "a family", family)
    b.check(all(row["source"] and row["verified"] is False for row in family["presets"]), "provenance", family)
    b.check(family["presets"][0]["orange"]["limit"] == 100 and family["presets"][0]["percent_of"] == "OEL", family)
    b.check("no preset" in b.expect(1, "presets", "nonsense").stderr, "an unknown name")
    none = b.expect(1, "presets", env={"DAVY_DATADIR": str(b.folder / "nowhere")})
    b.check(f"{b.folder}/nowhere" in none.stderr and "/etc/davy" in none.stderr and not none.stdout, "where it looked", none)
    b.expect(2, "presets", "a", "b")
    # The same limits in a trace: 20 mg/m3 of CO are 17.2 ppm, and 10 % below that it is over.
    (b.folder / "preset.conf").write_text((CONFIG % "").replace("h2s", "co").replace('"H2S"', '"CO"').split("rules =")[0]
                                          + 'rules = ( { name = "co"; points = ["*.co"]; preset = "gb50493/toxic"; } );')
    rows = "0,GT-101.co,17.1,\n1,GT-101.co,17.2,\n2,GT-101.co,15.5,\n40,GT-101.co,15.4,\n41,GT-101.co,34.4,\n"
    trace = b.expect(0, "replay", "--config", b.folder / "preset.conf", "--input", "-", "--until", "100",
                     text=HEADER + rows).stdout
    events = [json.loads(line) for line in trace.splitlines()]
    b.check([(e["time"][17:19], e["event"], e["level"]) for e in events] ==
            [("01", "raised", "orange"), ("41", "escalated", "red")], events)
    b.check(round(events[0]["limit"], 1) == 17.2 and events[0]["unit"] == "ppm", events)


def repeating(b):
    trace = b.folder / "long.csv"
    with open(trace, "w", encoding="utf-8") as file:
        file.write(HEADER)
        for i in range(60000):
            file.write(f"{1700000000 + i / 4:.2f},GT-101.h2s,{i * 7919 % 200 / 10},{'bad:comm' if i % 97 == 0 else ''}\n")
    runs = [b.expect(0, "replay", "--config", b.folder / "good.conf", "--input", trace).stdout for _ in range(2)]
    b.check(runs[0] == runs[1] and len(runs[0]) > 1000, "same input, same output")


def strands(file):
    """By tests/record/strands.py: its exit status, and of the events the last that fits, and the hash at the end."""
    program = pathlib.Path(__file__).parent.parent / "record" / "strands.py"
    done = subprocess.run([sys.executable, program, file], capture_output=True, text=True, timeout=60, check=False)
    events = json.loads(done.stdout)["events"]
    return done.returncode, events["last"], events.get("hash")


def querying(b):
    subprocess.run([b.fill, b.folder], check=True)
    ledger, readings = ("--database", b.folder / "ledger.db"), ("--database", b.folder / "readings.db")
    lines = b.expect(0, "events", *ledger).stdout.splitlines()
    b.check(len(lines) == 1201 and lines[0].split()[0] == "SEQ" and "\x1b" not in "".join(lines), "events", lines[:3])
    events = [json.loads(x) for x in b.expect(0, "--json", "events", *ledger, "--limit", "5").stdout.splitlines()]
    b.check([e["seq"] for e in events] == list(range(1196, 1201)) and events[0]["value"] == 15.2, "--limit", events)
    for arguments, count in ((("--level", "red"), 400), (("--zone", "A1"), 600), (("--since", "1700001101"), 100),
                             (("--until", "2023-11-14T22:13:30Z"), 9), (("--since", "1h"), 0)):
        found = b.expect(0, "--json", "events", *ledger, *arguments).stdout.splitlines()
        b.check(len(found) == count, f"{count} of {arguments}", len(found))
    b.expect(2, "events", *ledger, "--level", "violet")
    b.expect(2, "events", *ledger, "--limit", "0")
    for wrong in ("yesterday", "2026-11-23", "1m"):
        said = b.expect(2, "events", *ledger, "--since", wrong).stderr
        b.check("2026-11-23T08:01:02Z" in said and "90min" in said, "what a time looks like", said)
    b.expect(3, "events")
    b.expect(1, "events", "--database", b.folder / "missing.db")
    answer = b.expect(0, "history", "GT-101.h2s", *readings, "--since", "1700000008", "--until", "1700000011")
    text = answer.stdout
    b.check(answer.stderr == "", "history says nothing more where it has readings", answer.stderr)
    nothing = b.expect(0, "history", "GT-101.h2s", *readings, "--since", "1600000000", "--until", "1600000001")
    b.check("no reading in that time" in nothing.stderr, "history without a reading", nothing.stderr)
    rows = [line.split()[1:] for line in text.splitlines()[1:]]
    b.check(rows == [["4", "good"], ["-", "bad:comm"], ["5", "good"]], "history", text)
    steps = json.loads(b.expect(0, "--json", "history", "GT-101.h2s", *readings, "--every", "10min").stdout)["readings"]
    b.check(sum(s["count"] for s in steps) in (3600, 3240) and all(s["min"] <= s["value"] <= s["max"] for s in steps),
            "history --every", steps)
    b.check(steps[2]["coverage"] == 0.9 and {s["rollup"] for s in steps} == {"1min"}, "coverage, and where it is from", steps)
    fine = json.loads(b.expect(0, "--json", "history", "GT-101.h2s", *readings, "--every", "30s").stdout)["readings"]
    b.check({s["rollup"] for s in fine} == {None} and fine[2]["coverage"] == 0.9, "steps shorter than a minute", fine[:3])
    b.check(b.expect(0, "history", "GT-101.h2s", *readings, "--every", "10min").stdout.split()[:2] == ["TIME", "MEAN"], "heads")
    b.expect(2, "history", "GT-101.h2s", *readings, "--every", "often")
    b.check("never been recorded" in b.expect(1, "history", "GT-9.h2s", *readings).stderr, "an unknown point")
    with sqlite3.connect(b.folder / "readings.db") as link:
        table = link.execute("SELECT 'reading_' || min(id) FROM partition").fetchone()[0]
        link.execute(f"UPDATE {table} SET value = 9e999 WHERE rowid = 1")
        link.execute(f"UPDATE {table} SET value = 1.25e300 WHERE rowid = 2")
    huge = json.loads(b.expect(0, "--json", "history", "GT-101.h2s", *readings, "--until", "1700000005").stdout)["readings"]
    b.check([each["value"] for each in huge[:2]] == [None, 1.25e300], "an infinite value, and a large one", huge)
    text = b.expect(0, "history", "GT-101.h2s", *readings, "--until", "1700000005").stdout
    b.check([line.split()[1] for line in text.splitlines()[1:3]] == ["inf", "1.25e+300"], "the same as text", text)
    b.check("no such event; a zone" in b.expect(0, "events", *ledger, "--zone", "Tank").stderr, "an unknown zone")
    b.check("1200 rows" in b.expect(0, "verify", *ledger).stdout, "verify")
    b.check("1200 events decided = 0 delivered + 1200 pending + 0 declared lost" in b.expect(0, "verify", *ledger).stdout,
            "the sum in words")
    proof = json.loads(b.expect(0, "--json", "verify", *ledger).stdout)
    b.check(proof["ok"] and proof["rows"] == 1200 and proof["sum"]["pending"] == proof["sum"]["decided"] == 1200,
            "verify --json", proof)
    copy = b.folder / "copy"
    whole = json.loads(b.expect(0, "--json", "backup", copy, "--only", "ledger", *ledger).stdout)
    b.check(whole["ledger"] == {"file": str(copy), "bytes": copy.stat().st_size}, "backup", whole)
    b.check("nothing is overwritten" in b.expect(1, "backup", copy, "--only", "ledger", *ledger).stderr, "backup twice")
    b.check("1200 rows" in b.expect(0, "verify", "--database", copy).stdout, "the copy holds")
    b.expect(0, "backup", b.folder / "more", "--only", "readings", *readings)
    b.expect(2, "backup", copy, *ledger)
    b.expect(2, "backup", copy, "--only", "both")
    b.expect(3, "backup", b.folder / "none")
    b.check(strands(copy) == (0, 1200, proof["events"]["hash"]), "both strands, worked out by a stranger", strands(copy))
    with sqlite3.connect(b.folder / "ledger.db") as database:
        database.execute("UPDATE event SET payload = replace(payload, 'red', 'ted') WHERE seq = 600")
    database.close()
    b.check("at event 600: " in b.expect(1, "verify", *ledger).stderr, "a changed row is found")
    proof = json.loads(b.expect(1, "--json", "verify", *ledger).stdout)
    b.check((proof["ok"], proof["strand"], proof["seq"]) == (False, "event", 600), "and named", proof)
    b.check(strands(b.folder / "ledger.db") == (1, 599, None), "a stranger finds the same", strands(b.folder / "ledger.db"))
    b.check("event 600" in b.expect(1, "backup", b.folder / "bad", "--only", "ledger", *ledger).stderr, "and it is not copied")
    b.check(not (b.folder / "bad").exists(), "nothing is left of that")


def main():
    given = sys.argv[1:] or [os.environ["DAVYCTL"], os.environ["FILL_DATABASES"]]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(*given, pathlib.Path(folder))
        for part in (checking, readme, replaying, refusing, presets, repeating, querying):
            part(bench)
        return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
