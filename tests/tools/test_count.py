#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""count_tests.py: the last line and the exit status follow from meson's log, and from nothing else."""
import json
import pathlib
import subprocess
import sys
import tempfile

COUNT = pathlib.Path(__file__).resolve().parents[2] / "tools/count_tests.py"
# results in the log, the last line, exit status
CASES = [
    (["OK", "OK"], "2 passed, 0 failed", 0),
    (["OK", "EXPECTEDFAIL", "SKIP"], "2 passed, 0 failed", 0),
    (["OK", "FAIL"], "1 passed, 1 failed", 1),
    (["OK", "TIMEOUT"], "1 passed, 1 failed", 1),
    (["OK", "ERROR"], "1 passed, 1 failed", 1),
    (["OK", "UNEXPECTEDPASS"], "1 passed, 1 failed", 1),
    (["OK", "INTERRUPT"], "1 passed, 1 failed", 1),
    (["SKIP"], "0 passed, 0 failed", 1),
    ([], "0 passed, 0 failed", 1),
]


def run(text):
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "testlog.json"
        if text is not None:
            log.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, COUNT, log], capture_output=True, text=True)
        return done.returncode, done.stdout


def log_of(results):
    tests = [{"name": f"t{i}", "result": r, "duration": 0.1, "stdout": "DAVY_SEED=17\n" + 50 * "said this\n"} for i, r in enumerate(results)]
    return "".join(json.dumps(test) + "\n" for test in tests)


def main():
    good = True
    cases = [(" ".join(results) or "nothing", log_of(results), line, status) for results, line, status in CASES]
    cases += [("no log", None, "0 passed, 0 failed", 1), ("half a log", '{"name": "t', "0 passed, 0 failed", 1)]
    for name, text, line, status in cases:
        code, output = run(text)
        ok = code == status and output.rstrip("\n").rsplit("\n", 1)[-1] == line
        if "FAIL" in name.split():
            ok = ok and "FAILED t1: FAIL after 0.1 s, DAVY_SEED=17" in output and "said this" in output
        print("ok  " if ok else "FAIL", name, "" if ok else f"exit {code}: {output}")
        good &= ok
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
