#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run the demonstration that tools/demo has built: plant, broker, gateway, and a view of what the gateway publishes.

usage: demo_plant.py [--seconds N] [--build FOLDER]

Everything runs on free loopback ports and in one temporary folder; both are gone at the end, however it ends.
Exit 0, or 1 when a program failed or, after 45 s or more, when no alarm was raised, escalated and cleared.
"""
import argparse
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import demo_view

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "conf"  # profiles, presets and gases; an installed davy has them in /usr/share/davy
ENOUGH_S = 45  # from here on a run without a complete alarm is a failure
START_S = 15  # each program is ready within this
TABLE_S = 5


class Trouble(Exception):
    """Something that ends the demonstration with a message."""


class Stop(Exception):
    """Ctrl-C, or a polite request from outside."""


class Program:
    """A child in a session of its own, so that Ctrl-C reaches only us and the order of stopping is ours."""

    def __init__(self, name, folder, command, env=None, stdout=None):
        self.name, self.log = name, folder / f"{name}.log"
        # should we be killed, the kernel ends the child
        guard = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                guard + [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log,
                env={**os.environ, **(env or {})}, cwd=folder, start_new_session=True)

    def check(self):
        code = self.process.poll()
        if code is not None:
            raise Trouble(f"{self.name} ended with exit status {code}")

    def stop(self, patience_s=10):
        """Exit status; None when it had to be killed."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def tail(self, lines=20):
        text = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join("    " + demo_view.printable(line) for line in text)


def free_ports(count):
    """Different free ports of the loopback, held together until all are known."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def wait_for(program, what, ready):
    deadline = time.monotonic() + START_S
    while not ready():
        program.check()
        if time.monotonic() > deadline:
            raise Trouble(f"{program.name} is running, but {what} is not there after {START_S} s")
        time.sleep(0.05)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Demo:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.plant_port, self.broker_port = free_ports(2)
        self.plant, self.state, self.run = (folder / name for name in ("plant", "state", "run"))
        for part in (self.plant, self.state, self.run):
            part.mkdir(mode=0o750)
        self.programs = []
        self.lines = queue.Queue()

    def start(self, *arguments, **options):
        program = Program(*arguments[:1], self.folder, *arguments[1:], **options)
        self.programs.append(program)
        return program

    def start_plant(self):
        env = {"PLANT_DIR": str(self.plant), "PLANT_PORT": str(self.plant_port)}
        program = self.start("davysim", [
            self.build / "src/sim/davysim", "--plant", self.instance("plant-demo.sim.conf"),
            "--control", self.run / "davysim.sock"], env=env)
        wait_for(program, f"its port {self.plant_port}", lambda: listens(self.plant_port))

    def start_broker(self):
        # Started by root, mosquitto would become the user mosquitto, who cannot read this folder.
        user = "user root\n" if os.getuid() == 0 else ""
        conf = self.folder / "mosquitto.conf"
        conf.write_text(f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                        f"log_dest stderr\n{user}", encoding="utf-8")
        program = self.start("mosquitto", ["mosquitto", "-c", conf])
        wait_for(program, f"its port {self.broker_port}", lambda: listens(self.broker_port))

    def start_listener(self):
        """mosquitto_sub is the consumer: what is shown has been through the broker."""
        program = self.start("mosquitto_sub", [
            "stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", self.broker_port, "-q", "1", "-t", "davy/v1/#",
            "-F", "%t\t%p"], stdout=subprocess.PIPE)

        def read():
            for line in program.process.stdout:
                self.lines.put(line)
        threading.Thread(target=read, daemon=True).start()

    def instance(self, name):
        """The example with its @PLACES@ filled in, in our folder."""
        text = (ROOT / "conf/examples" / name).read_text(encoding="utf-8")
        for key, value in {"PLANT_DIR": self.plant, "PLANT_PORT": self.plant_port, "BROKER_PORT": self.broker_port,
                           "STATE_DIR": self.state}.items():
            text = text.replace(f"@{key}@", str(value))
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def start_gateway(self):
        env = {"STATE_DIRECTORY": str(self.state), "RUNTIME_DIRECTORY": str(self.run), "DAVY_DATADIR": str(DATA)}
        command = [self.build / "src/daemon/davyd", "--config", self.instance("demo.conf")]
        program = self.start("davyd", command, env=env)
        wait_for(program, "its control socket", (self.run / "davyd.sock").exists)

    def units(self):
        """Units by point from the control socket; the view does without where there is no answer."""
        command = [self.build / "src/ctl/davyctl", "--socket", self.run / "davyd.sock", "--json", "points"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False,
                                  stdin=subprocess.DEVNULL)
            return demo_view.units_of(done.stdout)
        except (OSError, subprocess.TimeoutExpired):
            return {}

    def watch(self, view, seconds):
        started = next_table = time.monotonic()
        end = started + seconds if seconds is not None else float("inf")
        next_table += TABLE_S
        while (now := time.monotonic()) < end:
            try:
                view.line(self.lines.get(timeout=max(0.0, min(next_table, end) - now)))
            except queue.Empty:
                pass
            if time.monotonic() >= next_table:
                next_table += TABLE_S
                view.table()
            for program in self.programs:
                program.check()

    def stop(self):
        """Everything, the last started first; returns the programs that did not end well."""
        bad = []
        for program in reversed(self.programs):
            code = program.stop()
            if program.name == "davyd" and code != 0:
                how = "killed after 10 s" if code is None else f"exit status {code}"
                bad.append(f"davyd did not stop cleanly: {how}")
        return bad


def show_logs(demo):
    for program in demo.programs:
        text = program.tail()
        if text:
            print(f"  the end of what {program.name} said:\n{text}")


def run(arguments, folder, view):
    demo = Demo(arguments.build.resolve(), folder)
    trouble = []
    try:
        demo.start_plant()
        demo.start_broker()
        demo.start_listener()
        demo.start_gateway()
        view.units = demo.units()
        print(f"davyd is running: plant on 127.0.0.1:{demo.plant_port}, broker on 127.0.0.1:{demo.broker_port}, "
              f"{'for %g s' % arguments.seconds if arguments.seconds else 'Ctrl-C ends it'}\n"
              f"look inside:   {demo.build}/src/ctl/davyctl --socket {demo.run}/davyd.sock status\n"
              f"limit tables:  DAVY_DATADIR={DATA} {demo.build}/src/ctl/davyctl presets\n"
              f"the plant:     {demo.build}/src/sim/davysim --control {demo.run}/davysim.sock --send stats\n",
              flush=True)
        demo.watch(view, arguments.seconds)
    except Stop:
        print()
    except Trouble as error:
        trouble.append(str(error))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        trouble += demo.stop()
    if not trouble and arguments.seconds and arguments.seconds >= ENOUGH_S and not view.complete():
        trouble.append(f"in {arguments.seconds:g} s an alarm should have been raised, escalated and cleared")
    if trouble:
        print("\n" + "\n".join(f"demo: {one}" for one in trouble))
        show_logs(demo)
    return 1 if trouble else 0


def on_signal(_number, _frame):
    raise Stop


def main():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help="end after so many seconds (default: at Ctrl-C)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian keeps mosquitto
    sys.stdout.reconfigure(errors="replace")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    view = demo_view.View(sys.stdout)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="davy-demo-"))
    try:
        code = run(arguments, folder, view)
    except Stop:
        code = 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(view.summary())
    return code


if __name__ == "__main__":
    sys.exit(main())
