#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rows per second of `davyctl replay`, that two runs print the same bytes, and what a window costs in memory.

Each variant is one rule over twenty points at 1 Hz; `database` reads the rows of `value` out of a readings.db, and
`against` runs two configurations over them. Windows are of 8 h, or of 1 h, which is kept exactly, and full for most of
the trace.

usage: replay.py [--rows N] [--seed S] [--least RATE] [--least-window RATE] [VARIANT...]
       exit 1 where a run of values is below RATE rows per second of CPU, one of windows below the other RATE, or two
       runs differ
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from plant import DAVYCTL

RECORD_TRACE = pathlib.Path(os.environ.get("RECORD_TRACE", pathlib.Path(DAVYCTL).parents[2] / "tests/ctl/record_trace"))
DEVICES = 20
CONFIG = """
gateway = { id = "edge"; site = "site"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = 502; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = ( %s );
rules = ( %s );
"""
VALUE = '{ name = "gas"; points = ["*.gas"]; orange = { above = %s; }; red = { above = 40.0; }; deadband = 1.0; off_delay = "2s"; }'
MEASURE = '{ name = "gas"; points = ["*.gas"]; measure = { type = "%s"; %s }; yellow = { above = %s; deadband = %s; }; }'
WINDOW = 'window = "8h";'
VARIANTS = {
    "value": VALUE % 20.0,
    "mean": MEASURE % ("mean", WINDOW, 8.2, 0.05),
    "mean-1h": MEASURE % ("mean", 'window = "1h";', 8.2, 0.05),
    "min": MEASURE % ("min", WINDOW, 1.1, 0.05),
    "rms": MEASURE % ("rms", WINDOW, 9.2, 0.05),
    "stddev": MEASURE % ("stddev", WINDOW, 4.3, 0.005),
    "rate": MEASURE % ("rate", WINDOW, 0.001, 0.0002),
    "deviation": MEASURE % ("deviation", WINDOW, 3.0, 0.2),
    "stel": MEASURE % ("stel", "", 8.5, 0.2),
    "twa": MEASURE % ("twa", "", 8.2, 0.05),
    "database": VALUE % 20.0,
    "against": VALUE % 20.0,
}
VALUES = ("value", "database", "against")


def config_text(rule):
    devices = ",\n".join(
        f'{{ id = "GT-{i}"; zone = "A1"; bus = "plc-1"; unit = {i}; profile = "one"; interval = "1s"; }}'
        for i in range(1, DEVICES + 1))
    return CONFIG % (devices, rule)


def write_trace(path, rows, seed):
    """Calm values with an excursion now and then."""
    rng = random.Random(seed)
    calm = [f"{rng.uniform(1, 15):.2f}" for _ in range(1024)]
    high = [f"{rng.uniform(25, 60):.2f}" for _ in range(64)]
    with open(path, "w", encoding="utf-8") as out:
        out.write("time,point,value,quality\n")
        for second in range((rows + DEVICES - 1) // DEVICES):
            for i in range(1, DEVICES + 1):
                far = second % 500 < 20 and i == second // 500 % DEVICES + 1
                value = high[(second + i) % 64] if far else calm[(second * 7 + i) % 1024]
                out.write(f"{1700000000 + second},GT-{i}.gas,{value},good\n")


def peak_kib(pid, before):
    """Peak RSS; getrusage() would tell that of this program, from which it was forked."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return before
    return int(status.split("VmHWM:")[1].split()[0]) if "VmHWM:" in status else before


def replay(folder, arguments):
    """Wall seconds, CPU seconds, peak RSS in KiB, digest and number of lines."""
    began = time.monotonic()
    kib = done = 0
    with open(folder / "out", "wb") as out, subprocess.Popen([DAVYCTL, "replay", *arguments], stdout=out) as process:
        while not done:
            time.sleep(0.01)
            kib = peak_kib(process.pid, kib)
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    if process.returncode != 0:
        raise SystemExit(f"exit {process.returncode} of {arguments}")
    data = (folder / "out").read_bytes()
    return took, usage.ru_utime + usage.ru_stime, kib, hashlib.sha256(data).hexdigest(), data.count(b"\n")


def arguments_of(folder, variant):
    config = folder / f"{variant}.conf"
    config.write_text(config_text(VARIANTS[variant]), encoding="utf-8")
    if variant == "against":
        (folder / "other.conf").write_text(config_text(VALUE % 25.0), encoding="utf-8")
        return "--config", config, "--against", folder / "other.conf", "--input", folder / "trace.csv"
    if variant == "database":
        if not (folder / "readings.db").exists():
            subprocess.run([RECORD_TRACE, config, folder, folder / "trace.csv"], check=True, timeout=300)
        return "--config", config, "--database", folder
    return "--config", config, "--input", folder / "trace.csv"


def measure(folder, variant, rows, bare_kib):
    arguments = arguments_of(folder, variant)
    runs = [replay(folder, arguments) for _ in range(2)]
    cpu = min(run[1] for run in runs)
    took = min(run[0] for run in runs)
    result = {"bench": "replay", "variant": variant, "rows": rows, "lines": runs[0][4], "wall_s": round(took, 2),
              "cpu_s": round(cpu, 2), "rows_per_s": round(rows / took), "rows_per_cpu_s": round(rows / cpu),
              "rss_mib": round(runs[0][2] / 1024, 1), "same_output": runs[0][3] == runs[1][3]}
    if bare_kib and variant not in VALUES:
        result["window_kib_per_point"] = round((runs[0][2] - bare_kib) / DEVICES, 1)
    return result, runs[0][2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=1e6)
    parser.add_argument("--least-window", type=float, default=3e5)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=", ".join(VARIANTS))
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="davy-bench-") as name:
        folder = pathlib.Path(name)
        write_trace(folder / "trace.csv", arguments.rows, arguments.seed)
        bare_kib = 0
        for variant in arguments.variants or VARIANTS:
            result, kib = measure(folder, variant, arguments.rows, bare_kib)
            bare_kib = kib if variant == "value" else bare_kib
            least = arguments.least if variant in VALUES else arguments.least_window
            good = result["same_output"] and result["lines"] > 0 and result["rows_per_cpu_s"] >= least
            print(f"{variant}: {result['rows_per_s']} rows/s, {result['rows_per_cpu_s']} per second of CPU, {result['lines']} "
                  f"lines{'' if result['same_output'] else ', DIFFERENT when run again'}{'' if good else '  FAILED'}")
            print(json.dumps(result), flush=True)
            failed |= not good
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
