#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds MQTT payloads against the JSON Schemas of conf/schema with an independent validator.

As a module: validate(payload) -> list of error texts, empty when the payload is right.
As a program: davy_schema.py [FILE...] reads JSON lines (standard input without a file) and prints `N passed, N failed`.
"""
import datetime
import functools
import json
import os
import pathlib
import sys

from jsonschema import Draft202012Validator, FormatChecker, RefResolver

FOLDER = pathlib.Path(os.environ.get("DAVY_SCHEMAS") or pathlib.Path(__file__).resolve().parents[2] / "conf" / "schema")
NAMES = ("alarm", "status", "zone", "config", "snapshot", "telemetry", "command", "reply")
FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value):
    """The pattern has proven the shape; this proves that the day exists."""
    if isinstance(value, str) and value.endswith("Z"):
        datetime.datetime.fromisoformat(value[:-1])
    return True


@functools.lru_cache(maxsize=None)
def schemas():
    found = {}
    for name in NAMES:
        with open(FOLDER / f"davy.{name}-1.schema.json", encoding="utf-8") as file:
            found[f"davy.{name}/1"] = json.load(file)
    return found


@functools.lru_cache(maxsize=None)
def validator(name):
    schema = schemas()[name]
    store = {each["$id"]: each for each in schemas().values()}
    return Draft202012Validator(schema, format_checker=FORMATS, resolver=RefResolver.from_schema(schema, store=store))


def no_constant(text):
    raise ValueError(f"{text} is not JSON")


def no_twins(pairs):
    keys = [key for key, _ in pairs]
    twins = sorted({key for key in keys if keys.count(key) > 1})
    if twins:
        raise ValueError(f"twice in one object: {', '.join(twins)}")
    return dict(pairs)


def validate(payload):
    """Errors of one payload, given as bytes or text."""
    try:
        text = payload.decode("utf-8") if isinstance(payload, (bytes, bytearray)) else payload
        value = json.loads(text, parse_constant=no_constant, object_pairs_hook=no_twins)
    except ValueError as error:
        return [f"not JSON: {error}"]
    if not isinstance(value, dict):
        return ["not an object"]
    name = value.get("schema")
    if not isinstance(name, str) or name not in schemas():
        return [f"schema: {name!r} is unknown"]
    errors = sorted(validator(name).iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'/'.join(map(str, error.absolute_path)) or '.'}: {error.message[:200]}" for error in errors]


def lines(files):
    if not files:
        yield from (("-", number, line) for number, line in enumerate(sys.stdin.buffer, 1))
    for name in files:
        with open(name, "rb") as file:
            yield from ((name, number, line) for number, line in enumerate(file, 1))


def main(files):
    passed = failed = 0
    for name, number, line in lines(files):
        if not line.strip():
            continue
        errors = validate(line)
        passed, failed = passed + (not errors), failed + bool(errors)
        for error in errors:
            print(f"{name}:{number}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
