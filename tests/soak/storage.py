#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The disk of davyd is full, read-only, broken, slow or gone, on real mounts; alarms reach the subscriber all the same.

usage: storage.py [--cases NAME,…] [--seconds N] [--within S] [--step N] [--stalls S,…] [--together] [--seed N]

Cases:
  full       a tmpfs is filled to the last byte, and emptied again
  shed       the same with more readings than can wait: they go, and are declared
  eaten      the same while somebody takes each byte that is given back
  inodes     no file can be made any more, with a start in that state
  readonly   ext4 finds an error and remounts itself read-only; unmounted, checked and mounted again
  shutdown   the file system is shut down under davyd; unmounted and mounted again
  eio        an error at the n-th write, sync, truncation or opening of files, for every n of a cycle of commits
  dead       every operation fails from the n-th on, for some n
  stall      fdatasync takes 2 s, and 30 s
  hung       the disk hangs when davyd starts
  late       the directory is missing, not writable or full when davyd starts

A driver lets simulated sensors rise and fall, each time to a value of its own; in the end the ledger must tell just that, the
subscriber must have had it, without a restart in between, and no later than --within after the sensor (the poll interval is
0.1 s). The alarm `storage` must come within 10 s. What needs root or a mount that is not to be had is skipped, and says so.
"""
import argparse
import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import random
import shutil
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from disk import (EIO, ENOSPC, EROFS, OPEN, READ, REMOVE, SHIM, SYNC, TRUNCATE, WRITE, Skip, Station, root_command)  # noqa: E402
from plant import seed_of_run, wait_for  # noqa: E402

STORAGE_WITHIN = 10.0
EXT4_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)


class Harness:
    def __init__(self, arguments):
        self.arguments = arguments
        self.rng = random.Random(arguments.seed)
        self.values = itertools.count(1000.0, 0.5)
        self.problems = []
        self.figures = {}
        self.skipped = {}

    def problem(self, text):
        self.problems.append(text)
        print("PROBLEM:", text, flush=True)

    @contextlib.contextmanager
    def station(self, case):
        with Station(self, case) as station:
            try:
                yield station
            except AssertionError as error:
                self.problem(f"{case}: {error}")
                print("\n".join(station.daemon.text().splitlines()[-25:]) if station.daemon else "", flush=True)

    def judge(self, station, *, alarm=True, **figures):
        """Audit, and whether everything came in time."""
        alarm_at = station.storage_alarm() if alarm else None
        lost = station.finish()
        waits = station.latencies()
        missing = sum(wait is None for wait in waits)
        worst = max((wait for wait in waits if wait is not None), default=0.0)
        late = sum(wait is not None and wait > self.arguments.within for wait in waits)
        if missing or late:
            station.problem(f"of {len(waits)} steps {missing} were never announced, {late} later than {self.arguments.within} s")
        after = alarm_at - station.troubled_at if alarm_at else None
        if alarm and (after is None or after > STORAGE_WITHIN):
            station.problem(f"the alarm `storage` came after {after} s")
        self.figures[station.case] = {
            "steps": len(waits), "worst_s": round(worst, 3), "previews": len(station.previews()),
            "storage_s": None if after is None else round(after, 2), "lost": {k: v for k, v in lost.items() if v},
            "rss_kb": station.rss_max, **figures}
        print(f"{station.case}: {json.dumps(self.figures[station.case])}", flush=True)

    # ---- a full disk

    @staticmethod
    def fill(path):
        """Take every byte that is free; how many."""
        taken = 0
        with open(path, "ab") as file:
            for size in (1 << 24, 1 << 20, 1 << 16, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        end = os.fstat(file.fileno()).st_size
                        os.posix_fallocate(file.fileno(), end, size)
                        taken += size
        return taken

    def case_full(self):
        with self.station("full") as station:
            station.mount_tmpfs("size=96m")
            station.start()
            station.pause(3)
            before, steps = station.stored_now(), len(station.driver.steps)
            self.fill(station.state / "filler")
            station.trouble()
            station.pause(self.arguments.seconds)
            stored, steps = station.stored_now() - before, len(station.driver.steps) - steps
            if stored < steps / 2:
                station.problem(f"a full disk took {stored} events of {steps}: where is the reserve?")
            (station.state / "filler").unlink()
            station.pause(4)
            self.judge(station, stored_while_full=stored)

    def case_shed(self):
        with self.station("shed") as station:
            station.bulk = 500
            station.mount_tmpfs("size=96m")
            station.start()
            station.pause(2)
            self.fill(station.state / "filler")
            station.trouble()
            station.pause(self.arguments.seconds + 12)
            if not station.ctl_json("status").get("lost", {}).get("readings"):
                station.problem("no reading went for the ledger")
            (station.state / "filler").unlink()
            station.pause(4)
            self.judge(station)

    def case_eaten(self):
        with self.station("eaten") as station:
            station.mount_tmpfs("size=96m")
            station.start()
            station.pause(3)
            over = threading.Event()

            def eat():
                while not over.wait(0.01):
                    self.fill(station.state / "filler")

            eater = threading.Thread(target=eat, daemon=True)
            eater.start()
            station.trouble()
            station.pause(self.arguments.seconds)
            os.truncate(station.state / "reserve", 0)  # as after a long time
            station.pause(self.arguments.seconds)
            until = time.monotonic() + 60  # files that are written over have room for some
            while not station.previews() and time.monotonic() < until:
                station.pause(1)
            if not station.previews():
                station.problem("everything was stored without a byte of space")
            over.set()
            eater.join(5)
            (station.state / "filler").unlink()
            station.pause(4)
            self.judge(station)

    def case_inodes(self):
        with self.station("inodes") as station:
            station.mount_tmpfs("size=96m,nr_inodes=24")
            files = self.use_inodes(station)
            station.trouble()
            station.start()
            station.pause(self.arguments.seconds)
            for path in files:
                path.unlink()
            station.pause(3)
            files = self.use_inodes(station)
            station.pause(self.arguments.seconds)
            for path in files:
                path.unlink()
            station.pause(2)
            self.judge(station)

    @staticmethod
    def use_inodes(station):
        files = []
        with contextlib.suppress(OSError):
            for n in range(1000):
                path = station.state / f"small-{n}"
                path.touch()
                files.append(path)
        return files

    # ---- a broken disk

    def broken(self, case, breaks):
        with self.station(case) as station:
            station.make_image(200)
            station.mount_image()
            os.chmod(station.state, 0o750)
            station.start()
            station.pause(3)
            breaks(station)
            station.trouble()
            station.pause(self.arguments.seconds)
            station.unmount()
            station.pause(3)  # below the mount point is an empty directory: nothing may be begun in it
            if any(station.state.iterdir()):
                station.problem(f"written below the mount point: {[path.name for path in station.state.iterdir()]}")
            root_command("fsck.ext4", "-p", station.image, check=False)
            station.mount_image()
            station.pause(4)
            self.judge(station)
            self.stop_without(station, breaks)

    @staticmethod
    def stop_without(station, breaks):
        """A stop while the disk is out: what could not be stored is not begun anew below the mount point."""
        station.launch()
        breaks(station)
        station.unmount()
        station.end_daemon()
        if any(station.state.iterdir()):
            station.problem(f"written below the mount point by a stop: {[path.name for path in station.state.iterdir()]}")

    def case_readonly(self):
        def breaks(station):
            name = os.path.basename(station.loop_device())
            try:
                pathlib.Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("davy", encoding="ascii")
            except OSError as error:
                raise Skip(f"no error can be made: {error}") from error

        self.broken("readonly", breaks)

    def case_shutdown(self):
        def breaks(station):
            fd = os.open(station.state, os.O_RDONLY)
            try:
                fcntl.ioctl(fd, EXT4_SHUTDOWN, struct.pack("=I", 2))
            except OSError as error:
                raise Skip(f"no shutdown: {error}") from error
            finally:
                os.close(fd)

        self.broken("shutdown", breaks)

    # ---- errors at the n-th operation

    def need_shim(self):
        if not pathlib.Path(SHIM).exists():
            raise Skip(f"{SHIM} is not built")

    def case_eio(self):
        """One cycle at a time: an event's commit, its acknowledgement, and the readings of a second."""
        self.need_shim()
        everything = WRITE | SYNC | TRUNCATE | OPEN | REMOVE
        with self.station("eio") as station:
            station.start()
            station.pause(2)
            station.trouble()
            fired = 0
            for n in itertools.count(1, self.arguments.step):
                station.shim.arm(everything, n, error=self.rng.choice((EIO, EIO, ENOSPC, EROFS)))
                with contextlib.suppress(AssertionError):
                    wait_for(lambda: station.shim.fired or station.shim.seen > 400, 1.3, "it strikes")
                station.pause(0.1)
                if not station.shim.disarm() and n > 40:
                    break
                fired += station.shim.fired
            reached = n
            station.pause(3)
            self.judge(station, reached=reached, fired=fired)

    def case_dead(self):
        self.need_shim()
        with self.station("dead") as station:
            station.start()
            station.pause(2)
            station.trouble()
            for round_ in range(3):
                mask = (WRITE | SYNC | TRUNCATE, WRITE | SYNC | TRUNCATE | OPEN | READ | REMOVE, SYNC)[round_]
                station.shim.arm(mask, self.rng.randint(1, 30), lasting=True)
                station.pause(max(self.arguments.seconds / 2, 2.5))
                if not station.shim.disarm():
                    station.problem("nothing failed")
                station.pause(2.5)
            self.judge(station)

    # ---- a slow disk

    def case_stall(self):
        self.need_shim()
        with self.station("stall") as station:
            station.start()
            station.pause(2)
            station.trouble()
            for files, seconds in itertools.product(("ledger.db", "readings.db"), self.arguments.stalls):
                station.shim.only(files)
                waited, feeds = station.shim.waited, station.feeds
                station.shim.delay(SYNC, seconds)
                station.pause(seconds / 2)
                if station.ctl("status").returncode != 0:
                    station.problem("davyd does not answer while its disk hangs")
                station.pause(seconds)
                station.shim.delay(0, 0)
                if station.feeds - feeds < seconds / 6:
                    station.problem(f"the watchdog was fed {station.feeds - feeds} times in {1.5 * seconds} s: it would have struck")
                if station.shim.waited == waited:
                    wait_for(lambda: station.shim.waited > waited, 5, "a sync has waited")
                station.pause(2)
            self.judge(station)

    def case_hung(self):
        """Alarms of a davyd that starts on a disk that hangs; what it was before comes when the disk answers."""
        self.need_shim()
        with self.station("hung") as station:
            station.start()
            station.pause(2)
            station.driver.finish()
            station.pause(1)
            first = station.driver
            station.end_daemon()
            station.shim.only("ledger.db")
            station.shim.delay(SYNC | WRITE | READ | OPEN, 60)
            station.trouble()
            station.launch(wait=False)
            station.pause(self.arguments.seconds)
            station.shim.delay(0, 0)
            station.pause(4)
            station.driver.script[:0] = first.script
            self.judge(station)

    def case_late(self):
        """The state directory is not there, cannot be written, or is full: davyd starts, says so, and goes on when it is there."""
        with self.station("late") as station:
            shutil.rmtree(station.state)
            station.state.write_text("in the way", encoding="ascii")
            station.trouble()
            station.start()
            station.pause(self.arguments.seconds)
            if "cannot be used" not in station.daemon.text():
                station.problem("the log does not name the directory")
            station.state.unlink()
            station.pause(4)
            self.judge(station)
        with self.station("late-full") as station:
            station.mount_tmpfs("size=72m")
            self.fill(station.state / "filler")
            station.trouble()
            station.start()
            station.pause(self.arguments.seconds)
            (station.state / "filler").unlink()
            station.pause(4)
            if "in memory" not in station.daemon.text():
                station.problem("the log does not say that a tmpfs is not durable")
            self.judge(station)

    def one(self, name):
        began = time.monotonic()
        try:
            getattr(self, f"case_{name}")()
            print(f"done    {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Skip as reason:
            self.skipped[name] = str(reason)
            print(f"SKIPPED {name}: {reason}", flush=True)
        except Exception as error:  # one case must not hide the others
            self.problem(f"{name}: {type(error).__name__}: {error}")

    def run(self):
        runs = [threading.Thread(target=self.one, args=(name,)) for name in self.arguments.cases]
        for run in runs:
            run.start()
            if not self.arguments.together:
                run.join()
        for run in runs:
            run.join()
        worst = max((figures["worst_s"] for figures in self.figures.values()), default=None)
        print(json.dumps({"seed": self.arguments.seed, "cases": self.figures, "skipped": self.skipped, "worst_s": worst,
                          "problems": len(self.problems)}))
        if self.problems:
            return 1
        return 77 if not self.figures else 0


ALL = ("full", "shed", "eaten", "inodes", "readonly", "shutdown", "eio", "dead", "stall", "hung", "late")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=lambda text: text.split(","), default=list(ALL))
    parser.add_argument("--seconds", type=float, default=8, help="how long a disk is away")
    parser.add_argument("--within", type=float, default=1.1, help="a step of a sensor must be announced within; the poll interval and 1 s")
    parser.add_argument("--step", type=int, default=1, help="of n, at whose operation an error comes")
    parser.add_argument("--stalls", type=lambda text: [float(one) for one in text.split(",")], default=[2.0, 30.0])
    parser.add_argument("--together", action="store_true", help="all cases at once: quicker, and of less worth as a measurement")
    parser.add_argument("--seed", type=int, default=seed_of_run())
    arguments = parser.parse_args()
    print(f"DAVY_SEED={arguments.seed}", flush=True)
    return Harness(arguments).run()


if __name__ == "__main__":
    sys.exit(main())
