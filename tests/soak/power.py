#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power is cut under a running davyd, again and again; what was announced as durable must be in the ledger afterwards.

usage: power.py [--cuts N] [--seed S] [--life S]

The state directory is an ext4 file system of its own on a loop device. A cut is EXT4_IOC_SHUTDOWN without flushing the
journal: what was not flushed is gone. davyd is killed with it, or finds its disk dead and is killed a little later. It is
stopped before, as a power cut would: a flush that is under way at the shutdown may return success without anything having
been written (Linux 6.18, seen with nothing but pwrite and fdatasync: 5 of 150 cuts), and nobody may act on that. Then the
file system is mounted again (the kernel replays its journal; every tenth time e2fsck does it, and checks the rest) and
davyd is started. The script of the plant and the checks are those of kill.py. Needs root and loop devices, else exit 77.
"""
import argparse
import ctypes
import fcntl
import json
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time

import audit
import kill
from plant import Plant, seed_of_run, wait_for

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2       # EXT4_GOING_FLAGS_NOLOGFLUSH
IMAGE_BYTES = 256 << 20  # sparse; 64 MiB free is what davyd wants
NEW_NAMESPACE = 0x00020000  # CLONE_NEWNS
SKIP = 77


def skip(why):
    print(f"SKIPPED: no power can be cut here: {why}", flush=True)
    sys.exit(SKIP)


def tool(*command):
    """Exit status and output of a system tool."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def mounts_of_our_own():
    """Whatever happens to us, no mount is left behind: they go with our namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() != 0:
        skip("this needs root")
    if not all(shutil.which(name) for name in ("mkfs.ext4", "e2fsck", "mount", "umount")):
        skip("mkfs.ext4, e2fsck or mount is missing")
    if libc.unshare(NEW_NAMESPACE) != 0:
        skip(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    code, said = tool("mount", "--make-rprivate", "/")
    if code != 0:
        skip(said)


class Disk:
    """An ext4 file system at `place` whose power can be cut."""

    def __init__(self, image, place):
        self.image, self.place = str(image), str(place)
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        code, said = tool("mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", "nodiscard", self.image)
        if code == 0:
            code, said = tool("mount", "-o", "loop", self.image, self.place)
        if code != 0:
            skip(said.strip())

    def mount(self):
        code, said = tool("mount", "-o", "loop", self.image, self.place)
        if code != 0:
            raise AssertionError(f"the file system cannot be mounted: {said}")

    def cut(self):
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def unmount(self):
        end = time.monotonic() + 20
        while (answer := tool("umount", self.place))[0] != 0:
            if time.monotonic() > end:
                raise AssertionError(f"the file system stays busy: {answer[1]}")
            time.sleep(0.01)

    def check(self):
        """Problems that e2fsck could not mend by itself, as at a boot."""
        code, said = tool("e2fsck", "-p", "-f", self.image)
        return [f"e2fsck {code}: {said}"] if code & ~1 else []


def freeze(pid, states):
    """No thread runs on in its program any more: all are in one of `states`, T: stopped, D: still in a system call."""
    os.kill(pid, signal.SIGSTOP)

    def state(task):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    wait_for(lambda: all(state(task) in states for task in os.listdir(f"/proc/{pid}/task")), 20, "davyd stands still")


class PowerRun(kill.Run):
    def __init__(self, plant, arguments):
        super().__init__(plant, arguments)
        self.strace = None
        self.cuts = self.checked = self.looks = self.late_kills = 0
        self.stored_to, self.first_message = 0, [0, 0]

    def start(self):
        self.disk = Disk(self.plant.folder / "disk.img", self.plant.state)
        super().start()

    def look_into(self):
        """What was announced lately is stored, while davyd lives: the whole is checked at the end."""
        path = self.plant.state / "ledger.db"
        messages = self.subscriber.recorder.messages
        count = len(messages)
        try:
            ledger = audit.read(path, max(0, self.stored_to - 200))
        except sqlite3.Error:  # not there yet, or davyd is at it
            return
        seen = messages[self.first_message[0]:count]
        for problem in audit.gapless(ledger) + audit.stored(ledger, seen) + audit.same(ledger, seen):
            self.problem(f"after cut {self.cuts}: {problem}")
        self.looks += 1
        self.first_message = [self.first_message[1], count]
        self.stored_to = ledger.rows[-1].seq if ledger.rows else self.stored_to

    def cut(self):
        if not self.plant.daemon.running():
            self.problem(f"davyd ended by itself: {self.plant.daemon.process.returncode}")
        lives_on = self.rng.random() < 0.3
        freeze(self.plant.daemon.pid, "T" if lives_on else "TD")
        self.disk.cut()
        if lives_on:
            self.plant.daemon.process.send_signal(signal.SIGCONT)
            self.live(self.rng.uniform(0, 0.3))
            self.late_kills += 1
        self.plant.end_daemon(signal.SIGKILL)
        self.cuts += 1
        self.disk.unmount()
        if self.cuts % 10 == 0:
            self.checked += 1
            for problem in self.disk.check():
                self.problem(problem)
        self.disk.mount()

    def go(self):
        while self.cuts < self.arguments.cuts:
            self.start_daemon()
            mean = self.arguments.life
            if self.rng.random() < 0.2:
                self.live(self.rng.uniform(0, 0.3 * mean))  # in the start, while the ledger recovers
            else:
                self.live(self.rng.uniform(0.3 * mean, 2 * mean))
                self.look_into()
            self.cut()
            self.kills = self.cuts
            self.tell(self.cuts)

    def figures(self, ledger, took):
        figures = super().figures(ledger, took)
        for name in ("kills", "at", "outages", "requested", "platform"):
            del figures[name]
        figures["seconds_per_cut"] = figures.pop("seconds_per_kill")
        return {**figures, "cuts": self.cuts, "lived_on": self.late_kills, "e2fsck": self.checked, "looks": self.looks}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuts", type=int, default=12)
    parser.add_argument("--life", type=float, default=0.6, help="how long davyd lives in the mean, about, in seconds")
    parser.add_argument("--seed", type=int, default=seed_of_run())
    arguments = parser.parse_args()
    arguments.kills, arguments.outages, arguments.before, arguments.no_strace = arguments.cuts, 0, None, True
    arguments.platform = False
    print(f"DAVY_SEED={arguments.seed}", flush=True)
    mounts_of_our_own()
    with Plant(persistence=True) as plant:
        run = PowerRun(plant, arguments)
        began = time.monotonic()
        try:
            run.start()
            run.go()
            took = time.monotonic() - began
            run.drain()
            ledger = run.check()
            if run.problems:
                print("\n".join(plant.daemon.text().splitlines()[-30:]))
                kill.keep(plant.folder)
            print(json.dumps(run.figures(ledger, took)))
        finally:
            if plant.daemon:
                plant.daemon.end(signal.SIGKILL)
            tool("umount", str(plant.state))
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
