#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests a second over one Modbus TCP connection, back to back: libmodbus's own loop, davy's adapter, davy's poller, all of davyd.

All ask the same least server (tcp_rate.c); rounds of a second take turns, their medians are compared: within the first tenths
of one the machine is faster for whoever begins at once, as a poller does not. System calls a request are counted by strace in
a run of their own, where it is installed.

usage: tcp_rate.py [--rounds N] [--requests N]      exit 1 when the poller makes less than 0.9 x the requests of the bare loop
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from plant import ROOT, Plant, Program, wait_for

CLIENT = os.environ.get("TCP_RATE", str(ROOT / "build/tests/bench/tcp_rate"))
GOAL = 0.9
UNITS = 240
DAEMON_ROUNDS = 3
TICK = os.sysconf("SC_CLK_TCK")
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "off"; };
buses = ( { name = "plc"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
devices = ( %s );
"""
DEVICE = ('{ id = "D%d"; zone = "A1"; bus = "plc"; unit = %d; interval = "10ms"; points = ( { name = "p"; kind = "gas"; quantity = "H2S"; '
          'unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); }')


def run_client(mode, port, requests):
    done = json.loads(subprocess.run([CLIENT, mode, str(port), str(requests)], capture_output=True, text=True, check=True).stdout)
    return {"rate": done["requests"] / done["seconds"], "cpu_us": 1e6 * done["cpu_s"] / done["requests"]}


def cpu_of(pid):
    """Of the process and of its poller, in seconds."""
    def seconds(stat):
        fields = stat.read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    folder = pathlib.Path(f"/proc/{pid}")
    poller = next(task for task in (folder / "task").iterdir() if (task / "comm").read_text().startswith("bus "))
    return seconds(folder / "stat"), seconds(poller / "stat")


def requests_of(plant):
    return plant.status()["status"]["buses"][0]["requests"], time.monotonic()


def run_daemon(plant, seconds):
    """A davyd that wants more than the connection carries, for some seconds; it reads, decodes and records everything."""
    plant.start_daemon()
    wait_for(lambda: requests_of(plant)[0] > 0, 30, "the bus is read")
    time.sleep(0.5)
    (first, began), cpu = requests_of(plant), cpu_of(plant.daemon.pid)
    time.sleep(seconds)
    (last, ended), after = requests_of(plant), cpu_of(plant.daemon.pid)
    plant.end_daemon()
    count = max(last - first, 1)
    return {"rate": count / (ended - began), "cpu_us": 1e6 * (after[0] - cpu[0]) / count,
            "poller_cpu_us": 1e6 * (after[1] - cpu[1]) / count}


def system_calls(mode, port, requests=2000):
    """Of one request; None without strace."""
    if not shutil.which("strace"):
        return None
    with tempfile.NamedTemporaryFile("r") as out:
        subprocess.run(["strace", "-f", "-c", "-U", "calls,name", "-o", out.name, CLIENT, mode, str(port), str(requests)],
                       capture_output=True, check=True)
        total = [line.split() for line in out.read().splitlines() if line.endswith("total")]
    return round(int(total[0][0]) / requests, 1) if total else None


def measure(arguments, plant, port):
    modes = ("bare", "adapter", "poller")
    rounds = {mode: [] for mode in (*modes, "davyd")}
    for i in range(arguments.rounds):  # short and many, in turning order: other work hits all alike
        for mode in modes[i % 3:] + modes[:i % 3]:
            rounds[mode].append(run_client(mode, port, arguments.requests))
    for _ in range(DAEMON_ROUNDS):
        rounds["davyd"].append(run_daemon(plant, 2))
    results = {mode: {key: round(statistics.median(one[key] for one in of_mode), 1) for key in of_mode[0]}
               for mode, of_mode in rounds.items()}
    for mode in modes:
        results[mode]["calls"] = system_calls(mode, port)
        # each round against the bare loop beside it: the machine is as busy for both
        results[mode]["share"] = round(statistics.median(
            one["rate"] / bare["rate"] for one, bare in zip(rounds[mode], rounds["bare"])), 3)
    results["davyd"]["share"] = round(results["davyd"]["rate"] / results["bare"]["rate"], 3)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=20000)
    arguments = parser.parse_args()
    with Plant() as plant:
        plant.broker.start()
        server = plant.keep(Program("server", plant.folder, [CLIENT, "serve"]))
        port = int(wait_for(lambda: server.text().strip(), 10, "the server's port"))
        plant.config.write_text(CONFIG % (plant.broker_port, port, ",\n".join(DEVICE % (u, u) for u in range(1, UNITS + 1))),
                                encoding="utf-8")
        results = measure(arguments, plant, port)
    print(f"{'one connection':<16}{'requests/s':>12}{'of bare':>9}{'CPU us':>9}{'calls':>8}")
    for mode, r in results.items():
        print(f"{mode:<16}{r['rate']:>12}{r['share']:>9}{r['cpu_us']:>9}{str(r.get('calls', '')):>8}")
    print(f"davyd's poller alone: {results['davyd']['poller_cpu_us']} us CPU a request")
    print(json.dumps({"bench": "tcp_rate", "rounds": arguments.rounds, "goal": GOAL, "load_average": os.getloadavg()[0],
                      "reached": results["poller"]["share"] >= GOAL, **results}))
    return 0 if results["poller"]["share"] >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
