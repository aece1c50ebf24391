#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""davyd is killed with SIGKILL again and again, the broker goes away and comes back, while alarms come and go.

usage: kill.py [--kills K] [--outages B] [--platform] [--seed S] [--life S] [--before DAVYD]

Kills come at random times and, where strace may be used, at the n-th write, flush and send of a thread, n going up.
The plant's script is known: devices GT-1 to GT-10 step above a limit and stay there until the subscriber has seen it,
each time with another value, so every step must be in the ledger, once and in order, and nothing else; the others wander.
Nothing may be lost, doubled or contradicted (audit.py).

Outages in the first half leave the broker's memory alone: it is frozen, or the way to it is shut or jammed. In the second
half it is stopped and killed too, and mosquitto 2.0.11 then forgets what it has acknowledged (seen: reason code 0, and not
in the queue of a persistent session that was away). So from the first of these on the subscriber looks at `seq` and requests
what it misses, and before that it must miss nothing. With --platform it confirms instead, and never has to request.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
import uuid

import audit  # first: it makes tests/integration known
from door import Door
from plant import BASE, DAVYCTL, DAVYD, Plant, Program, seed_of_run, wait_for

SCRIPTED = 10
WANDERING = 6
PLANT_HEAD = 'lines = ( { name = "plc-1"; type = "tcp"; port = %d; } );\ndevices = (\n'
PLANT_DEVICE = """  { id = "GT-%d"; line = "plc-1"; unit = %d; points = (
    { name = "gas"; register = 0; type = "float32"; %s } ); }"""
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%(broker)d"; telemetry = "off"; %(mqtt)s };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %(plant)d; timeout = "2s"; } );
storage = { commit_interval = "200ms"; };
zones = ( { id = "A1"; name = "Tank farm"; }, { id = "A2"; name = "Boilers"; } );
profiles = ( { name = "gas-one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = (
%(devices)s );
rules = (
  { name = "quiet"; points = ["GT-[1-4].gas"]; orange = { above = 20.0; }; red = { above = 40.0; }; deadband = 1.0;
    acknowledge = false; },
  { name = "loud"; points = ["GT-[5-8].gas"]; orange = { above = 20.0; }; red = { above = 40.0; }; deadband = 1.0; },
  { name = "held"; points = ["GT-9.gas", "GT-10.gas"]; red = { above = 40.0; latch = true; }; deadband = 1.0;
    on_delay = "200ms"; },
  { name = "free"; points = ["GT-1[1-6].gas"]; orange = { above = 20.0; }; red = { above = 40.0; }; deadband = 1.0; } );
"""
RULES = ["quiet"] * 4 + ["loud"] * 4 + ["held"] * 2
STEP = 1 / 16  # of the values of the script: float32 has it exactly, and each comes once
PATIENCE = 60  # s until what was done to the plant must be told, when nobody disturbs
CALLS = ("pwrite64", "fdatasync", "writev", "sendto", "write", "fsync", "ftruncate", "unlink", "recvfrom", "openat")
DEEPEST = 48
MILD = ("shut", "jammed", "lost", "frozen")
SEVERE = ("stopped", "killed")  # mosquitto forgets with these
CONFIRM_EVERY = 0.5


def wave(rng, i):
    if i <= SCRIPTED:
        return "value = 5.0;"
    if i % 3 == 0:
        return f'wave = {{ type = "random-walk"; low = 0.0; high = 60.0; period = "{rng.randint(1500, 2500)}ms"; }};'
    return (f'wave = {{ type = "square"; low = 5.0; high = {rng.choice((30.0, 50.0))}; period = "{rng.randint(2500, 4500)}ms"; '
            f'phase = {rng.random():.3f}; }};')


def plant_text(port, rng):
    devices = [PLANT_DEVICE % (i, i, wave(rng, i)) for i in range(1, SCRIPTED + WANDERING + 1)]
    return PLANT_HEAD % port + ",\n".join(devices) + " );\n"


def config_text(broker_port, plant_port, mqtt):
    device = '  { id = "GT-%d"; zone = "%s"; bus = "plc-1"; unit = %d; profile = "gas-one"; interval = "100ms"; settle = 0; }'
    devices = ",\n".join(device % (i, "A1" if i <= 8 else "A2", i) for i in range(1, SCRIPTED + WANDERING + 1))
    return CONFIG % {"broker": broker_port, "plant": plant_port, "mqtt": mqtt, "devices": devices}


class Subscriber:
    """What the recorder has seen so far, by alarm and by seq."""

    def __init__(self, recorder):
        self.recorder, self.read = recorder, 0
        self.raised = collections.defaultdict(set)
        self.last = {}
        self.have, self.highest, self.whole = set(), 0, 0

    def look(self):
        messages = self.recorder.messages
        for message in messages[self.read:len(messages)]:
            self.read += 1
            data = message.data
            if message.topic == f"{BASE}/status" and data and not message.retain:
                self.highest = max(self.highest, data["last_seq"] or 0)
            elif "/alarm/" in message.topic and data and data["seq"] is not None:
                self.take(data)

    def take(self, event):
        key = audit.key_of(event)
        self.have.add(event["seq"])
        self.highest = max(self.highest, event["seq"])
        if event["event"] == "raised":
            self.raised[key].add(event["value"])
        if key not in self.last or self.last[key]["seq"] < event["seq"]:
            self.last[key] = event

    def watermark(self):
        """All up to here have arrived."""
        while self.whole + 1 in self.have:
            self.whole += 1
        return self.whole

    def missing(self):
        return [seq for seq in range(1, self.highest + 1) if seq not in self.have]


class Actor:
    """One device of the script: up, until it was told; down, until that was told."""

    def __init__(self, run, number):
        self.run, self.name, self.rule = run, f"GT-{number}", RULES[number - 1]
        self.key = (self.rule, self.name, "gas")
        self.phase, self.at, self.steps = "low", 0.0, 0
        self.value = None

    def next_value(self):
        self.steps += 1
        orange = self.rule != "held" and self.steps < 300 and self.run.rng.random() < 0.3
        return (21.0 if orange else 41.0) + STEP * self.steps

    def set(self, value, phase):
        self.run.plant.sim.set(f"{self.name}.gas", value)
        self.phase = phase

    def turn(self, now, ending=False):
        seen = self.run.subscriber
        if self.phase == "low" and now >= self.at and not ending:
            self.value = self.next_value()
            self.run.script.append(audit.Pulse(*self.key, self.value))
            self.set(self.value, "rising")
        elif self.phase == "rising" and self.value in seen.raised[self.key]:
            self.phase, self.at = "high", now + self.run.rng.uniform(0, 0.5)
        elif self.phase == "high" and (now >= self.at or ending):
            self.set(5.0, "falling")
        elif self.phase == "falling" and not seen.last[self.key]["active"]:
            self.phase, self.at = "low", now + self.run.rng.uniform(0, 1)

    def calm(self):
        return self.phase == "low"


class Outage:
    """What is done to the broker, and when it is undone."""

    def __init__(self, run, kind, until):
        self.broker, self.door, self.kind, self.until = run.plant.broker, run.door, kind, until
        {"shut": self.door.shut, "jammed": self.door.jammed, "lost": self.door.jammed,
         "frozen": lambda: self.broker.program.process.send_signal(signal.SIGSTOP),
         "stopped": lambda: self.broker.stop(signal.SIGTERM), "killed": lambda: self.broker.stop(signal.SIGKILL)}[kind]()

    def end(self):
        if self.kind == "frozen":
            self.broker.program.process.send_signal(signal.SIGCONT)
        elif self.kind in ("stopped", "killed"):
            self.broker.start()
        elif self.kind == "lost":  # what was under way in there is gone
            self.door.shut()
        self.door.open()


class Run:
    def __init__(self, plant, arguments):
        self.plant, self.arguments = plant, arguments
        self.rng = random.Random(arguments.seed)
        self.problems, self.script, self.starts = [], [], []
        self.kills, self.outages, self.deaths = 0, collections.Counter(), collections.Counter()
        self.outage, self.commands = None, 0
        self.asked, self.missed, self.ask_at, self.operate_at = set(), set(), 0.0, 0.0
        self.point, self.traced = 0, None
        self.confirm_at, self.severe = 0.0, False
        self.strace = None if arguments.no_strace else shutil.which("strace")
        self.actors = [Actor(self, i) for i in range(1, SCRIPTED + 1)]

    def problem(self, text):
        self.problems.append(text)
        print("PROBLEM:", text, flush=True)

    def start(self):
        conf = self.plant.broker.conf  # what it has acknowledged is on its disk soon, so that little is lost with it
        conf.write_text(conf.read_text() + "autosave_on_changes true\nautosave_interval 1\n")
        self.plant.broker.start()
        self.plant.start_sim(plant_text(self.plant.plant_port, self.rng))
        self.subscriber = Subscriber(self.plant.record(persistent=True))
        self.door = self.plant.keep(Door(self.plant.broker_port))
        mqtt = 'commands = [ "resend" ];'
        if self.arguments.platform:
            mqtt = 'delivery = "platform"; confirm_within = "2s"; commands = [ "confirm" ];'
        self.plant.config.write_text(config_text(self.door.port, self.plant.plant_port, mqtt), encoding="utf-8")

    # ---- davyd

    def next_point(self):
        """The n-th call of a kind, n going up: (name, n), or None for a random time."""
        if not self.strace or self.rng.random() < 0.5:
            return None
        name, depth = CALLS[self.point % len(CALLS)], self.point // len(CALLS)
        self.point += 1
        return name, 1 + depth % DEEPEST

    def start_daemon(self, point=None):
        early = self.kills < self.arguments.kills // 4
        program = self.arguments.before if early and self.arguments.before else DAVYD
        prefix = [self.strace, "-D", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={point[0]}", "-e",
                  f"inject={point[0]}:signal=KILL:when={point[1]}"] if point else []
        self.traced = point
        self.starts.append(time.monotonic())
        self.plant.daemon = self.plant.keep(Program("davyd", self.plant.folder, [
            *prefix, program, "--config", self.plant.config], env=self.plant.daemon_env()))

    def live(self, seconds):
        """One life: until its time is over, or the chosen call has ended it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.plant.daemon.running():
            self.turn()
            time.sleep(0.005)

    def kill(self):
        ended = not self.plant.daemon.running()
        code = self.plant.end_daemon(signal.SIGKILL)
        if code != -signal.SIGKILL:
            self.problem(f"davyd ended by itself: {code}")
        self.deaths[self.traced[0] if ended and self.traced else "random"] += 1
        self.kills += 1
        self.tell(self.kills)

    def tell(self, count):
        """A sign of life in a long run."""
        if count % 100 == 0:
            print(f"{count}: {self.subscriber.highest} events, {len(self.script)} steps, {len(self.problems)} problems", flush=True)

    # ---- everything around it

    def turn(self):
        now = time.monotonic()
        self.subscriber.look()
        for actor in self.actors:
            actor.turn(now)
        self.mind_broker(now)
        self.operate(now)
        self.confirm(now)
        self.ask(now)

    def mind_broker(self, now):
        if self.outage and now >= self.outage.until:
            self.end_outage()
        share = self.kills / max(1, self.arguments.kills)
        if self.outage or sum(self.outages.values()) >= share * self.arguments.outages:
            return
        kind = self.rng.choice(MILD + 2 * SEVERE if self.severe else MILD)
        self.outages[kind] += 1
        self.outage = Outage(self, kind, now + self.rng.uniform(0.05, 1.5))

    def end_outage(self):
        if self.outage:
            self.outage.end()
            self.outage = None

    def operate(self, now):
        """What people do meanwhile; refusals are natural, and so is nobody there."""
        if now < self.operate_at:
            return
        self.operate_at = now + self.rng.uniform(0.5, 1.5)
        verb = self.rng.choice((("ack", "loud:*"), ("ack", "free:*"), ("ack", "quiet:*"), ("ack", "loud:GT-5.gas"),
                                ("reset", "held:GT-9.gas"), ("reset", "held:GT-10.gas")))
        self.plant.ctl(*verb)
        self.commands += 1

    def ask(self, now):
        """Request what is missing; only a broker that was restarted excuses that."""
        if now < self.ask_at or self.outage or self.arguments.platform or not self.forgotten():
            return
        self.ask_at = now + 1.5
        missing = self.subscriber.missing()
        old = [seq for seq in missing if seq in self.missed]
        self.missed = set(missing)
        if old:
            last = max(seq for seq in old if seq <= old[0] + 500)
            self.asked |= set(range(old[0], last + 1))
            self.command("resend", {"from": old[0], "to": last})

    def forgotten(self):
        return any(self.outages[kind] for kind in SEVERE)

    def confirm(self, now, always=False):
        """The platform has everything up to the first that it misses."""
        if not self.arguments.platform or self.outage or (now < self.confirm_at and not always):
            return
        self.confirm_at = now + CONFIRM_EVERY
        have = self.subscriber.watermark()
        if have > 0:
            self.command("confirm", {"seq": have})

    def command(self, verb, members):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        command = {"schema": "davy.command/1", "nonce": uuid.UUID(int=self.rng.getrandbits(128)).hex, "issued_at": stamp,
                   "by": "subscriber", **members}
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.plant.broker_port), "-V", "5", "-q", "1", "-t",
                        f"{BASE}/cmd/{verb}", "-s"], input=json.dumps(command).encode(), timeout=10, check=False)

    def begin_with_the_older(self):
        """Its files are there before anything is killed: what it did at their creation is not in question."""
        self.start_daemon()
        wait_for(self.plant.answers, PATIENCE, "the older davyd answers")
        self.plant.end_daemon()

    def half_time(self):
        """Before the broker begins to forget, what was stored so far must have arrived: later it could be requested."""
        self.end_outage()
        self.start_daemon()
        self.wait(self.plant.answers, "davyd answers at half-time")
        self.wait(self.complete, "the subscriber misses nothing at half-time")
        self.kill()
        self.severe = True

    def go(self):
        if self.arguments.before:
            self.begin_with_the_older()
        while self.kills < self.arguments.kills:
            if not self.severe and self.kills >= self.arguments.kills / 2:
                self.half_time()
            point = self.next_point()
            self.start_daemon(point)
            mean = self.arguments.life
            self.live(3 * mean if point else self.rng.choice((self.rng.uniform(0, 0.3 * mean), self.rng.uniform(0, 2.2 * mean))))
            self.kill()

    # ---- the end

    def settled(self):
        self.subscriber.look()
        now = time.monotonic()
        for actor in self.actors:
            actor.turn(now, ending=True)
        self.confirm(now)
        self.ask(now)
        return all(actor.calm() for actor in self.actors)

    def wait(self, condition, what):
        try:
            wait_for(condition, PATIENCE, what)
        except AssertionError as error:
            self.problem(str(error))

    def drain(self):
        """No more steps: what is under way must be told; then all is calm, and nothing is left to send."""
        self.end_outage()
        self.start_daemon()
        self.wait(self.plant.answers, "davyd answers at the end")
        self.wait(self.settled, "every step of the script was told")
        for i in range(SCRIPTED + 1, SCRIPTED + WANDERING + 1):
            self.plant.sim.set(f"GT-{i}.gas", 5)
        self.wait(lambda: self.plant.status()["status"]["points"]["good"] == SCRIPTED + WANDERING, "all points are read")
        time.sleep(0.5)  # their last events may be on their way; what comes later is stored and sent all the same
        self.wait(self.complete, "the subscriber has every seq")
        self.wait(self.delivered, "the outbox is empty")
        code = self.plant.end_daemon(signal.SIGTERM)
        if code != 0:
            self.problem(f"davyd stopped with {code}")

    def complete(self):
        self.subscriber.look()
        self.subscriber.highest = max(self.subscriber.highest, self.plant.status()["status"]["last_seq"])
        self.confirm(time.monotonic())
        self.ask(time.monotonic())
        return not self.subscriber.missing()

    def delivered(self):
        self.subscriber.look()
        self.confirm(time.monotonic())
        return self.plant.status()["status"]["outbox"]["events"] == 0

    def check(self):
        ledger = audit.read(self.plant.state / "ledger.db")
        seen = self.subscriber.recorder.messages
        late = {m.data["seq"] for m in audit.alarms(seen) if m.data and m.data["replayed"]} if self.arguments.platform else set()
        problems = audit.everything(ledger, seen, DAVYCTL, torn=True, asked=self.asked | late)
        problems += audit.truth(ledger, self.script) + audit.whole(self.plant.state)
        if not self.forgotten():
            problems += audit.retained(ledger, self.late_subscriber())
        for text in problems:
            self.problem(text)
        if len(ledger.rows) < self.arguments.kills or not self.script:
            self.problem(f"only {len(ledger.rows)} events and {len(self.script)} steps: this run proves little")
        return ledger

    def late_subscriber(self):
        late = self.plant.record(name="late")
        wait_for(lambda: late.of("status"), 15, "what the broker keeps")
        time.sleep(0.3)
        return late.messages

    def figures(self, ledger, took):
        messages = self.subscriber.recorder.messages
        online = [m.arrived for m in messages if m.topic == f"{BASE}/status" and m.data and m.data["state"] == "online"]
        ends = self.starts[1:] + [float("inf")]
        back = [found[0] - start for start, end in zip(self.starts, ends) if (found := [t for t in online if start < t < end])]
        sent = audit.alarms(messages)
        return {
            "seed": self.arguments.seed, "seconds": round(took, 1), "kills": self.kills, "at": dict(self.deaths),
            "seconds_per_kill": round(took / max(1, self.kills), 3), "outages": dict(self.outages), "commands": self.commands,
            "platform": self.arguments.platform, "events": len(ledger.rows), "steps": len(self.script), "messages": len(sent),
            "sent_twice": len(sent) - len({m.payload for m in sent}), "requested": len(self.asked),
            "previews": sum(m.data["seq"] is None for m in sent),
            "start_to_online_ms": {"median": round(1e3 * statistics.median(back)), "max": round(1e3 * max(back))} if back else None,
            "kinds": dict(collections.Counter(row.event["event"] for row in ledger.rows)), "problems": len(self.problems)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--outages", type=int, default=4)
    parser.add_argument("--life", type=float, default=0.4, help="how long davyd lives in the mean, about, in seconds")
    parser.add_argument("--platform", action="store_true", help="delivery = \"platform\": the subscriber confirms")
    parser.add_argument("--before", help="another davyd for the first quarter: an older one, that is then upgraded")
    parser.add_argument("--no-strace", action="store_true", help="kill at random times only")
    parser.add_argument("--seed", type=int, default=seed_of_run())
    arguments = parser.parse_args()
    print(f"DAVY_SEED={arguments.seed}", flush=True)
    with Plant(persistence=True) as plant:
        run = Run(plant, arguments)
        began = time.monotonic()
        run.start()
        run.go()
        took = time.monotonic() - began
        run.drain()
        ledger = run.check()
        if run.problems:
            print("\n".join(plant.daemon.text().splitlines()[-30:]))
            keep(plant.folder)
        print(json.dumps(run.figures(ledger, took)))
    return 1 if run.problems else 0


def keep(folder):
    """What is there when something is wrong, for a second look."""
    kept = pathlib.Path(os.environ.get("DAVY_KEEP") or "/nonexistent")
    if kept.is_dir():
        shutil.copytree(folder, kept / folder.name, ignore=shutil.ignore_patterns("*.sock"), dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
