#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""conf/examples/consumer.py towards a gateway that refuses: it neither asks without end nor takes a gap for complete."""
import argparse
import importlib.util
import json
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def consumer_of(folder):
    spec = importlib.util.spec_from_file_location("consumer", ROOT / "conf/examples/consumer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    one = module.Consumer(argparse.Namespace(file=folder / "events", first=1, confirm=False, base="P", name="test"))
    one.sent = []
    one.command = lambda verb, **members: one.sent.append((verb, members)) or True
    return one


def answer(one, done, reason=None):
    one.take("P/reply", json.dumps({"verb": "resend", "ok": done, "reason": reason}).encode())


def event(one, seq):
    one.take("P/alarm/yellow/A1/GT-1", json.dumps({"seq": seq}).encode())


def ticks(one, begin, end):
    """A tick each tenth of a second; what was asked for meanwhile."""
    before = len(one.sent)
    for tenth in range(int(begin * 10), int(end * 10)):
        one.tick(tenth / 10)
    return [(members["from"], members["to"]) for _, members in one.sent[before:]]


def what_is_gone_is_written_down_and_passed(folder):
    one = consumer_of(folder)
    event(one, 6)
    assert ticks(one, 0, 3) == [(1, 5)]
    event(one, 4)
    event(one, 5)
    answer(one, False, "not all are kept any more: sent again are 2 events, 4 to 5")
    assert ticks(one, 3, 3.2) == [(1, 3)]
    answer(one, False, "none of these events is kept")
    assert one.whole == 6 and ticks(one, 4, 20) == []
    lines = [json.loads(line) for line in (folder / "events").read_text(encoding="utf-8").splitlines()]
    assert sorted(line["seq"] for line in lines) == [1, 2, 3, 4, 5, 6]
    assert {line["seq"] for line in lines if "gone" in line} == {1, 2, 3}
    assert consumer_of(folder).whole == 6, "it goes on from its file"


def a_refusal_is_not_asked_again_at_once(folder):
    one = consumer_of(folder)
    event(one, 3)
    asked = ticks(one, 0, 3)
    for second in range(3, 33):
        answer(one, False, "busy: another range is being sent")
        asked += ticks(one, second, second + 1)
    assert 3 <= len(asked) <= 4 and set(asked) == {(1, 2)}, asked
    assert one.whole == 0


def main():
    for case in (what_is_gone_is_written_down_and_passed, a_refusal_is_not_asked_again_at_once):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
            print("ok", case.__name__)


if __name__ == "__main__":
    sys.exit(main())
