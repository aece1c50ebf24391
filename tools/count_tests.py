#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sum up meson's own log of a test run.

usage: count_tests.py TESTLOG.JSON     one JSON object per line; the last line printed is `N passed, N failed`

Shows the end of what each failed test said, and the seed that repeats it. Exit 0 only when something passed and nothing failed.
"""
import json
import re
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
TAIL = 40


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError) as error:
        print(f"no results: {error}")
        return []


def tail(text):
    return "\n".join("    " + line for line in text.rstrip().splitlines()[-TAIL:])


def show_failure(test):
    seed = re.search(r"\bDAVY_SEED=\d+", test.get("stdout") or "")
    print(f"\nFAILED {test['name']}: {test['result']} after {test['duration']:.1f} s{', ' + seed[0] if seed else ''}")
    for stream in ("stdout", "stderr"):
        if test.get(stream):
            print(f"  the end of its {stream}:\n{tail(test[stream])}")


def main():
    tests = read(sys.argv[1])
    passed = [t for t in tests if t["result"] in PASSED]
    skipped = [t for t in tests if t["result"] == "SKIP"]
    failed = [t for t in tests if t["result"] not in PASSED | {"SKIP"}]
    for test in failed:
        show_failure(test)
    for test in skipped:
        print(f"skipped {test['name']}: {tail(test.get('stdout', '')).strip()}")
    if not tests:
        print("no test ran")
    print(f"{len(passed)} passed, {len(failed)} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
