#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What naive.py is made of, first part: times, readings, points, and what measures make of them.

A measure keeps nothing: each value is worked out anew from the whole list of readings of its point, windows with
fractions or math.fsum. Times are whole milliseconds.
"""
import datetime
import fractions
import math

LEVELS = ["blue", "yellow", "orange", "red"]
EPOCH = datetime.datetime(1970, 1, 1)
HELD = ("warm-up", "calibration")
DAY = 86400000


def parse_time(text):
    if "T" in text:
        moment = datetime.datetime.fromisoformat(text.replace("Z", ""))
        return (moment - EPOCH) // datetime.timedelta(milliseconds=1)
    whole, _, part = text.partition(".")
    return int(whole) * 1000 + int((part + "000")[:3])


def print_time(ms):
    return (EPOCH + datetime.timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") + "Z"


def parse_span(text):
    for unit, factor in (("ms", 1), ("min", 60000), ("s", 1000), ("h", 3600000), ("d", DAY)):
        if text.endswith(unit) and text[:-len(unit)].isdigit():
            return int(text[:-len(unit)]) * factor
    raise ValueError(f"no duration: {text}")


class Reading:
    """What a point said at one time, after the range checks. `value` is what limits are held against."""

    def __init__(self, time, value, quality, reason):
        self.time, self.value, self.quality, self.reason, self.order = time, value, quality, reason, 0

    @property
    def good(self):
        return self.quality == "good"

    @property
    def bad(self):
        return self.quality == "bad"

    @property
    def inhibited(self):
        return self.quality == "uncertain" and self.reason in HELD

    @property
    def evaluated(self):
        return not self.bad and not self.inhibited

    @property
    def counts(self):
        """Whether windows take it."""
        return self.good or (self.quality == "uncertain" and self.reason == "over-range")


class Point:
    def __init__(self, device, spec):
        self.device, self.name = device, spec["name"]
        self.full = f"{device.name}.{self.name}"
        self.range, self.max_age = spec.get("range"), spec["max_age"]
        self.history = []
        self.restarted, self.known_from = None, 0

    def newest(self):
        return self.history[-1] if self.history else None

    def known(self):
        """The newest reading since a restart: what went before is told of, but not evaluated again."""
        return self.history[-1] if len(self.history) > self.known_from else None

    def restart(self, now):
        self.restarted, self.known_from = now, len(self.history)

    def last_evaluated(self):
        return next((reading.value for reading in reversed(self.history) if reading.evaluated), None)

    def stale_due(self):
        """When silence becomes a reading: max_age after the last one or a restart since, once."""
        if not self.history:
            return None
        if self.known() is None:
            return self.restarted + self.max_age  # CHOICE: also where it was stale before
        return None if self.newest().reason == "stale" else self.newest().time + self.max_age

    def check_range(self, time, value, quality, reason):
        """Where several apply, the first of the list wins."""
        low, high = self.range or (-math.inf, math.inf)
        before_range = quality == "bad" or reason in HELD or reason == "over-range"
        if not before_range and self.range and low - value > 0.1 * (high - low):
            quality, reason = "bad", "under-range"
        elif not before_range and value > high:
            quality, reason = "uncertain", "over-range"
        if reason == "over-range" and self.range:
            value = high
        return Reading(time, value, quality, reason)


class Device:
    def __init__(self, bus, spec):
        self.bus, self.name, self.zone = bus, spec["id"], spec["zone"]
        self.points = [Point(self, each) for each in spec["points"]]


class Bus:
    def __init__(self, spec):
        self.name, self.fault_delay = spec["name"], spec["fault_delay"]
        self.devices = []


def exact(number):
    return fractions.Fraction(number)


class Measure:
    """What a rule makes of one point. `value(now, newest)`: a number, or None where it is not evaluated."""

    dose = False

    def __init__(self, spec, point, other=None, raises=None):
        self.spec, self.point, self.other, self.raises = spec, point, other, raises
        self.type = spec["type"]
        self.window = spec.get("window")
        self.start = 0  # readings before this place of the history are forgotten

    def mode(self, reading):
        """How the limits see a reading: full, raise (to raise only), held, or bad."""
        if reading.good:
            return "full"
        if reading.bad:
            return "bad"
        raises = reading.evaluated if self.type == "value" else reading.counts
        return "raise" if raises else "held"

    def spelled(self):
        """With what is not given."""
        return {"coverage": 0.75, "per": 60000, "epsilon": 0.0, "guard": exact(self.window or 0) / 10, **self.spec}

    def same(self, other):
        return self.spelled() == other.spelled() and self.other is other.other

    def forget(self):
        """A reload that changed the measure."""
        self.start = len(self.point.history)

    def restart(self):
        self.forget()

    def readings(self):
        return self.point.history[self.start:]

    def counted(self, now):
        """Counted readings in (now - window, now]."""
        return [each for each in self.readings() if each.counts and now - self.window < each.time <= now]

    def stretches(self, begin, end):
        """Covered stretches inside (begin, end]: start, end, value; a value holds until the next reading or max_age."""
        readings = self.readings()
        found = []
        for place, reading in enumerate(readings):
            if not reading.counts:
                continue
            until = reading.time + self.point.max_age
            if place + 1 < len(readings):
                until = min(until, readings[place + 1].time)
            first, last = max(reading.time, begin), min(until, end)
            if first < last:
                found.append((first, last, reading.value))
        return found

    def value(self, now, newest):
        return newest.value

    def bounds(self, now, newest):
        value = self.value(now, newest)
        return None if value is None else (value, value)


def weighted(stretches):
    """Time-weighted mean, and mean of the squares, as fractions."""
    total = sum(end - begin for begin, end, _ in stretches)
    mean = sum((end - begin) * exact(value) for begin, end, value in stretches) / total
    square = sum((end - begin) * exact(value) ** 2 for begin, end, value in stretches) / total
    return mean, square


class Averaged(Measure):
    """mean, rms, stddev."""

    def value(self, now, newest):
        stretches = self.stretches(now - self.window, now)
        covered = sum(end - begin for begin, end, _ in stretches)
        if not covered or covered / self.window < self.spec.get("coverage", 0.75):
            return None
        mean, square = weighted(stretches)
        if self.type == "mean":
            return float(mean)
        return math.sqrt(square if self.type == "rms" else square - mean ** 2)


class Extreme(Measure):
    """min, max."""

    def value(self, now, newest):
        values = [each.value for each in self.counted(now)]
        if not values:
            return None
        return min(values) if self.type == "min" else max(values)


class Line(Measure):
    """rate, forecast: least squares."""

    def value(self, now, newest):
        readings = self.counted(now)
        if len(readings) < 3 or 2 * (readings[-1].time - readings[0].time) < self.window:
            return None
        count = len(readings)
        middle = exact(sum(each.time for each in readings)) / count
        height = sum(exact(each.value) for each in readings) / count
        below = sum((each.time - middle) ** 2 for each in readings)
        if not below:
            return None
        slope = sum((each.time - middle) * (exact(each.value) - height) for each in readings) / below
        if self.type == "rate":
            return float(slope * self.spec.get("per", 60000))
        return float(height + slope * (now + self.spec["horizon"] - middle))


class Dose(Measure):
    """stel, twa: a lower and an upper bound."""

    dose = True

    def __init__(self, *rest):
        super().__init__(*rest)
        self.window = 15 * 60000 if self.type == "stel" else 8 * 3600000

    def bounds(self, now, newest):
        if not any(each.counts for each in self.readings()):
            return None  # CHOICE: without any evidence there is no upper bound either, and 0 would say "safe"
        begin = now - self.window
        stretches = self.stretches(begin, now)
        lower = sum((end - first) * exact(max(value, 0.0)) for first, end, value in stretches)
        upper = lower + sum((end - first) * exact(self.beside(first, end)) for first, end in self.gaps(stretches, begin, now))
        return float(lower / self.window), float(upper / self.window)

    def restart(self):
        """CHOICE: it is refilled from the record of readings, which tells more than a reload has left."""
        self.start = 0

    def gaps(self, stretches, begin, now):
        """Uncovered stretches, divided at each counted reading (one may hold for no time at all)."""
        edges = {begin, now} | {edge for first, end, _ in stretches for edge in (first, end)}
        edges |= {each.time for each in self.readings() if each.counts and begin < each.time < now}
        edges = sorted(edges)
        covered = lambda first: any(start <= first < end for start, end, _ in stretches)
        return [(first, end) for first, end in zip(edges, edges[1:]) if not covered(first)]

    def beside(self, first, end):
        """The greater of the counted readings beside an uncovered stretch."""
        counted = [each for each in self.readings() if each.counts]
        before = [each.value for each in counted if each.time <= first][-1:]
        after = [each.value for each in counted if each.time >= end and each.time > first][:1]
        return max([0.0, *before, *after])


class Deviation(Measure):
    def value(self, now, newest):
        # CHOICE: a guard that is not given is a tenth of the window, exactly
        guard = self.spec.get("guard", exact(self.window) / 10)
        stretches = self.stretches(now - self.window, now - guard)
        if not stretches:
            return None
        mean, square = weighted(stretches)
        variance = square - mean ** 2
        return float(exact(newest.value) - mean) / math.sqrt(variance) if variance else None


class Stuck(Measure):
    def value(self, now, newest):
        reference = since = None
        for each in self.readings():
            if each.counts and (reference is None or abs(each.value - reference) > self.spec.get("epsilon", 0.0)):
                reference, since = each.value, each.time
        return None if since is None else (now - since) / 1000


class Difference(Measure):
    def value(self, now, newest):
        other = self.other.known()
        if other is None or not other.good or now - other.time > self.other.max_age:
            return None
        return newest.value - other.value


class Occurrences(Measure):
    """`raises()`: times of the counted raises."""

    forgotten = 0

    def value(self, now, newest):
        times = [time for time in self.raises()[self.forgotten:] if now - self.window < time <= now]
        if not self.spec.get("days"):
            return float(len(times))
        days = {time // DAY for time in times}
        run = 0
        while days and max(days) - run in days:
            run += 1
        return float(run)

    def forget(self):
        self.forgotten = len(self.raises())

    def restart(self):
        """The raises are in the ledger of events."""


MEASURES = {"value": Measure, "mean": Averaged, "rms": Averaged, "stddev": Averaged, "min": Extreme, "max": Extreme,
            "rate": Line, "forecast": Line, "stel": Dose, "twa": Dose, "deviation": Deviation, "stuck": Stuck,
            "difference": Difference, "occurrences": Occurrences}
