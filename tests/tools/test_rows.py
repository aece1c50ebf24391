#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HACKING.md, Lines that misbehave, and Failures: no row of lines is missing, and every test that one names is there."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = [f"L{i}" for i in range(1, 28)]


def table(text, section, letters):
    """{row: names of tests}."""
    part = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if re.match(rf"\| [{letters}]\d", line)]
    return {cells[0]: re.findall(r"`([^`]+)`", cells[-1]) for cells in rows}


def known_names():
    """Files of tests without their ending, their folders, and every word in those that are code."""
    files = [path for path in (ROOT / "tests").rglob("*") if path.is_file()]
    names = {path.stem for path in files} | {path.parent.name for path in files}
    for path in files:
        if path.suffix in (".c", ".py"):
            names |= set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return names


def is_known(text, names):
    """A test's name, also with its ending, with `-` for `_`, as the beginning of several (`tls_…`); or a command that names one."""
    words = [pathlib.PurePath(word).stem if "/" in word or "." in word else word for word in text.split()]
    for word in words:
        plain = word.replace("-", "_")
        if word in names or plain in names or (plain.endswith("…") and any(name.startswith(plain[:-1]) for name in names)):
            return True
    return False


def main():
    text, names = (ROOT / "HACKING.md").read_text(encoding="utf-8"), known_names()
    rows = {**table(text, "Lines that misbehave", "L"), **table(text, "Failures and the tests that hold them", "NPRSX")}
    wrong = [f"row {row} is missing" for row in ROWS if row not in rows]
    wrong += [f"row {row} names no test" for row, tests in rows.items() if not tests]
    wrong += [f"row {row}: there is no {test}" for row, tests in rows.items() for test in tests if not is_known(test, names)]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
