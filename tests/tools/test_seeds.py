#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/support/seed.h: a seed that stays, one that is given, one that is drawn, and nonsense; and who else reads DAVY_SEED.

usage: test_seeds.py PROGRAM     a randomised unit test of two parts
"""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
READERS = {"tests/support/seed.h", "tests/integration/plant.py"}


def run(program, given):
    environment = {name: value for name, value in os.environ.items() if name != "DAVY_SEED"}
    if given is not None:
        environment["DAVY_SEED"] = given
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, re.findall(r"^DAVY_SEED=(\d+)$", done.stdout, flags=re.M)


def readers():
    files = [path for path in (ROOT / "tests").rglob("*") if path.suffix in (".c", ".h", ".py")]
    return {str(path.relative_to(ROOT)) for path in files
            if re.search(r"""(getenv\(|environ(\.get\(|\[))["']DAVY_SEED""", path.read_text(encoding="utf-8"))}


def main():
    program = sys.argv[1]
    usual, drawn, other = run(program, None), run(program, "random"), run(program, "random")
    failures = [
        what for what, holds in {
            f"without it, one seed that stays: {usual}": usual[0] == 0 and len(usual[1]) == 2 and run(program, None) == usual,
            "an empty one is none": run(program, "") == usual,
            "a number is taken": run(program, "42") == (0, ["42", "42"]),
            "so is the largest": run(program, str(2**64 - 1)) == (0, [str(2**64 - 1)] * 2),
            f"one is drawn for the whole program: {drawn}": drawn[0] == 0 and len(set(drawn[1])) == 1,
            f"another one each time: {drawn} {other}": drawn != other,
            "what is drawn can be given": run(program, drawn[1][0]) == drawn,
            **{f"{text!r} is refused": run(program, text) == (2, []) for text in ("forty", "-1", "1e3", "0x10", " 7", str(2**64))},
            f"DAVY_SEED is read in one place per language: {readers()}": readers() == READERS,
        }.items() if not holds]
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
