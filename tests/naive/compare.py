#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds `davyctl replay` against naive.py on random plants and traces.

compare.py --davyctl PATH --seeds A-B [--jobs N] [--mode plain|restart|reload|both] [--drive PATH] [--focus NAME]
[--without RULE] [--keep DIR] [--stop N] [--choose NAME] prints the first difference of each seed that fails, with the
events and rows before it, and ends with `N passed, N failed`. Every tenth seed is replayed twice (same bytes) and its
events are held against the JSON Schemas. Restarts and reloads are command rows that only a test driver knows, which
takes the arguments of `davyctl replay` (--drive).
"""
import argparse
import collections
import concurrent.futures
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import generate
import naive

EVERY = 10
TOLD = ("value", "limit", "condition", "quality", "reason", "members", "first_out", "uncertain")
CONTEXT = 6


def run(program, folder, plant):
    command = [*program, "--config", folder / "davyd.conf", "--input", folder / "trace.csv"]
    if plant["until"] is not None:
        command += ["--until", naive.print_time(plant["until"])]
    result = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if result.returncode:
        told = [line for line in result.stderr.decode(errors="replace").splitlines() if ": warning: " not in line]
        raise ValueError(f"exit {result.returncode}: {' | '.join(told)[:1500]}")
    return result.stdout


def brief(event):
    return "nothing" if event is None else " ".join(f"{key}={event.get(key)}" for key in naive.KEYS)


def near(want, have):
    """Numbers that measures work out may differ in the last digits."""
    number = lambda each: isinstance(each, (int, float)) and not isinstance(each, bool)
    if number(want) and number(have):
        return math.isclose(want, have, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(want, list) and isinstance(have, list):
        return len(want) == len(have) and all(map(near, want, have))
    if isinstance(want, dict) and isinstance(have, dict):
        return want.keys() == have.keys() and all(near(want[key], have[key]) for key in want)
    return want == have


def same(key, want, have):
    return near(want, have) if key in ("value", "members") else want == have


def context(expected, number, rows):
    """The events before a difference, and the rows up to it."""
    lines = [f"    {event['time'][11:-1]} {event['rule']} {event['device']}.{event['point']} {event['event']} "
             f"{event['state']} {event['level']}" for event in expected[max(0, number - CONTEXT):number]]
    if number < len(expected):
        end = naive.parse_time(expected[number]["time"])
        seen = [row for row in rows if naive.parse_time(row[0]) <= end]
        lines += ["  rows up to it:"] + [f"    {','.join(row)}" for row in seen[-CONTEXT:]]
    return "\n".join(["  events before it:", *lines])


def difference(expected, found, without=(), rows=(), loose=False):
    """Text of the first difference, or None."""
    keys = [key for key in naive.KEYS if not (without and key == "seq") and not (loose and key in TOLD)]
    expected, found = ([event for event in each if event["rule"] not in without] for each in (expected, found))
    for number in range(max(len(expected), len(found))):
        want = expected[number] if number < len(expected) else None
        have = found[number] if number < len(found) else None
        if want and have:
            differing = [key for key in keys if key not in have or not same(key, want[key], have[key])]
            # what was evaluated before a restart may be forgotten until the next reading
            differing = [key for key in differing if key not in want["lost"]]
            if not differing:
                continue
            told = ", ".join(f"{key} {want[key]!r}/{have.get(key, '?')!r}" for key in differing)
        else:
            told = "one has no more"
        return (f"event {number + 1}: {told} (naive/davyctl)\n  naive:   {brief(want)}\n  davyctl: {brief(have)}\n"
                f"{context(expected, number, rows)}")
    return None


def case(options, seed, folder):
    """Text of what is wrong with a seed or None, and its numbers of events by kind."""
    plant, rows = generate.make(seed, folder, options.mode, options.focus)
    expected = naive.replay(plant, rows, plant["until"], folder)
    output = run(options.program, folder, plant)
    found = [json.loads(line) for line in output.splitlines()]
    problem = difference(expected, found, options.without, rows, options.loose)
    if problem is None and seed % EVERY == 0:
        problem = thorough(options.program, folder, plant, output)
    return problem, collections.Counter(event["event"] for event in expected)


def thorough(program, folder, plant, output):
    if run(program, folder, plant) != output:
        return "two replays of one trace differ"
    import davy_schema
    for number, line in enumerate(output.splitlines(), 1):
        errors = davy_schema.validate(line)
        if errors:
            return f"event {number} breaks the schema: {errors[0]}"
    return None


def try_seed(options, seed):
    with tempfile.TemporaryDirectory(prefix="davy-model-") as folder:
        try:
            problem, kinds = case(options, seed, pathlib.Path(folder))
        except (ValueError, subprocess.TimeoutExpired) as error:
            problem, kinds = str(error), {}
    if problem is not None and options.keep:
        generate.make(seed, options.keep / str(seed), options.mode, options.focus)
    return seed, problem, kinds


def attempt(arguments):
    options, seed = arguments
    for name in options.choose:
        naive.CHOICES[name] = name in options.turned
    return try_seed(options, seed)


def outcomes(options):
    first, _, last = options.seeds.partition("-")
    work = [(options, seed) for seed in range(int(first), int(last or first) + 1)]
    if min(options.jobs, len(work)) == 1:
        yield from map(attempt, work)
        return
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        yield from pool.map(attempt, work, chunksize=8)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--davyctl", help="its `replay` is compared")
    parser.add_argument("--drive", help="a test driver with the arguments of `davyctl replay`, for restarts and reloads")
    parser.add_argument("--seeds", default="1-100", help="A-B or one number")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--mode", default="plain", choices=generate.MODES)
    parser.add_argument("--focus", choices=sorted(generate.FOCUSES), help="each seed is of this kind")
    parser.add_argument("--without", action="append", default=[], help="compare without the events of this rule")
    parser.add_argument("--loose", action="store_true", help="compare states and times, not value, quality and the like")
    parser.add_argument("--keep", type=pathlib.Path, help="keep the files of seeds that fail here")
    parser.add_argument("--stop", type=int, default=5, help="differences to print before falling silent")
    parser.add_argument("--choose", action="append", default=[], choices=naive.CHOICES,
                        help="turn this choice of naive.py over")
    options = parser.parse_args()
    if bool(options.drive) == bool(options.davyctl):
        parser.error("one of --davyctl and --drive")
    if options.davyctl and options.mode != "plain":
        parser.error("restarts and reloads need --drive")
    options.program = [options.drive] if options.drive else [options.davyctl, "replay"]
    options.turned = [name for name in options.choose if not naive.CHOICES[name]]
    return options


def main():
    options = parse_arguments()
    passed, failed, events = 0, [], collections.Counter()
    for seed, problem, kinds in outcomes(options):
        events.update(kinds)
        if problem is None:
            passed += 1
            continue
        failed.append(seed)
        if len(failed) <= options.stop:
            print(f"seed {seed}: {problem}", flush=True)
    if failed:
        print(f"seeds that failed: {' '.join(map(str, failed[:60]))}{' ...' if len(failed) > 60 else ''}")
    print(f"{sum(events.values())} events compared: {', '.join(f'{n} {kind}' for kind, n in events.most_common())}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
