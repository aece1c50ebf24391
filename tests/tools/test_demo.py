#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/demo_plant.py with stand-ins for the programs: what it shows, how it ends, that nothing stays behind.

exit 0, 1, or 77 where there is no mosquitto
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

SIM = """#!/usr/bin/python3
import os, socket, time
assert os.path.isdir(os.environ["PLANT_DIR"])
s = socket.create_server(("127.0.0.1", int(os.environ["PLANT_PORT"])))
while True:
    time.sleep(1)
"""
DAEMON = """#!/usr/bin/python3
import json, os, signal, subprocess, sys, time
port = open(sys.argv[2]).read().split()[0]
mode = os.environ.get("FAKE_DAVYD", "good")
if mode == "dies":
    sys.exit("cannot go on: \\x1b[31mbroken")
signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "deaf" else lambda *_: sys.exit(0))
def publish(topic, body):
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-q", "1", "-t", "davy/v1/s/g/" + topic, "-m", body])
def alarm(seq, event, level):
    body = {"schema": "davy.alarm/1", "gateway": "g", "seq": seq, "id": "i1", "event": event, "level": level,
            "time": "2026-11-23T08:01:02.345Z", "device": "GT-1", "point": "h2s", "rule": "h2s", "message": "H2S \\u2265 14"}
    publish("alarm/A1/GT-1/h2s/h2s", json.dumps(body))
open(os.environ["RUNTIME_DIRECTORY"] + "/davyd.sock", "w")
alarm(1, "raised", "orange")
alarm(1, "raised", "orange")
if mode != "halfway":
    alarm(2, "escalated", "red")
alarm(3, "cleared", None)
publish("alarm/A1/GT-1/h2s/h2s", "")
publish("zone/A1", json.dumps({"schema": "davy.zone/1", "zone": "A1", "colour": "red", "since": None}))
publish("telemetry/GT-1", json.dumps({"schema": "davy.telemetry/1", "device": "GT-1", "readings": [
    {"point": "h2s", "value": 15.25, "quality": "good"}, {"point": "lel", "value": None, "quality": "bad"}]}))
publish("status", "not json")
while True:
    time.sleep(0.1)
"""
CTL = """#!/usr/bin/python3
print('[{"point": "GT-1.h2s", "unit": "ppm"}]')
"""


class Bench:
    """A copy of the tools with stand-ins for the programs, and a folder of its own for temporary files."""

    def __init__(self, folder):
        self.root, self.tmp = folder / "clone", folder / "tmp"
        self.tmp.mkdir()
        shutil.copytree(ROOT / "tools", self.root / "tools")
        for path, text in (("sim/davysim", SIM), ("daemon/davyd", DAEMON), ("ctl/davyctl", CTL)):
            program = self.root / "build/src" / path
            program.parent.mkdir(parents=True)
            program.write_text(text, encoding="utf-8")
            program.chmod(0o755)
        examples = self.root / "conf/examples"
        examples.mkdir(parents=True)
        (examples / "demo.conf").write_text("@BROKER_PORT@ @STATE_DIR@\n", encoding="utf-8")
        (examples / "plant-demo.sim.conf").write_text("x\n", encoding="utf-8")

    def start(self, *arguments, mode="good"):
        env = {**os.environ, "TMPDIR": str(self.tmp), "FAKE_DAVYD": mode, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen([sys.executable, self.root / "tools/demo_plant.py", *arguments], env=env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        output, _ = process.communicate(timeout=90)
        return process.returncode, output

    def left_behind(self):
        """Temporary files, and processes that still name the folder."""
        found = [str(path) for path in self.tmp.iterdir()]
        for command in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.tmp).encode() in command.read_bytes():
                    found.append(command.parent.name)
            except OSError:
                continue
        return found


def expect(name, truth, output=""):
    print("ok  " if truth else "FAIL", name)
    if not truth:
        print(output)
    return bool(truth)


def shows_and_ends(bench):
    code, output = bench.run("--seconds", "7")
    good = expect("ends with 0 after its seconds", code == 0, output)
    for words in ("08:01:02.345  ORANGE  raised       GT-1.h2s", "RED     escalated", "H2S ≥ 14", "zone A1 is RED",
                  "--- 2 points", "15.25 ppm", "GT-1.lel                  -        bad", "unreadable message"):
        good &= expect(f"shows: {words}", words in output, output)
    good &= expect("counts an event once", output.rstrip().endswith("alarms: 1 raised, 1 escalated, 1 cleared"), output)
    return good & expect("no colour when it is not a terminal", "\x1b" not in output, output)


def says_what_died(bench):
    code, output = bench.run("--seconds", "7", mode="dies")
    return expect("a dead program: exit 1, its name and log, made printable", code == 1 and
                  "demo: davyd ended with exit status 1" in output and "cannot go on: ?[31mbroken" in output, output)


def ends_on(bench, number):
    process = bench.start()
    time.sleep(4)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    return expect(f"ends cleanly on {signal.Signals(number).name}",
                  process.returncode == 0 and output.rstrip().endswith("1 cleared"), output)


def kills_the_deaf(bench):
    code, output = bench.run("--seconds", "3", mode="deaf")
    return expect("a daemon that does not stop is killed and named", code == 1 and "killed after 10 s" in output, output)


def wants_a_whole_alarm(bench):
    # 45 s of waiting are too long for a test: the threshold is lowered, the rule stays
    plant = bench.root / "tools/demo_plant.py"
    text = plant.read_text(encoding="utf-8")
    plant.write_text(text.replace("ENOUGH_S = 45", "ENOUGH_S = 3"), encoding="utf-8")
    code, output = bench.run("--seconds", "3.5", mode="halfway")
    good = expect("an alarm that never escalated is a failure", code == 1 and "should have been raised" in output, output)
    code, output = bench.run("--seconds", "3.5")
    return good & expect("a whole alarm is enough", code == 0, output)


def main():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not shutil.which("mosquitto"):
        print("skipped: no mosquitto here")
        return 77
    good = True
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(folder))
        for case in (shows_and_ends, says_what_died, lambda b: ends_on(b, signal.SIGINT),
                     lambda b: ends_on(b, signal.SIGTERM), kills_the_deaf, wants_a_whole_alarm):
            good &= case(bench)
            good &= expect("  and leaves nothing behind", not bench.left_behind(), bench.left_behind())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
