#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Floors and fences: which folder may include which header.

usage: check_layers.py [ROOT]      exit 0, or 1 with one `file:line: message` per violation

Three rules, each a table below: a file may include its own floor and those under it, never a sibling; a
third-party header may be included only behind its fence; some calls belong to one file only.
"""
import pathlib
import re
import sys

SIBLINGS = ("config", "acquire", "decode", "evaluate", "record", "publish", "control")
PROGRAMS = ("daemon", "ctl", "sim")
ALLOWED = {"base": {"base"}, "model": {"base", "model"}}
ALLOWED.update({floor: {"base", "model", floor} for floor in SIBLINGS})
ALLOWED.update({program: {"base", "model", program, *SIBLINGS} for program in PROGRAMS})

# header: where it may be included (a folder ends with a slash)
FENCES = {
    "libconfig.h": ("src/config/", "src/sim/"),
    "modbus.h": ("src/acquire/bus_modbus.c",),
    "modbus/modbus.h": ("src/acquire/bus_modbus.c",),
    "sqlite3.h": ("src/record/",),
    "MQTTAsync.h": ("src/publish/paho.h",),
    "MQTTClient.h": (),
    "jansson.h": ("src/control/", "src/record/", "src/ctl/", "src/sim/", "src/publish/"),
    "pthread.h": ("src/base/", "include/base/"),
}
# call: where it may be made, since time is a parameter everywhere else
CALLS = {"clock_gettime": ("src/base/clock.c",), "gettimeofday": ()}

GENERATED = {"davy_build.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def floor_of(path):
    """The floor of a path relative to the root: the folder under src/ or include/."""
    return path.parts[1] if len(path.parts) > 2 else None


def behind(path, fence):
    return any(path.startswith(f) if f.endswith("/") else path == f for f in fence)


def check_quoted(root, path, name):
    """A message when the quoted include breaks a rule of the floors, else None."""
    if name in GENERATED or ("/" not in name and (root / path.parent / name).is_file()):
        return None
    parts = name.split("/")
    if parts[0] == "src":
        parts = parts[1:]
        if parts[0] != floor_of(path):
            return f'"{name}" is a private header of another floor'
    if len(parts) < 2 or parts[0] not in ALLOWED:
        return f'"{name}" does not name its floor'
    if parts[0] not in ALLOWED[floor_of(path)]:
        return f'{floor_of(path)} must not include {parts[0]} ("{name}")'
    return None


def check_line(root, path, line):
    found = INCLUDE.match(line)
    if found:
        kind, name = found.groups()
        if name in FENCES:
            ok = behind(path.as_posix(), FENCES[name])
            return None if ok else f"{name} is fenced: allowed only in {', '.join(FENCES[name]) or 'no file'}"
        return check_quoted(root, path, name) if kind == '"' else None
    for call, fence in CALLS.items():
        if re.search(rf"\b{call}\s*\(", line.split("//")[0]) and not line.lstrip().startswith(("*", "/*")):
            if not behind(path.as_posix(), fence):
                return f"{call}() is called only in {', '.join(fence) or 'no file'}"
    return None


def check_tree(root):
    problems = []
    files = sorted(f for top in ("src", "include") for f in (root / top).rglob("*.[ch]"))
    for file in files:
        path = file.relative_to(root)
        if floor_of(path) not in ALLOWED:
            problems.append(f"{path}:1: not in the folder of a known floor")
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            message = check_line(root, path, line)
            if message:
                problems.append(f"{path}:{number}: {message}")
    return files, problems


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    files, problems = check_tree(root)
    if not files:
        problems.append(f"{root}: no sources found")
    print("\n".join(problems) if problems else f"{len(files)} files, floors and fences hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
