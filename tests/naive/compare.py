#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds `davyctl replay` against naive.py on random plants and traces.

compare.py --davyctl PATH --seeds A-B [--keep DIR] [--stop N] [--choose NAME] prints the first difference of each seed
that fails and ends with `N passed, N failed`. Every tenth seed is replayed twice (same bytes) and its events are held
against the JSON Schemas.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import generate
import naive

EVERY = 10


def run(davyctl, folder, plant):
    command = [davyctl, "replay", "--config", folder / "davyd.conf", "--input", folder / "trace.csv"]
    if plant["until"] is not None:
        command += ["--until", naive.print_time(plant["until"])]
    result = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if result.returncode:
        raise ValueError(f"exit {result.returncode}: {result.stderr.decode(errors='replace').strip()[:600]}")
    return result.stdout


def brief(event):
    return "nothing" if event is None else " ".join(f"{key}={event.get(key)}" for key in naive.KEYS)


def both(want, have):
    return f"  naive:   {brief(want)}\n  davyctl: {brief(have)}"


def difference(expected, found):
    """Text of the first difference, or None."""
    for number in range(max(len(expected), len(found))):
        want = expected[number] if number < len(expected) else None
        have = found[number] if number < len(found) else None
        if want is None or have is None:
            return f"event {number + 1}\n{both(want, have)}"
        keys = [key for key in naive.KEYS if key not in have or want[key] != have[key]]
        if keys:
            differing = ", ".join(f"{key} {want[key]!r}/{have.get(key, '?')!r}" for key in keys)
            return f"event {number + 1}: {differing} (naive/davyctl)\n{both(want, have)}"
    return None


def case(davyctl, seed, folder):
    plant, rows = generate.make(seed, folder)
    expected = naive.replay(plant, rows, plant["until"])
    output = run(davyctl, folder, plant)
    found = [json.loads(line) for line in output.splitlines()]
    problem = difference(expected, found)
    if problem is None and seed % EVERY == 0:
        problem = thorough(davyctl, folder, plant, output)
    return problem, len(expected)


def thorough(davyctl, folder, plant, output):
    if run(davyctl, folder, plant) != output:
        return "two replays of one trace differ"
    import davy_schema
    for number, line in enumerate(output.splitlines(), 1):
        errors = davy_schema.validate(line)
        if errors:
            return f"event {number} breaks the schema: {errors[0]}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--davyctl", required=True)
    parser.add_argument("--seeds", default="1-100", help="A-B or one number")
    parser.add_argument("--keep", type=pathlib.Path, help="keep the files of seeds that fail here")
    parser.add_argument("--stop", type=int, default=5, help="differences to print before falling silent")
    parser.add_argument("--choose", action="append", default=[], choices=naive.CHOICES,
                        help="turn this choice of naive.py over")
    options = parser.parse_args()
    for name in options.choose:
        naive.CHOICES[name] = not naive.CHOICES[name]
    first, _, last = options.seeds.partition("-")
    passed = failed = events = 0
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory(prefix="davy-model-") as folder:
            try:
                problem, count = case(options.davyctl, seed, pathlib.Path(folder))
                events += count
            except (ValueError, subprocess.TimeoutExpired) as error:
                problem = str(error)
            passed, failed = passed + (problem is None), failed + (problem is not None)
            if problem is not None and failed <= options.stop:
                print(f"seed {seed}: {problem}")
            if problem is not None and options.keep:
                generate.make(seed, options.keep / str(seed))
    print(f"{events} events compared")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
