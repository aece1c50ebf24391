#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rows per second of `davyctl replay`, and that two runs print the same bytes.

usage: replay.py [--rows N] [--seed S] [--least RATE]        exit 1 below RATE rows/s or when the output differs
"""
import argparse
import hashlib
import json
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from plant import DAVYCTL

DEVICES = 20
CONFIG = """
gateway = { id = "edge"; site = "site"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = 502; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = ( %s );
rules = (
  { name = "gas"; points = ["*.gas"]; orange = { above = 20.0; }; red = { above = 40.0; }; deadband = 1.0; off_delay = "2s"; } );
"""


def config_text():
    return CONFIG % ",\n".join(
        f'{{ id = "GT-{i}"; zone = "A1"; bus = "plc-1"; unit = {i}; profile = "one"; interval = "1s"; }}'
        for i in range(1, DEVICES + 1))


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


def replay(folder, name):
    """Wall seconds, CPU seconds, digest and number of lines."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    with open(folder / name, "wb") as out:
        subprocess.run([DAVYCTL, "replay", "--config", folder / "davyd.conf", "--input", folder / "trace.csv"], stdout=out,
                       check=True, timeout=120)
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    data = (folder / name).read_bytes()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, cpu, hashlib.sha256(data).hexdigest(), data.count(b"\n"), after.ru_maxrss


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=1e6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="davy-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "davyd.conf").write_text(config_text(), encoding="utf-8")
        write_trace(folder / "trace.csv", arguments.rows, arguments.seed)
        runs = [replay(folder, f"out-{i}") for i in range(2)]
    took, cpu, digest, events, rss = min(runs)
    result = {"bench": "replay", "rows": arguments.rows, "events": events, "wall_s": round(took, 2), "cpu_s": round(cpu, 2),
              "rows_per_s": round(arguments.rows / took), "rows_per_cpu_s": round(arguments.rows / cpu),
              "rss_mib": round(rss / 1024, 1), "same_output": runs[0][2] == runs[1][2]}
    print(f"{arguments.rows} rows in {took:.2f} s, {cpu:.2f} s of CPU: {result['rows_per_s']} rows/s, {events} events, "
          f"{'the same twice' if result['same_output'] else 'DIFFERENT when run again'}")
    print(json.dumps(result))
    return 0 if result["same_output"] and events > 0 and result["rows_per_cpu_s"] >= arguments.least else 1


if __name__ == "__main__":
    sys.exit(main())
