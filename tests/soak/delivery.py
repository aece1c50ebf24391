#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real broker that drops what its queue of 5 does not hold, and platforms that are away: each ends with every event.

usage: delivery.py [--seed N] [--seconds N] [--kills N] [--devices N]

The gateway delivers to the platform (`delivery = "platform"`). The first subscriber confirms; the second only looks at `seq`
and asks for what it lacks (conf/examples/consumer.py, written from the contract alone). Both are away most of the time,
while hundreds of events happen and davyd and mosquitto are killed. At the end both come back, and must come to have all
that the ledger has, byte for byte. Prints figures as one JSON line; exit 1 on any problem.

Environment: DAVYD, DAVYCTL, DAVYSIM, DAVY_SEED.
"""
import argparse
import json
import pathlib
import random
import signal
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

import audit  # noqa: E402
from plant import BASE, DAVYCTL, Plant, Program, seed_of_run, wait_for  # noqa: E402
from raw_mqtt import Client  # noqa: E402

QUEUE = 5
CONSUMER = ROOT / "conf/examples/consumer.py"

SIM = """
lines = ( { name = "plc-1"; type = "tcp"; port = %(port)d; } );
devices = (
  { id = "GT"; copies = %(devices)d; line = "plc-1"; unit = 1; points = (
    { name = "gas"; register = 0; type = "float32"; value = 5.0; } ); } );
"""

CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%(broker)d"; telemetry = "off"; delivery = "platform"; confirm_within = "1s";
  commands = [ "confirm", "resend", "snapshot" ]; };
storage = { commit_interval = "200ms"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %(port)d; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; row = 0; column = 0; } );
profiles = ( { name = "gas-one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = ( %(devices)s );
rules = ( { name = "gas"; points = ["GT-*.gas"]; orange = { above = 20.0; }; red = { above = 40.0; }; deadband = 1.0; } );
"""

DEVICE = '{ id = "GT-%d"; zone = "A1"; bus = "plc-1"; unit = %d; profile = "gas-one"; interval = "100ms"; settle = 0; }'


class Platform:
    """Keeps each event once, confirms as far as it has all, and says it again when something comes twice."""

    def __init__(self, port, rng):
        self.rng, self.messages, self.events = rng, [], {}
        self.topics = {}  # the latest of each, since the broker was killed: it may be back with an old save, and its old queue
        self.whole = self.confirmed = self.twice = 0
        self.problems = []
        self.lock = threading.Lock()
        self.client = Client(port, "platform", [f"{BASE}/alarm/#"], self.take, receive_maximum=rng.choice((1, 3, 20)))
        self.pause = rng.choice((0, 0.001, 0.01))  # a slow one

    def take(self, message):
        data = json.loads(message.payload) if message.payload else None
        if data is None or data["seq"] is None:
            return
        seq = data["seq"]
        with self.lock:
            latest = self.topics.get(message.topic, 0)
            if message.retain and data["replayed"] and seq < latest:
                self.problems.append(f"{message.topic}: {seq} was sent again, retained, after {latest}")
            if not data["replayed"] and not message.retain and seq < latest:
                again = "once more" if seq in self.events else "for the first time"
                self.problems.append(f"{message.topic}: first sending of {seq}, {again}, after {latest}")
            self.topics[message.topic] = max(seq, latest)
            self.twice += seq in self.events
            again = self.events.setdefault(seq, message.payload) is not message.payload
            before = self.whole
            while self.whole + 1 in self.events:
                self.whole += 1
        time.sleep(self.pause)
        if self.whole > before or again:
            self.confirm()

    def confirm(self):
        with self.lock:
            self.confirmed = seq = self.whole
        text = json.dumps({"schema": "davy.command/1", "nonce": None, "seq": seq})
        if seq > 0:
            self.client.publish(f"{BASE}/cmd/confirm", text.encode())


class Run:
    def __init__(self, plant, options):
        self.plant, self.options, self.rng = plant, options, random.Random(options.seed)
        self.figures = {"davyd_killed": 0, "broker_killed": 0, "platform_away": 0, "reader_away": 0}
        self.problems = []
        self.platform = Platform(plant.broker_port, self.rng)
        self.file = plant.folder / "events.jsonl"
        self.reader = self.back_at = None
        self.high = set()

    # ---- the parts ----

    def start(self):
        plant, count = self.plant, self.options.devices
        text = plant.broker.conf.read_text(encoding="utf-8")
        text = text.replace("max_queued_messages 1000000", f"max_queued_messages {QUEUE}\nmax_inflight_messages 2", 1)
        plant.broker.conf.write_text(text, encoding="utf-8")
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port, "devices": count})
        self.platform_comes()
        self.reader_comes()
        plant.start_daemon(CONFIG % {"broker": plant.broker_port, "port": plant.plant_port,
                                     "devices": ", ".join(DEVICE % (i, i) for i in range(1, count + 1))})
        wait_for(lambda: plant.status()["status"]["points"]["good"] == count, 20, "every point is good")

    def platform_comes(self):
        if not self.platform.client.connected():
            self.platform.client.connect()

    def platform_goes(self):
        self.platform.client.drop()
        self.figures["platform_away"] += 1

    def reader_comes(self):
        if self.reader is None:
            self.reader = self.plant.keep(Program("reader", self.plant.folder, [
                sys.executable, CONSUMER, "--base", BASE, "--file", self.file, "--port", self.plant.broker_port, "--name",
                "reader"]))

    def reader_goes(self):
        if self.reader is not None:
            self.reader.end(self.rng.choice((signal.SIGTERM, signal.SIGKILL)))
            self.plant.started.remove(self.reader)
            self.reader = None
            self.figures["reader_away"] += 1

    def kill_davyd(self):
        self.plant.end_daemon(signal.SIGKILL)
        self.figures["davyd_killed"] += 1
        self.pulse(2)  # nobody looks
        self.plant.start_daemon()

    def kill_broker(self):
        self.plant.broker.stop(self.rng.choice((signal.SIGTERM, signal.SIGKILL)))
        self.figures["broker_killed"] += 1
        self.pulse(2)
        time.sleep(self.rng.uniform(0, 1))
        with self.platform.lock:
            self.platform.topics.clear()
        self.plant.broker.start()

    def pulse(self, times):
        """Some of the gases rise, others fall: each an event, if somebody looks."""
        for _ in range(times):
            for i in self.rng.sample(range(1, self.options.devices + 1), self.options.devices // 2):
                self.high ^= {i}
                self.plant.sim.set(f"GT-{i}.gas", self.rng.choice((25, 45)) if i in self.high else 5)
            time.sleep(0.25)

    # ---- the run ----

    def live(self):
        """Both are there at first; then away, for most of the time, and never at the same times."""
        self.pulse(3)
        end = time.monotonic() + self.options.seconds
        kills = [self.kill_davyd, self.kill_broker] * self.options.kills
        at = sorted(self.rng.uniform(0.1, 0.95) * self.options.seconds for _ in kills)
        self.rng.shuffle(kills)
        began = time.monotonic()
        self.platform_goes()
        self.reader_goes()
        while time.monotonic() < end:
            self.pulse(2)
            if at and time.monotonic() - began > at[0]:
                at.pop(0)
                kills.pop()()
            turn = self.rng.random()
            if turn < 0.06:
                self.platform_comes()
            elif turn < 0.2:
                self.platform_goes()
            elif turn < 0.24:
                self.reader_comes()
            elif turn < 0.35:
                self.reader_goes()
            self.watch()
        for kill in kills:
            kill()
        self.pulse(1)

    def watch(self):
        seq = self.plant.ledger("SELECT seq FROM confirmed")[0][0]
        if seq > self.platform.confirmed:
            self.problems.append(f"confirmed up to {seq}, but the platform said {self.platform.confirmed}")

    def settled(self):
        """Nothing is pending, both have all, and the gateway's alarm that it was not so is over."""
        self.platform_comes()  # a killed broker has thrown it out
        last = self.plant.status()["status"]["last_seq"]
        alarm = self.plant.alarms().get("mqtt:gateway", {})
        if self.platform.whole == last:
            self.figures.setdefault("platform_s", round(time.monotonic() - self.back_at, 1))
        if self.reader_whole() < last or self.platform.whole < last or alarm.get("active"):
            return False
        status = self.plant.status()["status"]
        return status["outbox"]["events"] == 0 and status["confirmed_seq"] == status["last_seq"] == last

    def reader_events(self):
        lines = self.file.read_bytes().split(b"\n")[:-1] if self.file.exists() else []
        return [(json.loads(line)["seq"], line) for line in lines]

    def reader_whole(self):
        seqs = {seq for seq, _ in self.reader_events()}
        whole = 0
        while whole + 1 in seqs:
            whole += 1
        return whole

    def come_back(self):
        self.back_at = time.monotonic()
        unconfirmed = self.plant.status()["status"]["outbox"]["unconfirmed"]
        missing = self.plant.status()["status"]["last_seq"] - len(self.platform.events)
        self.reader_comes()
        self.platform_comes()
        moved, far = self.back_at, None
        while not self.settled():
            now = (self.platform.whole, self.reader_whole())
            moved, far = (moved, far) if now == far else (time.monotonic(), now)
            if time.monotonic() - moved > self.options.patience:
                status = self.plant.status()["status"]
                self.problems.append(f"nothing has come for {self.options.patience} s: last {status['last_seq']}, confirmed "
                                     f"{status['confirmed_seq']}, outbox {status['outbox']}, platform {now[0]}, reader {now[1]}")
                break
            time.sleep(0.2)
        self.figures.update(unconfirmed_at_return=unconfirmed, missing_at_return=missing,
                            complete_s=round(time.monotonic() - self.back_at, 1))

    def check(self):
        stored = {seq: payload.encode() for seq, payload in self.plant.ledger("SELECT seq, payload FROM events")}
        for name, events in (("platform", dict(self.platform.events)), ("reader", dict(self.reader_events()))):
            lacks = sorted(set(stored) - set(events))
            other = [seq for seq, payload in events.items() if audit.plain(payload) != audit.plain(stored.get(seq, b""))]
            if lacks:
                self.problems.append(f"{name} lacks {len(lacks)} of {len(stored)} events, first {lacks[:5]}")
            if other:
                self.problems.append(f"{name} has other events than the ledger: {other[:5]}")
        double = len(self.reader_events()) - len(dict(self.reader_events()))
        if double:
            self.problems.append(f"the reader stored {double} events twice")
        self.watch()
        self.problems += self.platform.problems
        self.check_ledger(stored)
        self.check_alarm(stored)
        self.check_retained()

    def check_ledger(self, stored):
        link = self.plant
        decided, delivered, pending = (link.ledger(query)[0][0] for query in (
            "SELECT count(*) FROM event WHERE topic IS NOT NULL",
            "SELECT count(*) FROM event WHERE topic IS NOT NULL AND seq NOT IN (SELECT seq FROM pending)",
            "SELECT count(*) FROM pending"))
        if pending or decided != delivered:
            self.problems.append(f"{decided} decided, {delivered} delivered, {pending} pending")
        ledger = audit.read(self.plant.state / "ledger.db")
        self.problems += audit.gapless(ledger) + audit.chained(ledger) + audit.verified(ledger, DAVYCTL)
        self.figures.update(events=len(stored), confirmations=len([1 for _, payload, _ in ledger.actions
                                                                   if '"verb":"confirm"' in payload]))

    def check_alarm(self, stored):
        """That nobody confirmed was told, and why."""
        told = [json.loads(payload) for payload in stored.values() if b'"rule":"mqtt"' in payload]
        self.figures["alarms"] = len([e for e in told if e["event"] == "raised"])
        if not [e for e in told if e["event"] == "raised" and "does not confirm" in (e["note"] or "")]:
            self.problems.append(f"no alarm said that the platform does not confirm: {told[:2]}")

    def check_retained(self):
        """A subscriber that comes now gets no older state of an alarm than its newest, however much was sent again."""
        kept = {}
        late = Client(self.plant.broker_port, "late", [f"{BASE}/alarm/#"],
                      lambda m: kept.update({m.topic: json.loads(m.payload)["seq"]}) if m.payload else None)
        wanted = dict(self.plant.ledger("SELECT t.name, l.seq FROM latest l JOIN event e ON e.seq = l.seq"
                                        " JOIN topic t ON t.id = e.topic"))
        late.connect()
        try:  # a broker that was killed has forgotten what it retained: the snapshot heals that
            wait_for(lambda: kept == wanted or self.figures["broker_killed"], 10, "the present state is retained")
            time.sleep(0.5)
        except AssertionError as error:
            self.problems.append(f"{error}: {len(kept)} of {len(wanted)}")
        late.drop()
        wrong = {topic: (seq, wanted.get(topic)) for topic, seq in kept.items() if seq != wanted.get(topic)}
        if wrong:
            self.problems.append(f"retained, and the newest: {dict(list(wrong.items())[:3])}")

    def work(self):
        self.start()
        self.live()
        self.come_back()
        self.check()
        status = self.plant.status()
        self.figures.update(seed=self.options.seed, twice=self.platform.twice, refused=status["broker"]["refused"],
                            commands=status["broker"]["commands"], problems=len(self.problems))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=seed_of_run())
    parser.add_argument("--seconds", type=float, default=12, help="that things happen")
    parser.add_argument("--kills", type=int, default=1, help="of davyd, and of mosquitto, each")
    parser.add_argument("--devices", type=int, default=12)
    parser.add_argument("--patience", type=float, default=60, help="seconds without progress that are a problem")
    options = parser.parse_args()
    print(f"DAVY_SEED={options.seed}", flush=True)
    with Plant(persistence=True) as plant:
        run = Run(plant, options)
        run.work()
        for problem in run.problems:
            print(f"PROBLEM: {problem}")
        if run.problems:
            print("the end of davyd's log:\n" + "\n".join(plant.daemon.text().splitlines()[-20:]))
        print(json.dumps(run.figures))
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
