# SPDX-License-Identifier: Apache-2.0
"""A plant whose davyd has its state directory on a mount of its own and disk_shim.c before its disk, and a driver of its sensors."""
import contextlib
import itertools
import json
import mmap
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import audit  # noqa: E402
import plant  # noqa: E402
from plant import Plant, wait_for  # noqa: E402

SHIM = os.environ.get("DISK_SHIM", str(plant.ROOT / "build/tests/soak/libdisk_shim.so"))
DEVICES = 8
LOW = 5.0
PLANT_HEAD = 'lines = ( { name = "plc-1"; type = "tcp"; port = %d; } );\ndevices = (\n'
PLANT_DEVICE = """  { id = "GT-%d"; line = "plc-1"; unit = %d; points = (
    { name = "gas"; register = 0; type = "float32"; value = 5.0; } ); }"""
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "changes"; telemetry_interval = "1s"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "gas-one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 1000000.0]; } ); }%s );
devices = (
%s );
rules = ( { name = "gas"; points = ["GT-*.gas"]; red = { above = 40.0; }; deadband = 1.0; acknowledge = false; } );
"""
BULK_POINT = '{ name = "p%d"; register = %d; type = "uint16"%s; }'
DEVICE = '  { id = "GT-%d"; zone = "A1"; bus = "plc-1"; unit = %d; profile = "gas-one"; interval = "100ms"; settle = 0; }'

WRITE, SYNC, TRUNCATE, OPEN, READ, REMOVE = 1, 2, 4, 8, 16, 32
EIO, ENOSPC, EROFS = 5, 28, 30


class Skip(Exception):
    pass


def root_command(*command, check=True):
    """What only root may do; Skip where this machine does not let it."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode != 0:
        raise Skip(f"{' '.join(str(part) for part in command)}: {done.stderr.strip()}")
    return done.returncode == 0


class Shim:
    """The table of disk_shim.c."""

    FIELDS = ("armed", "error", "mask", "nth", "seen", "fired", "delay_mask", "delay_ms", "waiting", "waited")

    def __init__(self, folder):
        self.path = folder / "disk-control"
        self.path.write_bytes(bytes(4096))
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 4096)

    def __getattr__(self, name):
        return struct.unpack_from("=I", self.memory, 4 * self.FIELDS.index(name))[0]

    def put(self, name, value):
        struct.pack_into("=I", self.memory, 4 * self.FIELDS.index(name), value)

    def only(self, files):
        """Files whose name begins so; all where it is empty."""
        struct.pack_into("=64s", self.memory, 48, files.encode())

    def arm(self, mask, nth, error=EIO, lasting=False, files=""):
        self.put("armed", 0)
        self.only(files)
        for name, value in (("error", error), ("mask", mask), ("nth", nth), ("seen", 0), ("fired", 0)):
            self.put(name, value)
        self.put("armed", 2 if lasting else 1)

    def disarm(self):
        self.put("armed", 0)
        return self.fired

    def delay(self, mask, seconds):
        self.put("delay_mask", mask)
        self.put("delay_ms", int(1000 * seconds))


class Driver(threading.Thread):
    """Sensors that rise and fall in turn, and when each did."""

    def __init__(self, station, values, pace=0.15):
        super().__init__(daemon=True)
        self.station, self.values, self.pace = station, values, pace
        self.steps = []  # (time, device, high value, raised or cleared)
        self.script = []
        self.high = {}
        self.error = None
        self.over = threading.Event()

    def step(self, number):
        device = f"GT-{number}"
        value = self.high.pop(number, None)
        at = time.monotonic()
        if value is None:
            value = self.high[number] = next(self.values)
            self.station.sim.set(f"{device}.gas", value)
            self.steps.append((at, device, value, "raised"))
            self.script.append(audit.Pulse("gas", device, "gas", value))
        else:
            self.station.sim.set(f"{device}.gas", LOW)
            self.steps.append((at, device, value, "cleared"))

    def run(self):
        try:
            for number in itertools.cycle(range(1, DEVICES + 1)):
                if self.over.wait(self.pace):
                    return
                self.step(number)
        except Exception as error:  # told by finish()
            self.error = error

    def finish(self):
        """Stop, with all sensors low."""
        self.over.set()
        self.join(10)
        if self.error:
            raise self.error
        for number in list(self.high):
            time.sleep(0.5)
            self.step(number)


class Station(Plant):
    """A plant whose state directory may be on a mount of its own, and whose davyd has the shim before its disk."""

    def __init__(self, run, case):
        super().__init__()
        self.harness, self.case = run, case
        self.shim = Shim(self.folder)
        self.mounted = False
        self.image = self.folder / "disk.img"
        self.recorder = self.driver = None
        self.troubled_at = None
        self.alarm_after = None
        self.rss_max = 0
        self.bulk = 0  # points of a device that only fills the disk
        self.feeds = 0  # of the watchdog
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(self.folder / "manager"))
        self.manager.setblocking(False)

    def daemon_env(self):
        env = {**super().daemon_env(), "NOTIFY_SOCKET": str(self.folder / "manager"), "WATCHDOG_USEC": "6000000"}
        if pathlib.Path(SHIM).exists():
            env.update(LD_PRELOAD=SHIM, DISK_CONTROL=str(self.shim.path), DISK_FOLDER=str(self.state))
        return env

    def __exit__(self, kind, error, trace):
        if self.driver:
            self.driver.over.set()
        self.shim.disarm()
        self.shim.delay(0, 0)
        self.manager.close()
        for one in reversed(self.started):
            one.end()
        self.started.clear()
        if self.mounted:
            self.unmount(patience=10)
        return super().__exit__(kind, error, trace)

    # ---- mounts

    def mount_tmpfs(self, options):
        root_command("mount", "-t", "tmpfs", "-o", options, "tmpfs", self.state)
        self.mounted = True

    def make_image(self, megabytes, *options):
        with open(self.image, "wb") as file:
            file.truncate(megabytes << 20)
        root_command("mkfs.ext4", "-q", "-F", *options, self.image)

    def mount_image(self):
        root_command("mount", "-o", "loop,errors=remount-ro", self.image, self.state)
        self.mounted = True

    def loop_device(self):
        with open("/proc/self/mounts", encoding="utf-8") as file:
            return next(line.split()[0] for line in file if line.split()[1] == str(self.state))

    def unmount(self, patience=15):
        """As an operator would: again until nobody uses it."""
        wait_for(lambda: root_command("umount", self.state, check=False), patience, "nothing of davyd holds the file system")
        self.mounted = False

    # ---- the run

    def plant_text(self):
        devices = [PLANT_DEVICE % (i, i) for i in range(1, DEVICES + 1)]
        if self.bulk:
            points = ", ".join(BULK_POINT % (i, i, '; wave = { type = "random-walk"; low = 0.0; high = 1000.0; period = "2s"; }')
                               for i in range(self.bulk))
            devices.append(f'  {{ id = "BULK"; line = "plc-1"; unit = 99; points = ( {points} ); }}')
        return PLANT_HEAD % self.plant_port + ",\n".join(devices) + " );\n"

    def config_text(self):
        devices = [DEVICE % (i, i) for i in range(1, DEVICES + 1)]
        profile = ""
        if self.bulk:
            points = ", ".join(BULK_POINT % (i, i, "") for i in range(self.bulk))
            profile = f',\n  {{ name = "bulk"; points = ( {points} ); }}'
            devices.append('  { id = "BULK"; zone = "A1"; bus = "plc-1"; unit = 99; profile = "bulk"; interval = "100ms"; settle = 0; }')
        return CONFIG % (self.broker_port, self.plant_port, profile, ",\n".join(devices))

    def start(self, wait=True):
        self.broker.start()
        self.start_sim(self.plant_text())
        self.recorder = self.record()
        self.launch(wait)

    def all_read(self):
        return self.status().get("status", {}).get("points", {}).get("good") == DEVICES + self.bulk

    def launch(self, wait=True):
        self.start_daemon(self.config_text(), wait=wait)
        wait_for(self.all_read, 30, "all points are read")
        self.driver = Driver(self, self.harness.values)
        self.driver.start()

    def note_memory(self):
        with contextlib.suppress(OSError):
            with open(f"/proc/{self.daemon.pid}/status", encoding="utf-8") as file:
                kilobytes = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
            self.rss_max = max(self.rss_max, kilobytes)

    def note_watchdog(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.feeds += b"WATCHDOG=1" in self.manager.recv(4096)

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.note_memory()
            self.note_watchdog()
            time.sleep(min(left, 0.25))
            if not self.daemon.running():
                raise AssertionError(f"davyd ended: {self.daemon.process.returncode}")

    def trouble(self):
        """From now on the disk is in trouble: the alarm `storage` is due."""
        self.troubled_at = time.monotonic()

    def storage_alarm(self):
        return next((m.arrived for m in list(self.recorder.messages)
                     if m.data and "/alarm/" in m.topic and m.data.get("rule") == "storage" and m.data["event"] == "raised"
                     and m.arrived >= self.troubled_at), None)

    def previews(self):
        return [m for m in list(self.recorder.messages) if "/alarm/" in m.topic and m.data and not m.data["durable"]]

    def stored_now(self):
        return self.status()["status"]["last_seq"]

    def finish(self):
        """The disk is well: calm the plant, wait until all is delivered, audit beside the running davyd, then stop it."""
        self.driver.finish()
        pulses = len(self.driver.script)
        count = "SELECT count(*) FROM events WHERE rule = 'gas' AND event = 'cleared'"
        wait_for(lambda: self.ledger(count)[0][0] >= pulses, 40, f"{pulses} alarms are stored, as far as to their end")
        wait_for(lambda: self.status()["status"]["outbox"]["events"] == 0, 40, "the outbox is empty")
        seqs = {row[0] for row in self.ledger("SELECT seq FROM events")}
        wait_for(lambda: seqs <= {m.data["seq"] for m in self.recorder.of("alarm") if m.data}, 20, "all events have arrived")
        self.audit()
        lost = self.ctl_json("status").get("lost", {})
        code = self.end_daemon(signal.SIGTERM)
        if code != 0:
            self.problem(f"davyd stopped with {code}")
        self.audit_losses(lost)
        return lost

    def problem(self, text):
        self.harness.problem(f"{self.case}: {text}")

    def audit(self):
        ledger = audit.read(self.state / "ledger.db")
        seen = [m for m in list(self.recorder.messages) if not self.bulk or "/telemetry" not in m.topic]  # long to read
        found = audit.everything(ledger, seen, plant.DAVYCTL)
        found += audit.truth(ledger, self.driver.script) + audit.whole(self.state)
        for problem in found:
            self.problem(problem)

    def audit_losses(self, lost):
        """What davyd counted as lost is declared in the ledger, to the last one."""
        declared = dict(self.ledger("SELECT what, count FROM loss"))  # summed, and to be an action when a minute is over
        for (payload,) in self.ledger("SELECT payload FROM actions"):
            action = json.loads(payload)
            if action["verb"] == "loss":
                declared[action["target"]] = declared.get(action["target"], 0) + action["detail"]["count"]
        for target, name in (("readings", "readings"), ("telemetry", "telemetry"), ("events", "records")):
            if declared.get(target, 0) < lost.get(name, 0):
                self.problem(f"lost {lost.get(name)} {target}, declared {declared.get(target, 0)}")
        if declared.get("events"):
            self.problem(f"{declared['events']} events are lost")

    def latencies(self):
        """Of each step of the sensors: seconds to its first announcement; None: it never came."""
        first, ids = {}, {}
        for m in self.recorder.of("alarm"):
            if m.data and m.data["rule"] == "gas":
                if m.data["event"] == "raised":
                    ids.setdefault((m.data["device"], m.data["value"]), m.data["id"])
                first.setdefault((m.data["id"], m.data["event"]), m.arrived)
        found = []
        for at, device, value, event in self.driver.steps:
            arrived = first.get((ids.get((device, value)), event))
            found.append(None if arrived is None else arrived - at)
        return found
