#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Steps of davyd's clock, of any size, at any moment: no timer moves, nothing clears, nothing is lost, all of it is told.

usage: clock.py [--rounds N] [--seed S]

davyd runs with clocks of its own (clock_shim.c), the broker and the devices with those of the machine. Each round starts
every timer that a plant has (on-delay, off-delay, escalation, shelf, inhibit, `when`, fault delay, reconnect) and steps the
clock meanwhile, stops the process, or lets the machine sleep; then each event must be where the true time says. Every fourth
round is a power cut after which the clock begins in 1970. CLOCK_SHIM names the library.
"""
import argparse
import datetime
import json
import mmap
import os
import pathlib
import random
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from plant import ROOT, Plant, seed_of_run, wait_for  # noqa: E402

SHIM = os.environ.get("CLOCK_SHIM", str(ROOT / "build/tests/soak/libclock_shim.so"))
DELAY = 4.0        # of every timer
TOLERANCE = 1.0    # what the contract allows a timer to move
LATENESS = 0.7     # of our own stimulus: a poll, and two busy cores
YEAR = 365.25 * 86400
HELD = ("held", "silent")
SLEEPS = (60, 600, 36000)

DEVICES = ("on", "off", "esc", "shv", "inh", "whn", "flt", "held", "silent")
PLANT_HEAD = 'lines = ( { name = "plc-1"; type = "tcp"; port = %d; } );\ndevices = (\n'
PLANT_DEVICE = """  { id = "%s"; line = "plc-1"; unit = %d; points = (
    { name = "gas"; register = 0; type = "float32"; value = 5.0; }, { name = "run"; register = 4; type = "uint16"; value = 1; } ); }"""
DEVICE = '  { id = "%s"; zone = "A1"; bus = "plc-1"; unit = %d; profile = "one"; interval = "200ms"; settle = 0; }'
CONFIG = """
gateway = { id = "edge"; site = "site"; timezone = "Europe/Berlin"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "off"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "300ms"; retries = 0; fault_delay = "4s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; },
  { name = "run"; kind = "state"; register = 4; type = "bool"; bit = 0; } ); } );
devices = (
%s );
rules = (
  { name = "on"; points = ["on.gas"]; red = { above = 50.0; on_delay = "4s"; }; deadband = 1.0; acknowledge = false; },
  { name = "off"; points = ["off.gas"]; red = { above = 50.0; off_delay = "4s"; }; deadband = 1.0; acknowledge = false; },
  { name = "esc"; points = ["esc.gas"]; orange = { above = 50.0; }; deadband = 1.0;
    escalate = ( { after = "4s"; unless = "acknowledged"; owner = "boss"; } ); },
  { name = "shv"; points = ["shv.gas"]; orange = { above = 50.0; }; deadband = 1.0; },
  { name = "inh"; points = ["inh.gas"]; orange = { above = 50.0; }; deadband = 1.0; },
  { name = "whn"; points = ["whn.gas"]; orange = { above = 50.0; }; deadband = 1.0;
    when = { point = "run"; equals = true; for = "4s"; }; },
  { name = "held"; points = ["held.gas"]; red = { above = 50.0; latch = true; }; deadband = 1.0; },
  { name = "silent"; points = ["silent.gas"]; red = { above = 50.0; off_delay = "4s"; }; deadband = 1.0; } );
"""


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Clock:
    """What davyd is made to believe, and what it was made to believe when."""

    def __init__(self, file):
        file.write_bytes(bytes(24))
        with open(file, "r+b") as opened:
            self.map = mmap.mmap(opened.fileno(), 24)
        self.moves = []  # (true time, offset of the wall clock in s, synchronized)
        self.offset, self.boot = 0.0, 0.0
        self.put(0.0, True)

    def put(self, offset, synchronized=None, boot=None):
        """The wall clock `offset` s from the true time; `boot`: that of CLOCK_BOOTTIME."""
        self.boot = self.boot if boot is None else boot
        known = self.moves[-1][2] if self.moves else True
        self.offset = offset
        synchronized = known if synchronized is None else synchronized
        self.map[:] = struct.pack("=qqq", int((offset - self.boot) * 1e9), int(self.boot * 1e9), int(synchronized))
        self.moves.append((time.time(), offset, synchronized))

    def during(self, begin, end):
        """(offset, synchronized) that were in force between two true times."""
        before = [move for move in self.moves if move[0] <= begin]
        return [move[1:] for move in before[-1:] + [move for move in self.moves if begin < move[0] <= end]]


class Run:
    def __init__(self, plant, arguments):
        self.plant, self.arguments = plant, arguments
        self.rng = random.Random(arguments.seed)
        self.clock = Clock(plant.folder / "clock")
        self.boot_id = str(uuid.UUID(int=self.rng.getrandbits(128)))
        self.problems, self.errors = [], []
        self.story = []  # of this round: seconds into it, and what happened
        self.figures = {"rounds": 0, "steps": 0, "stops": 0, "suspends": 0, "outages": 0, "reboots": 0, "timers": 0}
        self.seen, self.skew = None, time.time() - time.monotonic()
        self.began = {}   # by device: true time of the stimulus
        self.stale = 0  # how often the values of all points must have become stale
        self.stops, self.suspends = [], []  # true times; of stops with their length
        self.running = True
        plant.daemon_env = self.environment

    def environment(self):
        return {"STATE_DIRECTORY": str(self.plant.state), "RUNTIME_DIRECTORY": str(self.plant.run), "LD_PRELOAD": SHIM,
                "DAVY_CLOCK_SHIM": str(self.plant.folder / "clock"), "DAVY_CLOCK_BOOT": self.boot_id}

    def problem(self, text):
        self.problems.append(text)
        print(f"PROBLEM in round {self.figures['rounds']} {self.story}:", text, flush=True)

    # ---- the plant ----

    def start(self):
        plant = self.plant
        plant.broker.start()
        rows = ",\n".join(PLANT_DEVICE % (name, i + 1) for i, name in enumerate(DEVICES))
        plant.start_sim(PLANT_HEAD % plant.plant_port + rows + " );\n")
        self.seen = plant.record(persistent=True)
        rows = ",\n".join(DEVICE % (name, i + 1) for i, name in enumerate(DEVICES))
        plant.start_daemon(CONFIG % (plant.broker_port, plant.plant_port, rows))
        for name in (*HELD, "off", "shv", "whn"):
            plant.sim.set(f"{name}.gas", 90)
        self.until(lambda: all(self.active(name) for name in (*HELD, "off", "shv", "whn")), "the alarms to begin with")
        plant.sim.send("fault silent timeout")

    def until(self, predicate, what, timeout=20):
        try:
            return wait_for(predicate, timeout, what)
        except AssertionError as error:
            self.problem(str(error))
            return None

    def active(self, rule):
        row = self.plant.alarms().get(f"{rule}:{rule}.gas")
        return row is not None and row["active"]

    def events(self, rule, kind, start):
        """(payload, true time of its arrival) since message `start`; of what was stored, since a sleep in a commit looks like a
        slow disk, and is announced before it is stored."""
        return [(m.data, m.arrived + self.skew) for m in list(self.seen.messages)[start:]
                if "/alarm/" in m.topic and m.data and m.data["rule"] == rule and m.data["event"] == kind and m.data["durable"]]

    # ---- what may happen to a clock ----

    def step(self):
        target = self.rng.choice((self.clock.offset + 1, self.clock.offset - 1, 3600, -3600, 86400, -86400, 20 * YEAR,
                                  -20 * YEAR, 30 - time.time(), instant("2027-03-28T00:59:58Z") - time.time(),
                                  instant("2026-10-25T00:59:58Z") - time.time(), 0))
        self.figures["steps"] += 1
        self.clock.put(target, self.rng.random() < 0.5)

    def stop_process(self):
        self.figures["stops"] += 1
        self.stops.append((time.time(), length := self.rng.uniform(1, 5)))
        self.plant.daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(length)
        self.plant.daemon.process.send_signal(signal.SIGCONT)

    def suspend(self):
        self.figures["suspends"] += 1
        asleep = self.rng.choice(SLEEPS)
        self.suspends.append(time.time())
        self.stale += 1
        self.clock.put(self.clock.offset + asleep, boot=self.clock.boot + asleep)

    def outage(self):
        self.figures["outages"] += 1
        self.plant.broker.stop()
        self.step()
        time.sleep(1.5)
        self.step()
        self.plant.broker.start()
        began = time.monotonic()
        online = lambda: [m for m in self.seen.of("status") if m.arrived > began and m.data and m.data["state"] == "online"
                          and not m.retain]
        try:
            wait_for(online, 60, "davyd is online again")
        except AssertionError:
            self.problem("not connected within 60 s of the broker's return")

    # ---- one round ----

    def stimulate(self, name, act):
        act()
        self.began[name] = time.time()

    def begin_timers(self):
        sim, ctl = self.plant.sim, self.plant.ctl
        self.stimulate("on", lambda: sim.set("on.gas", 90))
        self.stimulate("off", lambda: sim.set("off.gas", 5))
        self.stimulate("esc", lambda: sim.set("esc.gas", 90))
        self.stimulate("flt", lambda: sim.send("fault flt timeout"))
        self.running = not self.running
        self.stimulate("whn", lambda: sim.set("whn.run", int(self.running)))
        for name, arguments in (("shv", ("shelve", "shv:shv.gas", "4s", "--reason", "test")),
                                ("inh", ("inhibit", "inh", "4s", "--reason", "test"))):
            def ask(arguments=arguments):
                done = ctl(*arguments)
                if done.returncode != 0:
                    self.problem(f"{arguments}: {done.stdout}{done.stderr}")
            self.stimulate(name, ask)

    def expected(self):
        """(device, rule, event) of each timer. An inhibit that ran out before the next reading is no alarm."""
        began = self.began["inh"]
        unseen = any(began <= at <= began + LATENESS for at in self.suspends + [at for at, _ in self.stops])
        inhibit = [] if unseen else [("inh", "inhibit", "cleared")]
        return inhibit + [
                ("on", "on", "raised"), ("off", "off", "cleared"), ("esc", "esc", "overdue"), ("shv", "shv", "unshelved"),
                ("flt", "fault", "raised"),
                ("whn", "whn", "unsuppressed" if self.running else "suppressed")]

    def bounds(self, device, due):
        """How early and late an event may be. While the process stands it sees no stimulus. While the machine sleeps its timers
        run out, and what is only looked at with a reading ends with the first one after."""
        stimulus = self.began[device]
        stopped = sum(length for at, length in self.stops if stimulus - length <= at <= stimulus + 1)
        if device == "inh":  # looked at with a reading, of which there are none meanwhile
            stopped += sum(at + length - due for at, length in self.stops if at <= due <= at + length)
        slept = [at for at in self.suspends if stimulus <= at <= due]
        early = due - slept[0] if slept and device in ("inh", "flt", "whn") else 0
        return -TOLERANCE - early, TOLERANCE + LATENESS + stopped, bool(slept)

    def check_timer(self, device, rule, kind, start):
        mine = [one for one in self.events(rule, kind, start) if one[0]["device"] == device]
        due = self.began[device] + DELAY
        least, most, slept = self.bounds(device, due)
        again = slept and device == "whn"  # silence counts as true, and lasted
        if not mine or (len(mine) > 1 and not again):
            self.problem(f"{len(mine)} events {kind} of {rule} on {device} instead of one")
            return
        event, arrived = mine[0]
        offsets = [offset for offset, _ in self.clock.during(self.began[device] - 1, arrived + 0.1)]
        if slept:  # what fell due in the sleep is reckoned back from the clock after it
            offsets += [offset - asleep for offset in offsets for asleep in SLEEPS]
        error = min((instant(event["time"]) - offset - due for offset in offsets), key=abs)
        self.figures["timers"] += 1
        if least == -TOLERANCE and most == TOLERANCE + LATENESS:
            self.errors.append(error)
        if not least <= error <= most:
            self.problem(f"{kind} of {rule} on {device} is {error:+.2f} s off: {event['time']}, offsets {offsets}")

    def calm(self):
        """Back to where a round begins."""
        sim = self.plant.sim
        sim.set("on.gas", 5)
        sim.set("esc.gas", 5)
        sim.set("off.gas", 90)
        sim.send("clear flt")
        self.until(lambda: not self.active("on") and self.active("off"), "on and off as before")
        self.until(lambda: self.plant.ctl("ack", "esc:esc.gas").returncode == 0 or "esc:esc.gas" not in self.plant.alarms(),
                   "the escalated alarm is acknowledged")
        self.until(lambda: (self.plant.alarms()["whn:whn.gas"]["state"] == "suppressed") != self.running,
                   "the `when` is as its point says")  # in a sleep, silence was true
        for alarm in ("esc:esc.gas", "fault:flt"):  # a device that did not answer for a night is asked once a minute
            if not self.until(lambda: alarm not in self.plant.alarms(), f"{alarm} is normal", 80):
                print(self.plant.ctl("status").stdout, self.plant.ctl("alarms", "--all").stdout)

    def round(self):
        start = len(self.seen.messages)
        self.begin_timers()
        until = time.monotonic() + DELAY + 1.5
        what = [self.step, self.step, self.rng.choice((self.step, self.stop_process, self.suspend, self.outage))]
        self.rng.shuffle(what)
        self.story = []
        for act in what:
            time.sleep(self.rng.uniform(0, 1.2))
            self.story.append(f"{time.time() - self.began['on']:.1f} {act.__name__}")
            act()
        time.sleep(max(0.0, until - time.monotonic()))
        arrived = lambda: all(any(e["device"] == device for e, _ in self.events(rule, kind, start))
                              for device, rule, kind in self.expected())
        self.until(arrived, "all timers have fired")
        for device, rule, kind in self.expected():
            self.check_timer(device, rule, kind, start)
        self.calm()
        self.figures["rounds"] += 1

    # ---- the rest ----

    def power_cut(self):
        """The daemon is killed in the middle of an on-delay; the machine comes back in 1970, and is set right later."""
        self.figures["reboots"] += 1
        start = len(self.seen.messages)
        self.plant.sim.set("on.gas", 90)
        time.sleep(1)
        self.plant.end_daemon(signal.SIGKILL)
        self.boot_id = str(uuid.UUID(int=self.rng.getrandbits(128)))
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.clock.put(20 - time.time(), False, boot=20 - uptime)
        began = time.time()
        self.plant.start_daemon()
        self.until(lambda: self.events("on", "raised", start), "the on-delay ends after the power cut")
        for event, arrived in self.events("on", "raised", start):
            if not 0 <= arrived - began <= DELAY + 3 + LATENESS:
                self.problem(f"the on-delay took {arrived - began:.1f} s after the power cut")
            if event["clock"] != "unsynchronized" or not event["time"].startswith("1970-"):
                self.problem(f"an event of 1970 that does not say so: {event['clock']} {event['time']}")
        for rule in HELD:
            if not self.active(rule):
                self.problem(f"{rule} is not active after the power cut")
        self.clock.put(0, True)
        row = self.until(lambda: [r for r in self.corrections() if r["boot_id"] == self.boot_id and r["moved_ms"]],
                         "the correction of the clock is written beside")
        if row and abs(row[0]["moved_ms"] / 1e3 - time.time()) > 120:
            self.problem(f"the correction says {row[0]}")
        self.calm()

    def corrections(self):
        return [json.loads(row[0]) for row in self.plant.ledger("SELECT detail FROM actions WHERE verb = 'clock' ORDER BY seq")]

    def twenty_years_on(self):
        """Long enough for the stores to be trimmed by it. Nothing that is there now may go."""
        self.until(lambda: self.plant.readings("SELECT count(*) FROM readings")[0][0] > 50, "some readings")
        since = self.plant.readings("SELECT count(*), max(time_us) FROM readings")[0]
        self.clock.put(20 * YEAR, True)
        self.until(lambda: "clock:gateway" in self.plant.alarms(), "the alarm `clock`")
        time.sleep(12)
        self.clock.put(0, True)
        left = self.plant.readings(f"SELECT count(*) FROM readings WHERE time_us <= {since[1]}")[0][0]
        if left < since[0]:
            self.problem(f"of {since[0]} readings {left} are left after a step of 20 years")
        if self.plant.ledger("SELECT min(seq) FROM events") != [(1,)]:
            self.problem("events are gone after a step of 20 years")

    def check_readings(self):
        stale = self.plant.readings("SELECT count(*) FROM readings WHERE point = 'held.gas' AND reason = 'stale'")[0][0]
        if stale < self.stale:
            self.problem(f"the machine slept {self.stale} times, the values were stale {stale} times")
        self.figures["readings"] = self.plant.readings("SELECT count(*) FROM readings")[0][0]
        if self.figures["readings"] < 20 * self.figures["rounds"] * len(DEVICES):
            self.problem(f"only {self.figures['readings']} readings are kept")

    def check_ledger(self):
        rows = self.plant.ledger("SELECT seq, payload FROM events ORDER BY seq")
        if [row[0] for row in rows] != list(range(1, len(rows) + 1)):
            self.problem("the ledger has gaps")
        for seq, payload in rows:
            event = json.loads(payload)
            if event["rule"] in HELD and event["event"] not in ("raised",):
                self.problem(f"seq {seq}: {event['event']} of {event['rule']}, which nothing ended")
            if event["rule"] == "mqtt" and event["event"] == "raised" and not self.suspends:
                self.problem(f"seq {seq}: the alarm mqtt by a step: {event['message']}")
        self.check_order()
        verify = self.plant.ctl("verify", "--database", self.plant.state / "ledger.db")
        if verify.returncode != 0:
            self.problem(f"davyctl verify: {verify.stdout}{verify.stderr}")
        return len(rows)

    def check_order(self):
        highest = 0
        for message in list(self.seen.messages):
            if "/alarm/" not in message.topic or not message.data or message.data["seq"] is None or message.retain:
                continue
            event, true = message.data, message.arrived + self.skew
            if not event["replayed"] and event["seq"] <= highest:
                self.problem(f"seq {event['seq']} after {highest}")
            highest = max(highest, event["seq"])
            said = {synchronized for _, synchronized in self.clock.during(true - 8, true)}
            if (event["clock"] == "synchronized") not in said:
                self.problem(f"seq {event['seq']} says {event['clock']}")

    def go(self):
        self.start()
        self.twenty_years_on()
        for i in range(self.arguments.rounds):
            self.round()
            if i % 4 == 1:
                self.power_cut()
        self.clock.put(0, True)
        self.until(lambda: self.plant.status()["status"]["outbox"]["events"] == 0, "the outbox is empty")
        for offset in (3600, -7200):
            self.clock.put(offset)
            time.sleep(1.5)
        code = self.plant.end_daemon(signal.SIGTERM)
        if code != 0:
            self.problem(f"davyd stopped with {code}")
        last = (self.corrections() or [{"after": "1970-01-01T00:00:00Z"}])[-1]["after"]
        if abs(instant(last) - self.clock.offset - time.time()) > 10:
            self.problem(f"the last steps before the end are not written: the last correction is of {last}")
        self.figures["events"] = self.check_ledger()
        self.check_readings()
        self.figures["corrections"] = len(self.corrections())
        if not self.figures["corrections"]:
            self.problem("no correction of the clock was written")


class ClockPlant(Plant):
    def readings(self, query):
        link = sqlite3.connect(f"file:{self.state}/readings.db?mode=ro", uri=True, timeout=10)
        try:
            return link.execute(query).fetchall()
        finally:
            link.close()


def a_wrong_clock_verifies_nothing(run):
    """N13: in 1970 no certificate is valid yet. Nothing is sent to whom nobody vouches for; all goes on, and is sent when the
    clock is right."""
    plant = run.plant
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "60",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", plant.folder / "key.pem",
                    "-out", plant.folder / "cert.pem"], check=True, capture_output=True)
    with open(plant.broker.conf, "a", encoding="utf-8") as conf:
        conf.write(f"listener {plant.spare_port} 127.0.0.1\ncertfile {plant.folder}/cert.pem\nkeyfile {plant.folder}/key.pem\n")
    plant.broker.start()
    plant.start_sim(PLANT_HEAD % plant.plant_port + PLANT_DEVICE % ("esc", 1) + " );\n")
    run.seen = plant.record()
    text = re.sub(r"rules = \(.*", 'rules = ( { name = "esc"; points = ["esc.gas"]; orange = { above = 50.0; }; deadband = 1.0; } );',
                  CONFIG, flags=re.S)
    text = text % (plant.spare_port, plant.plant_port, DEVICE % ("esc", 1))
    text = text.replace("mqtt://127.0.0.1", "mqtts://127.0.0.1").replace("telemetry =", f'ca_file = "{plant.folder}/cert.pem"; telemetry =')
    run.clock.put(30 - time.time(), False)
    plant.start_daemon(text)
    plant.sim.set("esc.gas", 90)
    run.until(lambda: plant.ledger("SELECT count(*) FROM events WHERE rule = 'esc'")[0][0], "the event is stored")
    broker = run.until(lambda: (b := plant.status()["broker"])["last_error"] and b, "why there is no connection") or {}
    if broker.get("connected") or run.seen.of("alarm"):
        run.problem(f"connected in 1970: {broker}")
    run.clock.put(0, True)
    run.until(lambda: run.events("esc", "raised", 0), "the event is sent once the clock is right", 60)
    for event, _ in run.events("esc", "raised", 0):
        if event["clock"] != "unsynchronized" or not event["time"].startswith("1970-"):
            run.problem(f"it does not say what clock it is of: {event['clock']} {event['time']}")
    print(json.dumps({"harness": "clock, certificates", "while wrong": broker.get("last_error"), "problems": len(run.problems)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=seed_of_run())
    arguments = parser.parse_args()
    print(f"DAVY_SEED={arguments.seed}", flush=True)
    with ClockPlant() as plant:
        first = Run(plant, arguments)
        a_wrong_clock_verifies_nothing(first)
    with ClockPlant(persistence=True) as plant:
        run = Run(plant, arguments)
        run.go()
        if run.problems:
            print("\n".join(plant.daemon.text().splitlines()[-30:]))
        errors = sorted(abs(error) for error in run.errors)
        print(json.dumps({"seed": arguments.seed, **run.figures,
                          "timer_error_s": {"median": round(errors[len(errors) // 2], 3), "max": round(errors[-1], 3)} if errors else None,
                          "problems": len(run.problems)}))
    return 1 if run.problems or first.problems else 0


if __name__ == "__main__":
    sys.exit(main())
