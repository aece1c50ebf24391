#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lines that misbehave, with the real davyd and broker: one daemon, a bus or more for each kind of trouble, all at the same time.

Each register's value says whose it is. Whatever a case does to its own line: no reading that is good, here or on any other bus, has
another value, and the bus that nobody touches misses none. Of rows that the adapter, the poller or the decoder prove alone, see
HACKING.md, Lines that misbehave.

usage: line_faults.py [CASE...]    all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import os
import random
import select
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
import time
import tty

from plant import Plant, Simulator, free_ports, seed_of_run, wait_for

CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "off"; };
storage = { commit_interval = "200ms"; };
buses = ( %s );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "two"; max_registers = 2; max_reply = "%s"; settle = 0; interval = "250ms"; points = (
  { name = "a"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 5000.0]; },
  { name = "b"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 2; type = "float32"; range = [0.0, 5000.0]; } ); } );
devices = ( %s );
rules = ( { name = "gas"; points = ["*.a"]; red = { above = 4000.0; }; } );
"""
MAX_REPLY_S = 0.4


def listed(items):
    return ",\n  ".join(items)


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


class World:
    """The plant with all buses; what cases ask of it."""

    def __init__(self, plant):
        self.plant, self.sim, self.lock = plant, None, threading.Lock()

    def tell(self, command):
        """To the shared simulator, from any thread."""
        with self.lock:
            return self.sim.send(command)

    def is_recorded(self):
        """The file of the readings is there a moment before its tables."""
        if not (self.plant.state / "readings.db").exists():
            return False
        link = sqlite3.connect(f"file:{self.plant.state}/readings.db?mode=ro", uri=True, timeout=20)
        try:
            return link.execute("SELECT 1 FROM sqlite_master WHERE name = 'readings'").fetchone()
        finally:
            link.close()

    def readings(self, point, since=0.0):
        """[(time, value, quality, reason)] of a point since a wall time, oldest first."""
        link = sqlite3.connect(f"file:{self.plant.state}/readings.db?mode=ro", uri=True, timeout=20)
        try:
            return [(at / 1e6, *rest) for at, *rest in link.execute(
                "SELECT time_us, value, quality, reason FROM readings WHERE point = ? AND time_us >= ? ORDER BY time_us",
                (point, int(since * 1e6)))]
        finally:
            link.close()

    def good_since(self, device, since, count=2):
        return all(sum(r[2] == "good" for r in self.readings(f"{device}.{p}", since)) >= count for p in "ab")

    def wait_good(self, device, timeout=20, count=2):
        since = time.time()
        wait_for(lambda: self.good_since(device, since, count), timeout, f"{device} is read")

    def wait_bad(self, device, reason, timeout=20):
        since = time.time()
        wait_for(lambda: any(r[2:] == ("bad", reason) for r in self.readings(f"{device}.a", since)), timeout,
                 f"{device} is bad, {reason}")

    def bus(self, name):
        return next(row for row in self.plant.status()["status"]["buses"] if row["name"] == name)

    def count(self, line, what):
        """A counter of a line of the simulator."""
        row = next(part for part in self.tell("stats").split("; ") if part.startswith(line + " "))
        return int(row.split(f"{what}=")[1].split()[0])

    def stands(self, alarm):
        row = self.plant.alarms().get(alarm)
        return bool(row and row["active"])

    def log(self):
        return self.plant.daemon.text()


class Case:
    """A kind of trouble: what it needs of simulator and configuration, and its story."""
    rows = ""
    units = 1
    timeout = "150ms"
    line = 'type = "tcp";'
    more = ""
    absent = ()

    def __init__(self):
        self.name = type(self).__name__
        self.error = None

    def prepare(self, folder, port):
        self.folder, self.port = folder, port

    def device(self, unit=1, bus=None):
        return f"{bus or self.name}-{unit}"

    def lines(self):
        return [f'{{ name = "{self.name}"; {self.line} port = {self.port}; }}']

    def sim_devices(self):
        return [f'{{ id = "{self.device(u)}"; line = "{self.name}"; unit = {u}; points = ( {self.points(u)} ); }}'
                for u in range(1, self.units + 1) if u not in self.absent]

    def points(self, unit):
        return listed(f'{{ name = "{p}"; register = {r}; type = "float32"; value = {float(self.value(unit, p))}; }}'
                      for p, r in (("a", 0), ("b", 2)))

    @staticmethod
    def value(unit, point):
        return 100 * unit + (1 if point == "a" else 2)

    def where(self):
        return f'type = "tcp"; host = "127.0.0.1"; port = {self.port};'

    def buses(self):
        return [f'{{ name = "{self.name}"; {self.where()} timeout = "{self.timeout}"; fault_delay = "2s"; {self.more} }}']

    def devices(self):
        return [f'{{ id = "{self.device(u)}"; zone = "A1"; bus = "{self.name}"; unit = {u}; profile = "two"; }}'
                for u in range(1, self.units + 1)]

    def start(self):
        """What is not davysim, before davyd."""

    def run(self, world):
        raise NotImplementedError

    def check_values(self, world):
        """No good reading of any device has another value than its own."""
        for unit in range(1, self.units + 1):
            for point in "ab":
                wrong = [r for r in world.readings(f"{self.device(unit)}.{point}")
                         if r[2] == "good" and r[1] != self.value(unit, point)]
                assert not wrong, f"{self.device(unit)}.{point}: {wrong[:3]}"

    def end(self):
        """What start() began."""


class Serial(Case):
    """On a pty of the simulator."""

    def lines(self):
        return [f'{{ name = "{self.name}"; type = "rtu"; link = "{self.path()}"; }}']

    def path(self):
        return f"{self.folder}/{self.name}"

    def where(self):
        return f'type = "rtu"; device = "{self.path()}"; baud = 115200;'


class untouched(Serial):
    """Nobody does anything to it: other buses' trouble costs it nothing."""
    units, timeout = 2, "2s"

    def run(self, world):
        self.began = time.time()

    def check_values(self, world):
        super().check_values(world)
        for unit in (1, 2):
            bad = [r for r in world.readings(f"{self.device(unit)}.a", self.began) if r[2] != "good"]
            assert not bad, f"trouble elsewhere reached {self.device(unit)}: {bad[:3]}"


class late_on_tcp(Case):
    """L3: each late reply costs its own read; the next one is on a new connection, and right."""
    rows, units = "L3", 2

    def run(self, world):
        world.wait_good(self.device(1))
        world.tell(f"fault {self.device(1)} late 300 probability 0.1")
        began = time.time()
        time.sleep(10)
        world.tell(f"clear {self.device(1)}")
        late = [r for p in "ab" for r in world.readings(f"{self.device(1)}.{p}", began) if r[3] == "comm"]
        assert world.bus(self.name)["errors"] > 0 and world.count(self.name, "connections") > 1
        world.wait_good(self.device(1))
        print(f"  {self.name}: {world.bus(self.name)['errors']} late, of which {len(late)} not made good by a retry")


class Noise(Serial):
    """Between davyd and the simulator a line that flips bits, and now and then adds bytes."""

    def path(self):
        return f"{self.folder}/{self.name}-far"

    def start(self):
        self.near, self.keep = os.openpty()
        tty.setraw(self.keep)
        seed = seed_of_run(1)
        print(f"  {self.name}: DAVY_SEED={seed}")
        self.rate, self.flips, self.random = 0.0, 0, random.Random(seed)
        self.over = threading.Event()
        self.far = os.open(self.path(), os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.far)
        self.thread = threading.Thread(target=self.bridge, daemon=True)
        self.thread.start()

    def where(self):
        return f'type = "rtu"; device = "{os.ttyname(self.keep)}"; baud = 115200;'

    def disturb(self, data):
        noisy = bytearray(data)
        for i in range(len(noisy)):
            for bit in range(8):
                if self.random.random() < self.rate:
                    noisy[i] ^= 1 << bit
                    self.flips += 1
        if self.random.random() < 3 * self.rate:
            noisy[self.random.randrange(len(noisy) + 1):0] = self.random.randbytes(3)
        return bytes(noisy)

    def bridge(self):
        while not self.over.is_set():
            for fd in select.select([self.near, self.far], [], [], 0.2)[0]:
                os.write(self.far if fd == self.near else self.near, self.disturb(os.read(fd, 512)))

    def end(self):
        self.over.set()
        self.thread.join(5)
        for fd in (self.near, self.keep, self.far):
            os.close(fd)


class noise_on_the_line(Noise):
    """L6: bit errors at 1e-3 to 1e-2, split and added bytes: none gives a value, and afterwards all is as before."""
    rows, units = "L6", 3

    def run(self, world):
        for unit in (1, 2, 3):
            world.wait_good(self.device(unit))
        for rate in (1e-3, 3e-3, 1e-2):
            self.rate = rate
            before, errors, began = self.flips, world.bus(self.name)["errors"], time.time()
            time.sleep(6)
            good = sum(r[2] == "good" for u in (1, 2, 3) for p in "ab" for r in world.readings(f"{self.device(u)}.{p}", began))
            wait_for(lambda seen=errors: world.bus(self.name)["errors"] > seen, 10, "errors are counted")
            print(f"  {self.name}: {rate}: {self.flips - before} bits flipped, {good} good readings")
        assert self.flips > 0
        self.rate = 0.0
        for unit in (1, 2, 3):
            world.wait_good(self.device(unit), 40)


class damage_beside_the_dead(Serial):
    """L6: a reply that is damaged now and then is asked for again at once, also while a dead device uses up what trouble may cost."""
    rows, units, absent, timeout = "L6", 3, (2,), "1s"

    def run(self, world):
        world.wait_good(self.device(1))
        wait_for(lambda: f"{self.device(2)} does not answer" in world.log(), 60, "the dead device is only probed")
        time.sleep(10)  # a miss of it is paid off in that
        began = time.time()
        for _ in range(8):
            world.tell(f"fault {self.device(1)} crc count 1")
            time.sleep(2.3)
        errors, good = world.bus(self.name)["errors"], [r[0] for r in world.readings(f"{self.device(1)}.a", began) if r[2] == "good"]
        longest = max(b - a for a, b in zip([began] + good, good + [time.time()]))
        assert longest < 4, f"blind for {longest:.1f} s"  # 1 s is the dead one's and 1 s its own; it was 10
        assert errors >= 8, errors
        print(f"  {self.name}: {errors} errors, longest time between two good readings {longest:.2f} s")


class refused_registers(Case):
    """L7: a read that the device refuses is a fault that says so, told at each interval and asked rarely."""
    rows, timeout = "L7", "1s"

    def points(self, unit):
        return f'{{ name = "a"; register = 0; type = "float32"; value = {float(self.value(unit, "a"))}; }}'

    def run(self, world):
        point = f"{self.device()}.b"
        wait_for(lambda: any(r[3] == "exception" for r in world.readings(point)), 20, "exception is the reason")
        wait_for(lambda: world.stands(f"fault:{self.device()}.b"), 20, "the fault of the point")
        since, asked = time.time(), world.count(self.name, "exceptions")
        time.sleep(6)
        told = [r for r in world.readings(point, since) if r[3] == "exception"]
        assert len(told) > 10, f"{len(told)} in 6 s"
        assert world.count(self.name, "exceptions") - asked <= 3, "a storm of what is refused"
        assert not world.stands(f"fault:{self.name}") and not world.stands(f"fault:{self.device()}")
        assert world.good_since(self.device(), since, 0) and any(r[2] == "good" for r in world.readings(f"{self.device()}.a", since))
        assert f"{self.device()}: reading 2 of holding from 2 is refused" in world.log(), "nothing in the log"


class busy_device(Case):
    """L8: busy (6) now and then is no fault; busy for long is, without a storm, and it ends with the first answer."""
    rows, units, timeout = "L8", 2, "1s"

    def run(self, world):
        world.wait_good(self.device(1))
        began = time.time()
        world.tell(f"fault {self.device(1)} exception 6 count 1")
        world.wait_good(self.device(1))
        world.tell(f"fault {self.device(1)} exception 6")
        world.wait_bad(self.device(1), "exception")
        wait_for(lambda: world.stands(f"fault:{self.device(1)}"), 20, "the fault of the device")
        assert not world.stands(f"fault:{self.name}"), "the bus is well"
        world.tell(f"clear {self.device(1)}")
        world.wait_good(self.device(1))
        wait_for(lambda: not world.stands(f"fault:{self.device(1)}"), 20, "its end")
        bad = [r for r in world.readings(f"{self.device(2)}.a", began) if r[2] != "good"]
        assert not bad, f"the unit beside: {bad[:3]}"


class gateway_without_a_unit(Case):
    """L9: exception 11 of a gateway is about that unit: the other one behind the socket and the bus are well."""
    rows, units, absent, timeout = "L9", 2, (2,), "1s"

    def run(self, world):
        world.wait_good(self.device(1))
        since, connections = time.time(), world.count(self.name, "connections")
        wait_for(lambda: world.stands(f"fault:{self.device(2)}"), 20, "the fault of the unit")
        world.wait_bad(self.device(2), "exception")
        time.sleep(3)
        assert not world.stands(f"fault:{self.name}"), "the gateway answers"
        assert world.count(self.name, "connections") == connections, "the connection was blamed"
        bad = [r for r in world.readings(f"{self.device(1)}.a", since) if r[2] != "good"]
        assert not bad, f"the unit beside: {bad[:3]}"


class dripping_device(Serial):
    """L19: a byte every 60 ms: cut off at the deadline, its neighbour is read on."""
    rows, units = "L19", 2

    def run(self, world):
        world.wait_good(self.device(1))
        world.tell(f"fault {self.device(1)} drip 60")
        since = time.time()
        world.wait_bad(self.device(1), "comm")
        time.sleep(6)
        good = [r[0] for r in world.readings(f"{self.device(2)}.a", since) if r[2] == "good"]
        gap = max(later - sooner for sooner, later in zip([since] + good, good + [time.time()]))
        assert len(good) >= 8, f"{len(good)} good readings of the neighbour"
        world.tell(f"clear {self.device(1)}")
        world.wait_good(self.device(1), 40)
        print(f"  {self.name}: {len(good)} good readings of the neighbour, longest gap {gap:.2f} s")


class replugged_adapter(Serial):
    """L20: gone and back as another node behind the same link: bad meanwhile, found again by itself."""
    rows = "L20"

    def path(self):
        return f"{self.folder}/by-id/usb-adapter"

    def prepare(self, folder, port):
        super().prepare(folder, port)
        (folder / "by-id").mkdir()

    def run(self, world):
        world.wait_good(self.device())
        node = os.readlink(self.path())
        world.tell(f"unplug {self.name}")
        wait_for(lambda: not os.path.lexists(self.path()), 10, "the link is gone")
        world.wait_bad(self.device(), "comm")
        wait_for(lambda: world.stands(f"fault:{self.name}"), 20, "the fault of the bus")
        squatters = []
        while not os.path.exists(node) and len(squatters) < 64:  # so that the adapter cannot have its number again
            squatters.append(os.openpty())
        world.tell(f"plug {self.name}")
        began = time.time()
        wait_for(lambda: os.path.lexists(self.path()), 10, "the link is back")
        assert os.readlink(self.path()) != node
        world.wait_good(self.device(), 20, 1)
        first = next(r[0] for r in world.readings(f"{self.device()}.a", began) if r[2] == "good")
        print(f"  {self.name}: {node} became {os.readlink(self.path())}, read again {first - began:.1f} s after its return")
        assert first - began < 10, "opened too rarely"
        wait_for(lambda: not world.stands(f"fault:{self.name}"), 20, "the end of the fault")
        for pair in squatters:
            for fd in pair:
                os.close(fd)


class settings_from_outside(Serial):
    """L21: somebody turns the port into a terminal with echo: davyd sets it up again by itself."""
    rows = "L21"

    def run(self, world):
        world.wait_good(self.device())
        for change in (["cooked", "echo"], ["2400"]):
            subprocess.run(["stty", "-F", self.path(), *change], check=True)
            world.wait_good(self.device(), 20, 3)
            fd = os.open(self.path(), os.O_RDWR | os.O_NOCTTY)
            settings = termios.tcgetattr(fd)
            os.close(fd)
            assert not settings[3] & (termios.ICANON | termios.ECHO), "it is still a terminal"
            assert settings[4] == termios.B115200, "not the speed of the bus"
        assert f"{self.name}: another program changed the settings" in world.log(), "nothing in the log"


class no_direction_to_switch(Serial):
    """L22: RS-485 mode on a port that has none: said in the log, the bus in fault, never polled without it."""
    rows, more = "L22", "rs485 = true;"

    def run(self, world):
        wait_for(lambda: world.stands(f"fault:{self.name}"), 20, "the fault of the bus")
        row = world.bus(self.name)
        assert row["state"] == "backoff" and row["requests"] == 0, row
        assert f"{self.name}: cannot be opened: " in world.log() and "RS-485" in world.log(), "the log does not say why"


class black_hole(Case):
    """L23: a peer that is there for TCP and never answers again, then one that does not even take connections."""
    rows = "L23"

    def lines(self):
        return []

    def sim_devices(self):
        return []

    def start(self):
        line = f'{{ name = "{self.name}"; type = "tcp"; port = {self.port}; }}'
        self.sim = Simulator(self.folder, f"lines = ( {line} ); devices = ( {listed(Case.sim_devices(self))} );", self.name)

    def run(self, world):
        world.wait_good(self.device())
        os.kill(self.sim.program.pid, signal.SIGSTOP)
        world.wait_bad(self.device(), "comm")
        wait_for(lambda: world.stands(f"fault:{self.name}"), 20, "the fault of the bus")
        fill = self.fill_backlog()
        wait_for(lambda: f"{self.name}: cannot be opened: Connection timed out" in world.log(), 20, "connecting is given up")
        for one in fill:
            one.close()
        os.kill(self.sim.program.pid, signal.SIGCONT)
        world.wait_good(self.device(), 60)

    def fill_backlog(self):
        """Until the kernel drops further connections unanswered, as a host that is gone does."""
        fill = []
        while len(fill) < 2000:
            one = socket.socket()
            one.settimeout(0.3)
            fill.append(one)
            try:
                one.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return fill
        raise AssertionError("the backlog has no end")

    def end(self):
        os.kill(self.sim.program.pid, signal.SIGCONT)
        self.sim.end()


class doors_that_slam(Case):
    """L24: a hundred devices accept and reset: each is tried one connection at a time, ever more rarely, none with the others."""
    rows, units = "L24", 0
    count, seconds = 100, 20

    def lines(self):
        return []

    def buses(self):
        return [f'{{ name = "slam{i}"; type = "tcp"; host = "127.1.0.{i}"; port = {self.port}; timeout = "1s"; fault_delay = "1h"; }}'
                for i in range(1, self.count + 1)]

    def devices(self):
        return [f'{{ id = "slam{i}-1"; bus = "slam{i}"; unit = 1; profile = "two"; }}' for i in range(1, self.count + 1)]

    def start(self):
        self.attempts, self.double, self.over = {}, [], threading.Event()
        self.listener = socket.create_server(("0.0.0.0", self.port), backlog=512)
        self.listener.settimeout(0.1)
        self.thread = threading.Thread(target=self.slam, daemon=True)
        self.thread.start()

    def slam(self):
        held = []
        while not self.over.is_set():
            try:
                peer, _ = self.listener.accept()
                address = peer.getsockname()[0]
                if any(address == other for _, other, _ in held):
                    self.double.append(address)
                self.attempts.setdefault(address, []).append(time.monotonic())
                held.append((peer, address, time.monotonic()))
            except TimeoutError:
                pass
            for one in [h for h in held if time.monotonic() - h[2] > 0.05]:
                held.remove(one)
                one[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one[0].close()

    def run(self, world):
        wait_for(lambda: len(self.attempts) == self.count, 20, "each was tried")
        time.sleep(self.seconds)
        tries = {address: list(times) for address, times in self.attempts.items()}
        assert not self.double, f"two connections at once: {self.double[:5]}"
        counts = [len(times) for times in tries.values()]
        # at once, at once again, then after 1, 2, 4, 8, 16 s, of which half is certain
        assert max(counts) <= 8, f"{max(counts)} attempts at one device"
        for address, times in tries.items():
            for k, (sooner, later) in enumerate(zip(times[1:], times[2:])):
                assert later - sooner > 0.5 * 2 ** min(k, 5) - 0.3, f"{address}: attempts {k + 2} and {k + 3} are {later - sooner:.2f} s apart"
        thirds = sorted(times[2] - times[1] for times in tries.values() if len(times) > 2)
        spread = thirds[len(thirds) * 9 // 10] - thirds[len(thirds) // 10]
        assert len(thirds) == self.count and spread > 0.2, f"they come back together: {spread:.2f} s"
        print(f"  {self.name}: {min(counts)} to {max(counts)} attempts each, first waits spread over {spread:.2f} s")

    def end(self):
        self.over.set()
        self.thread.join(5)
        self.listener.close()


class two_with_one_address(Case):
    """L26: two devices answer to one address, one after the other: a fault, not the value of either."""
    rows = "L26"

    def lines(self):
        return []

    def sim_devices(self):
        return []

    def start(self):
        self.near, self.keep = os.openpty()
        tty.setraw(self.keep)
        self.twins, self.over, self.random = False, threading.Event(), random.Random(seed_of_run(1))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def where(self):
        return f'type = "rtu"; device = "{os.ttyname(self.keep)}"; baud = 115200;'

    def reply(self, request, twin):
        start, count = struct.unpack(">HH", request[2:6])
        words = struct.pack(">ff", self.value(1, "a") + 50 * twin, self.value(1, "b") + 50 * twin)
        data = (words + bytes(64))[2 * start:2 * (start + count)]
        body = request[:2] + bytes([len(data)]) + data
        return body + crc16(body)

    def serve(self):
        heard = b""
        while not self.over.is_set():
            if not select.select([self.near], [], [], 0.2)[0]:
                continue
            heard = (heard + os.read(self.near, 256))[-256:]
            while len(heard) >= 8:
                request, heard = heard[:8], heard[8:]
                if crc16(request[:6]) != request[6:]:
                    heard = request[1:] + heard
                    continue
                order = self.random.sample((0, 1), 2) if self.twins else (0,)
                for twin in order:
                    time.sleep(0.01)
                    os.write(self.near, self.reply(request, twin))

    def run(self, world):
        world.wait_good(self.device())
        self.twins = True
        world.wait_bad(self.device(), "comm")
        since = time.time()
        time.sleep(8)
        good = [r for p in "ab" for r in world.readings(f"{self.device()}.{p}", since) if r[2] == "good"]
        assert not good, f"{len(good)} readings passed for good: {good[:3]}"
        wait_for(lambda: world.stands(f"fault:{self.name}"), 20, "the fault")
        self.twins = False
        world.wait_good(self.device(), 60)

    def check_values(self, world):
        """The first answer of the twins cannot be told from the true one."""

    def end(self):
        self.over.set()
        self.thread.join(5)
        os.close(self.near)
        os.close(self.keep)


CASES = (untouched, late_on_tcp, noise_on_the_line, damage_beside_the_dead, refused_registers, busy_device, gateway_without_a_unit, dripping_device,
         replugged_adapter, settings_from_outside, no_direction_to_switch, black_hole, doors_that_slam, two_with_one_address)


def tell_story(case, world):
    began = time.monotonic()
    try:
        case.run(world)
    except Exception as error:  # one case must not hide the others
        trace = error.__traceback__
        while trace.tb_next and trace.tb_next.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        case.error = f"line {trace.tb_lineno}: {type(error).__name__}: {error}"
    case.took = time.monotonic() - began


def start_all(plant, cases):
    for case, port in zip(cases, free_ports(len(cases))):
        case.prepare(plant.folder, port)
    world = World(plant)
    world.sim = plant.start_sim(f"lines = ( {listed(t for c in cases for t in c.lines())} );\n"
                                f"devices = ( {listed(t for c in cases for t in c.sim_devices())} );\n")
    plant.broker.start()
    for case in cases:
        case.start()
    plant.start_daemon(CONFIG % (plant.broker_port, listed(t for c in cases for t in c.buses()), f"{int(MAX_REPLY_S * 1000)}ms",
                                 listed(t for c in cases for t in c.devices())))
    wait_for(world.is_recorded, 20, "readings.db")
    return world


def judge(case, world):
    if not case.error:
        try:
            case.check_values(world)
        except AssertionError as error:
            case.error = str(error)
    outcome = f"FAILED  {case.name} {case.error}" if case.error else f"ok      {case.name}"
    print(f"{outcome} ({case.took:.1f} s)", flush=True)


def main(names):
    cases = [kind() for kind in CASES if not names or kind.__name__ in names or kind is untouched]
    with Plant() as plant:
        world = start_all(plant, cases)
        try:
            world.wait_good("untouched-1")
            threads = [threading.Thread(target=tell_story, args=(case, world)) for case in cases]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for case in cases:
                judge(case, world)
            if any(case.error for case in cases):
                print("the end of davyd's log:\n" + "\n".join(world.log().splitlines()[-40:]))
            status = plant.status()
            assert not any(status["lost"].values()), status["lost"]
            assert plant.end_daemon() == 0
        finally:
            for case in cases:
                case.end()
    return 1 if any(case.error for case in cases) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
