# SPDX-License-Identifier: Apache-2.0
"""A whole plant for tests: private broker, simulated devices, davyd, and a recorder of every MQTT message.

Everything runs on free loopback ports in one temporary folder; leaving the `with` block ends it, each program by its pid.
Programs are found by DAVYD, DAVYCTL and DAVYSIM, else in build/. DAVY_PATIENCE makes what is waited for at most that many
times longer, where they run under an instrument; what a case measures stays as it is.
"""
import collections
import functools
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import davy_schema

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAVYD = os.environ.get("DAVYD", str(ROOT / "build/src/daemon/davyd"))
DAVYCTL = os.environ.get("DAVYCTL", str(ROOT / "build/src/ctl/davyctl"))
DAVYSIM = os.environ.get("DAVYSIM", str(ROOT / "build/src/sim/davysim"))
MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin") or "mosquitto"
BASE = "davy/v1/site/edge"
PATIENCE = float(os.environ.get("DAVY_PATIENCE") or 1)
PORTS = 500

Message = collections.namedtuple("Message", "topic retain payload arrived data")


@functools.cache
def ports_of_ours():
    """(mark, ports in turn): below those that the kernel hands out by itself; another test takes others while this process lives."""
    for first in range(20000, 32000, PORTS):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0davy-test-ports-{first}")
        except OSError:
            mark.close()
            continue
        return mark, itertools.cycle(range(first, first + PORTS))
    raise AssertionError("all ports for tests are taken")


def can_listen(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count):
    """Different free ports of the loopback; they stay free for us while nobody listens, though tests run side by side."""
    _, ports = ports_of_ours()
    found = list(itertools.islice(filter(can_listen, itertools.islice(ports, PORTS)), count))
    assert len(found) == count, f"{len(found)} free ports of {count}"
    return found


def wait_for(predicate, timeout=30, what="a condition"):
    """The first true result of `predicate`; AssertionError when there is none in time."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        found = predicate()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout * PATIENCE:g} s: {what}")
        time.sleep(0.02)


@functools.cache
def drawn_seed():
    """Once in a program, so that one number repeats all of it."""
    return random.randrange(1, 10**9)


def seed_of_run(usual=None):
    """DAVY_SEED=NUMBER repeats a run, DAVY_SEED=random draws one; without it the `usual` one, drawn where there is none."""
    given = os.environ.get("DAVY_SEED") or usual or "random"
    return drawn_seed() if given == "random" else int(given)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A child with its log in a file. The kernel ends it should we be killed."""

    def __init__(self, name, folder, command, env=None, stdout=None):
        self.name, self.log = name, pathlib.Path(folder) / f"{name}.log"
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                guard + [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log,
                env={**os.environ, **(env or {})}, start_new_session=True)
        self.pid = self.process.pid

    def running(self):
        return self.process.poll() is None

    def end(self, how=signal.SIGTERM, timeout=10):
        """Exit status, negative for a signal. Killed when it does not end in time."""
        if self.running():
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")


class Broker:
    def __init__(self, folder, port, persistence=False):
        self.folder, self.port, self.program = folder, port, None
        self.conf = folder / f"mosquitto-{port}.conf"
        self.rights = folder / f"mosquitto-{port}.acl"
        self.rights.write_text("topic readwrite #\n", encoding="utf-8")
        user = "user root\n" if os.getuid() == 0 else ""
        self.conf.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {self.rights}\nlog_dest stderr\nmax_queued_messages 1000000\n{user}"
            "log_type error\nlog_type warning\nlog_type notice\nlog_type information\nlog_type subscribe\n"
            f"persistence {'true' if persistence else 'false'}\npersistence_location {folder}/\n"
            f"persistence_file mosquitto-{port}.db\n", encoding="utf-8")

    def start(self):
        self.program = Program("mosquitto", self.folder, [MOSQUITTO, "-c", self.conf])
        wait_for(lambda: listens(self.port), 15, "the broker listens")

    def deny(self, *topics):
        """From now on nobody may use these topics of the gateway; without arguments, all are allowed again."""
        lines = ["topic readwrite #"] + [f"topic deny {BASE}/{topic}" for topic in topics]
        self.rights.write_text("\n".join(lines) + "\n", encoding="utf-8")
        read = self.program.text().count("Reloading config")
        self.program.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.program.text().count("Reloading config") > read, 10, "the broker has read its file again")
        time.sleep(0.1)

    def stop(self, how=signal.SIGTERM):
        if self.program:
            self.program.end(how)
            self.program = None


class Simulator:
    """davysim with its control socket."""

    def __init__(self, folder, plant, name="davysim"):
        self.socket_path = str(folder / f"{name}.sock")
        conf = folder / f"{name}.conf"
        conf.write_text(plant, encoding="utf-8")
        self.program = Program(name, folder, [DAVYSIM, "--plant", conf, "--control", self.socket_path])
        wait_for(lambda: "ready" in self.program.text() or not self.program.running(), 15, "davysim is ready")
        if not self.program.running():
            raise AssertionError("davysim: " + self.program.text())
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(10 * PATIENCE)
        self.link.connect(self.socket_path)
        self.file = self.link.makefile("rb")

    def send(self, command):
        self.link.sendall(command.encode() + b"\n")
        reply = self.file.readline().decode().strip()
        if not reply.startswith("ok"):
            raise AssertionError(f"davysim: {command}: {reply}")
        return reply

    def set(self, point, value):
        return self.send(f"set {point} {value}")

    def end(self):
        self.link.close()
        self.program.end()


class Recorder:
    """mosquitto_sub whose messages become a list, each with the time of its arrival (monotonic)."""

    def __init__(self, folder, port, name="recorder", topics=(f"{BASE}/#",), persistent=False, as_published=False):
        self.messages = []
        options = ["-i", name] + [part for topic in topics for part in ("-t", topic)]
        if persistent:
            options += ["-c", "-x", "3600"]
        if as_published:
            options += ["--retain-as-published"]
        self.program = Program(name, folder, [
            "stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-V", "5", "-q", "1", "-k", "5",
            "-F", "%r\t%t\t%p", *options], stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.program.process.stdout:
            arrived = time.monotonic()
            retain, topic, payload = line.rstrip(b"\n").split(b"\t", 2)
            try:
                data = json.loads(payload) if payload else None
            except (ValueError, RecursionError):
                data = None
            self.messages.append(Message(topic.decode(), retain == b"1", payload, arrived, data))

    def of(self, rest, base=BASE):
        """Messages whose topic after the base begins with `rest`."""
        return [m for m in list(self.messages) if m.topic.startswith(f"{base}/{rest}")]

    def events(self, rule=None, start=0):
        """Payloads of alarms, by rule and from message `start` on."""
        return [m.data for m in list(self.messages)[start:]
                if "/alarm/" in m.topic and m.data and (rule is None or m.data["rule"] == rule)]

    def schema_errors(self):
        return [f"{m.topic}: {error}: {m.payload[:300]!r}" for m in list(self.messages) if m.payload
                for error in davy_schema.validate(m.payload)]

    def end(self):
        self.program.end()
        self.thread.join(5)


class Plant:
    """Folder, ports, and everything that was started in it."""

    def __init__(self, persistence=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="davy-plant-"))
        self.state, self.run = self.folder / "state", self.folder / "run"
        for part in (self.state, self.run):
            part.mkdir(mode=0o750)
        self.broker_port, self.plant_port, self.spare_port = free_ports(3)
        self.broker = Broker(self.folder, self.broker_port, persistence)
        self.config = self.folder / "davyd.conf"
        self.socket = self.run / "davyd.sock"
        self.sim = self.daemon = None
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        if kind and self.daemon:
            print("the end of davyd's log:\n" + "\n".join(self.daemon.text().splitlines()[-15:]))
        for one in reversed(self.started):
            one.end()
        self.broker.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, one):
        self.started.append(one)
        return one

    def start_sim(self, text, name="davysim"):
        self.sim = self.keep(Simulator(self.folder, text, name))
        return self.sim

    def record(self, name="recorder", **options):
        recorder = self.keep(Recorder(self.folder, self.broker_port, name, **options))
        wait_for(lambda: f" {name} 1 davy/" in self.broker.program.text(), 15, "the recorder has subscribed")
        return recorder

    def daemon_env(self):
        return {"STATE_DIRECTORY": str(self.state), "RUNTIME_DIRECTORY": str(self.run)}

    def start_daemon(self, config=None, wait=True):
        if config is not None:
            self.config.write_text(config, encoding="utf-8")
        self.daemon = self.keep(Program("davyd", self.folder, [DAVYD, "--config", self.config], env=self.daemon_env()))
        if wait:
            wait_for(self.answers, 30, "davyd answers")
        return self.daemon

    def answers(self):
        if not self.daemon.running():
            raise AssertionError(f"davyd ended with {self.daemon.process.returncode}: {self.daemon.text()[-2000:]}")
        return self.socket.exists() and self.ctl("status").returncode == 0

    def end_daemon(self, how=signal.SIGTERM, timeout=10):
        code = self.daemon.end(how, timeout)
        self.started.remove(self.daemon)
        return code

    def ctl(self, *arguments):
        """davyctl with our socket; the finished process."""
        return subprocess.run([DAVYCTL, "--socket", self.socket, *arguments], capture_output=True, text=True,
                              timeout=30 * PATIENCE, check=False, stdin=subprocess.DEVNULL)

    def ctl_json(self, *arguments):
        done = self.ctl("--json", *arguments)
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def status(self):
        return self.ctl_json("status")

    def alarms(self, *arguments):
        """Rows of `davyctl alarms` by key."""
        return {row["alarm"]: row for row in self.ctl_json("alarms", *arguments).get("alarms", [])}

    def ledger(self, query, *values):
        """Rows of the ledger, read beside the running daemon."""
        link = sqlite3.connect(f"file:{self.state}/ledger.db?mode=ro", uri=True, timeout=10)
        try:
            return link.execute(query, values).fetchall()
        finally:
            link.close()


def run_cases(cases, names):
    """Run the cases named (default all), print the outcome of each; exit status."""
    failed = 0
    for case in cases:
        if names and case.__name__ not in names:
            continue
        began = time.monotonic()
        try:
            case()
            print(f"ok      {case.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as error:  # one case must not hide the others
            failed += 1
            trace = error.__traceback__
            while trace.tb_next and trace.tb_next.tb_frame.f_code.co_filename.endswith(os.path.basename(sys.argv[0])):
                trace = trace.tb_next
            print(f"FAILED  {case.__name__} line {trace.tb_lineno}: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0
