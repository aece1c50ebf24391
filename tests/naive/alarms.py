#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What naive.py is made of, second part: limits, gates (`when`), alarms of rules, votes and the built-in alarms."""
from plain import LEVELS, MEASURES

IN_A_ROW = 3
NOW = object()
MINUTE = 60000
KINDS = ("above", "below", "outside", "equals")

# Choices that can be turned over (compare.py --choose NAME); each is the reading taken here.
CHOICES = {
    "bad_trip_is_uncertain": False,  # a limit that on_fault = trip has tripped is not told as uncertain
    "hold_zone_can_be_uncertain": True,  # an uncertain reading in the hold zone makes a standing condition uncertain
    "bad_keeps_inhibit": True,  # a bad reading is missing evidence: the last that was not bad tells of an inhibit
    "group_quality": True,  # a bus or device alarm tells quality and reason of the newest reading on it; else null
    "upper_shelvable_of_its_group": True,  # the upper bound of `red` acts at orange, and is no more shelvable than red
    "member_tells_its_bound": True,  # where the limit shown acts on an upper bound, so does the value of its members
    "no_limit_tells_lower": True,  # a cover over nothing tells the lower bound of a dose
    "new_rule_at_once": True,  # a rule that a reload adds is evaluated against the newest reading at once
    "new_limit_at_once": True,  # so is a limit without one of before
    "changed_measure_at_once": True,  # so are the limits of a changed measure
    "changed_behaviour_at_once": True,  # so is a limit whose delays, latch or on_fault changed
    "bad_trips_at_reload": True,  # a bad newest reading trips a changed limit with on_fault = trip at once
    "members_tell_counted": True,  # a member that `on_bad = trip` counts is told as a vote
}


def choose_side(kind, bounds, deadband, value):
    """'trip', 'hold' (within the deadband) or 'return'."""
    if kind == "above":
        return "trip" if value >= bounds else "return" if value < bounds - deadband else "hold"
    if kind == "below":
        return "trip" if value <= bounds else "return" if value > bounds + deadband else "hold"
    if kind == "equals":
        return "trip" if value == float(bounds) else "return"
    low, high = bounds
    if value <= low or value >= high:
        return "trip"
    return "return" if low + deadband < value < high - deadband else "hold"


def see(measure, now, reading):
    """How limits see a reading (full, raise, held or bad), and the bounds of the measure where they are evaluated."""
    mode = measure.mode(reading)
    evaluated = mode in ("full", "raise")
    bounds = measure.bounds(now, reading) if evaluated or measure.dose else None
    return ("held" if evaluated and bounds is None else mode), bounds


class Limit:
    """One limit of one alarm: its condition, which follows the readings, and its latch."""

    def __init__(self, rule, level, upper=False):
        spec = rule[level]
        self.named = level
        self.upper = upper
        self.level = max(LEVELS.index(level) - upper, 0)
        self.kind = next(kind for kind in KINDS if kind in spec)
        self.bounds = spec[self.kind]
        option = lambda name, default: spec.get(name, rule.get(name, default))
        self.deadband = option("deadband", 0.0)
        self.on_delay, self.off_delay = option("on_delay", 0), option("off_delay", 0)
        self.latch, self.acknowledge = option("latch", False), option("acknowledge", True)
        self.trip_on_bad = option("on_fault", "hold") == "trip" and not upper
        own = level if CHOICES["upper_shelvable_of_its_group"] else LEVELS[self.level]
        self.shelvable = option("shelvable", own != "red")
        self.condition = self.latch_holds = self.uncertain = False
        self.on_since = self.off_since = None
        self.frozen = None  # an off-delay that a restart has stopped: how long it has run
        self.forget_bound()

    def forget_bound(self):
        """CHOICE: of `outside`, tripped by a bad reading, the bound crossed last is told, the lower one where none was."""
        self.crossed = self.bounds[0] if self.kind == "outside" else float(self.bounds)

    @property
    def tripped(self):
        return self.condition or self.latch_holds

    def side(self, value):
        return choose_side(self.kind, self.bounds, self.deadband, value)

    def take(self, mode, value, now):
        """One reading; the condition changes at once only where there is no delay."""
        if mode in ("full", "raise"):
            self.take_value(value, mode == "full", mode != "full" or self.upper, now)
        elif mode == "bad" and self.trip_on_bad:
            if CHOICES["bad_trip_is_uncertain"]:
                self.uncertain = True
            elif not self.condition and self.on_since is None:
                self.uncertain = False
            self.on_trip_side(now)
        else:
            self.stop_return()  # held: an on-delay goes on, an off-delay is cancelled

    def take_value(self, value, full, uncertain, now):
        side = self.side(value)
        if side == "trip" and self.kind == "outside":
            # CHOICE: `outside` is one limit; its bound is that of the newest reading on the trip side
            self.crossed = self.bounds[0] if value <= self.bounds[0] else self.bounds[1]
        self.feed(side, full, uncertain, now)

    def feed(self, side, full, uncertain, now):
        if side == "trip" or (side == "hold" and self.condition and (full or CHOICES["hold_zone_can_be_uncertain"])):
            self.uncertain = uncertain
        if side == "trip":
            self.on_trip_side(now)
            return
        if full:
            self.on_since = None
        if full and side == "return" and self.condition:
            if self.frozen is not None:
                self.off_since, self.frozen = now - self.frozen, None
            self.off_since = now if self.off_since is None else self.off_since
            if self.off_since + self.off_delay <= now:
                self.become(False)
        else:
            self.stop_return()

    def stop_return(self):
        self.off_since = self.frozen = None

    def on_trip_side(self, now):
        self.stop_return()
        if not self.condition:
            self.on_since = now if self.on_since is None else self.on_since
            if self.on_since + self.on_delay <= now:
                self.become(True)

    def become(self, condition):
        self.condition, self.on_since = condition, None
        self.stop_return()
        self.latch_holds = self.latch and not condition

    def untrip(self):
        """`when` is false: no return, timers are dropped, a latch holds."""
        self.latch_holds = self.latch_holds or (self.latch and self.condition)
        self.condition, self.on_since = False, None
        self.stop_return()

    def restart(self, now):
        """An off-delay stands still until the next good reading.

        CHOICE: one that stands still already begins anew, which is later.
        """
        self.frozen = None if self.off_since is None else now - self.off_since
        self.off_since = None

    def adopt(self, old):
        """Go on where the limit of before the reload stood."""
        self.condition, self.latch_holds, self.uncertain = old.condition, old.latch_holds, old.uncertain
        self.on_since, self.off_since, self.frozen = old.on_since, old.off_since, old.frozen
        if self.kind == old.kind == "outside":
            self.crossed = self.bounds[old.bounds.index(old.crossed)]
        elif self.kind == "outside":
            # CHOICE: of another kind, the bound on the same side
            self.crossed = self.bounds[old.kind == "above"]

    def same(self, old):
        names = ["level", "kind", "bounds", "deadband", "upper"]
        if CHOICES["changed_behaviour_at_once"]:
            names += ["on_delay", "off_delay", "latch", "trip_on_bad"]
        return all(getattr(self, name) == getattr(old, name) for name in names)

    def take_changed(self, mode, value, now):
        """A changed limit against the newest reading: to raise only, and no timer is touched off the trip side."""
        if mode == "bad" and self.trip_on_bad:
            if CHOICES["bad_trips_at_reload"]:
                self.take(mode, value, now)
        elif (self.upper or mode in ("full", "raise")) and value is not None and self.side(value) == "trip":
            self.take_value(value, False, self.upper or mode == "raise", now)

    def due(self):
        if self.on_since is not None:
            return self.on_since + self.on_delay
        if self.off_since is not None:
            return self.off_since + self.off_delay
        return None

    def fire(self, now):
        due = self.due()
        if due is not None and due <= now:
            self.become(self.on_since is not None)


def make_limits(rule, dose):
    """Ascending by level."""
    limits = [Limit(rule, level) for level in LEVELS if level in rule]
    if dose:
        limits += [Limit(rule, level, True) for level in LEVELS if level in rule]
    return sorted(limits, key=lambda limit: limit.level)


class Gate:
    """The answer of `when`: true at first."""

    def __init__(self, spec, point):
        self.spec, self.point = spec, point
        self.kind = next(kind for kind in KINDS if kind in spec)
        self.hold = spec.get("for", 0)
        self.answer, self.since, self.flipped, self.frozen = True, None, False, None

    def says(self, reading):
        return not reading.good or choose_side(self.kind, self.spec[self.kind], 0.0, reading.value) == "trip"

    def take(self, reading):
        if self.says(reading) == self.answer:
            self.since = self.frozen = None
            return
        if self.frozen is not None and reading.good:
            self.since, self.frozen = reading.time - self.frozen, None
        if self.frozen is None and self.since is None:
            self.since = reading.time
        self.fire(reading.time)

    def due(self):
        return None if self.since is None else self.since + self.hold

    def fire(self, now):
        if self.since is not None and self.since + self.hold <= now:
            self.answer, self.since, self.flipped = not self.answer, None, True

    def restart(self, now):
        """An answer that is going false stands still until the next good reading, as an off-delay does."""
        self.frozen = None
        if self.answer and self.since is not None:
            self.since, self.frozen = None, now - self.since

    def same(self, old):
        """The same question to the same point; for how long an answer must hold may differ."""
        return (old is not None and self.kind == old.kind and self.spec[self.kind] == old.spec[old.kind]
                and self.point is old.point)

    def adopt(self, old, now):
        """A reload: the answer goes on, and a running `for` keeps its start."""
        self.answer, self.since, self.frozen = old.answer, old.since, old.frozen
        self.fire(now)

    def begin(self, now):
        """True at first, then the newest reading settles it."""
        newest = self.point.known()
        if newest is not None and not self.says(newest):
            self.since = now
            self.fire(now)
            self.settle()

    def settle(self):
        """Whether it has flipped in this cause."""
        flipped, self.flipped = self.flipped, False
        return flipped


class Alarm:
    """What all alarms share: state, level, acknowledgement, count, covers, ladder. `state` is the one below covers."""

    built_in = False

    def __init__(self, rule, zone, device, point):
        self.rule, self.zone, self.device, self.point = rule, zone, device, point
        self.state, self.level, self.acknowledged = "normal", None, False
        self.count, self.raised_at, self.event_level = 0, None, None
        self.active, self.active_level = False, None
        self.floor, self.steps, self.steps_done = None, [], 0
        self.shelved_until, self.shelved_level, self.out_of_service = None, None, False

    # what the kinds of alarm answer differently
    def conditions(self):
        """Levels whose condition is true."""
        raise NotImplementedError

    def latches(self):
        """Levels that only a latch holds."""
        return []

    def asks(self):
        """Whether somebody must acknowledge."""
        raise NotImplementedError

    def may_be_shelved(self):
        return True

    def lost(self):
        """Keys of its events that a restart may have taken."""
        return []

    @property
    def shown_state(self):
        if self.out_of_service:
            return "out-of-service"
        return "shelved" if self.shelved_until is not None else self.state

    def tripped_levels(self):
        levels = self.conditions() + self.latches()
        if not levels:
            self.floor = None
        return levels + ([self.floor] if self.floor is not None else [])

    def ends_shelf(self):
        """Whether the shelf cannot stay over what the limits now say."""
        level = max(self.tripped_levels(), default=None)
        if self.shelved_until is None or level is None:
            return False
        return not self.may_be_shelved() or (self.shelved_level is not None and level > self.shelved_level)

    def settle(self):
        """Compare with what stood before the cause; the name of the event, or None."""
        conditions, latches = self.conditions(), self.latches()
        level = max(self.tripped_levels(), default=None)
        active_level = max(conditions, default=None)
        was_active, was_level, was_active_level = self.active, self.level, self.active_level
        self.active, self.active_level = bool(conditions), active_level
        if self.active and not was_active:
            return self.rise("raised", level)
        if self.active and level > was_level:
            return self.rise("escalated", level)
        if self.active and level < was_level:
            self.level = level
            return "lowered"
        if self.active and active_level > was_active_level:
            return self.rise("raised", level)  # below what a latch or the ladder holds
        if was_active and not self.active:
            if latches:
                self.level, self.state = level, "latched"
                return "latched"
            self.state = "normal" if self.acknowledged else "returned"
            return "cleared"
        return None

    def rise(self, event, level):
        if event == "raised":
            self.count = 1 if self.state == "normal" else self.count + 1
            if self.shelved_until is not None and self.shelved_level is None:
                self.shelved_level = level
        self.level = level
        self.ask_again()
        return event

    def ask_again(self):
        self.acknowledged = not self.asks()
        if self.active:
            self.state = "acknowledged" if self.acknowledged else "unacknowledged"

    def ack(self):
        if self.state not in ("unacknowledged", "returned", "latched", "suppressed") or self.acknowledged:
            return None
        self.acknowledged = True
        self.state = {"unacknowledged": "acknowledged", "returned": "normal"}.get(self.state, self.state)
        return "acknowledged"

    def reset(self):
        return None

    # covers

    def shelve(self, now, duration, reason):
        tripped = bool(self.conditions() + self.latches())
        if self.shelved_until is not None or not reason or not 0 < duration <= 12 * 60 * MINUTE:
            return None
        if tripped and not self.may_be_shelved():
            return None
        self.shelved_until = now + duration
        return "shelved"

    def leave_cover(self):
        if self.active:
            self.ask_again()

    def unshelve(self):
        if self.shelved_until is None:
            return None
        self.shelved_until = self.shelved_level = None
        self.leave_cover()
        return "unshelved"

    def take_out(self, reason):
        if self.out_of_service or not reason:
            return None
        self.out_of_service = True
        return "out-of-service"

    def put_back(self):
        if not self.out_of_service:
            return None
        self.out_of_service = False
        self.leave_cover()
        return "in-service"

    # `when`

    def suppress(self):
        self.active, self.active_level = False, None
        self.tripped_levels()
        if self.state == "normal":
            return None
        self.state = "suppressed"
        return "suppressed"

    def unsuppress(self):
        if self.state != "suppressed":
            return None
        if self.latches():
            # CHOICE: the level is then that which the latch holds, as for event `latched`
            self.state, self.level = "latched", max(self.tripped_levels())
        else:
            self.state = "normal" if self.acknowledged else "returned"
        return "unsuppressed"

    # reload

    def retire(self):
        covered = self.shelved_until is not None or self.out_of_service
        if self.state == "normal" and not covered:
            return None
        self.state, self.active, self.active_level, self.floor = "normal", False, None, None
        self.shelved_until = self.shelved_level = None
        self.out_of_service = False
        return "retired"

    def adopt(self, old, _now):
        for name in ("state", "level", "acknowledged", "count", "raised_at", "event_level", "active", "active_level",
                     "floor", "steps_done", "shelved_until", "shelved_level", "out_of_service"):
            setattr(self, name, getattr(old, name))

    # the ladder

    def step_due(self):
        if self.state == "normal" or self.steps_done >= len(self.steps):
            return None
        return self.raised_at + self.steps[self.steps_done]["after"]

    def skips(self, step):
        if step["unless"] == "acknowledged":
            return self.acknowledged
        return not self.tripped_levels()

    def raise_floor(self, step):
        """The floor of a step; whether the level will rise by it."""
        if "level" in step and self.tripped_levels():
            level = LEVELS.index(step["level"])
            self.floor = level if self.floor is None else max(self.floor, level)
            return self.floor > self.level
        return False


class RuleAlarm(Alarm):
    """Of one point, or (VoteAlarm) of a vote."""

    def __init__(self, rule, zone, device, point, measures, gate):
        super().__init__(rule["name"], zone, device, point)
        self.spec, self.measures, self.gate = rule, measures, gate
        self.limits = make_limits(rule, measures[0].dose)
        self.steps = rule.get("escalate", [])
        self.last_limit, self.flipped = None, False
        self.asking = None  # the limit of before, while a shelf ends by a new level
        self.changed = list(self.limits)  # by a reload; of a new alarm all
        self.lower = self.upper = None  # the measure as last evaluated
        self.value_lost = False  # before a restart, and not since

    @property
    def full(self):
        return f"{self.device}.{self.point}"

    @property
    def points(self):
        return [measure.point for measure in self.measures]

    def measure_of(self, point):
        return next((measure for measure in self.measures if measure.point is point), None)

    def applies(self):
        return self.gate is None or self.gate.answer

    def conditions(self):
        return [limit.level for limit in self.limits if limit.condition]

    def latches(self):
        return [limit.level for limit in self.limits if limit.latch_holds]

    def giving(self):
        """The limit that gives the level, the lower bound first; None where no limit is tripped."""
        tripped = [limit for limit in self.limits if limit.tripped]
        # CHOICE: of two upper bounds at blue that of yellow is told
        order = lambda limit: (limit.level, not limit.upper, LEVELS.index(limit.named))
        return max(tripped, key=order, default=None)

    def shown(self):
        return self.giving() or self.last_limit

    def asks(self):
        return (self.asking or self.shown()).acknowledge

    def may_be_shelved(self):
        return all(limit.shelvable for limit in self.limits if limit.tripped)

    def hold_level(self):
        """A reload: where a latch holds another limit now, the occurrence is of that level."""
        if self.state == "latched":
            self.level = max(self.tripped_levels())

    def reset(self):
        if not self.latches() or self.state == "suppressed":
            return None
        self.last_limit = self.giving()
        for limit in self.limits:
            limit.latch_holds = False
        self.active_level = max(self.conditions(), default=None)
        self.active = self.active_level is not None
        if self.active:
            # literally: reset counts as acknowledgement, yet what remains is unacknowledged
            return self.rise("reset", max(self.tripped_levels()))
        self.floor = None
        self.state, self.acknowledged = "normal", True
        return "reset"

    def read(self, now, reading):
        """How the limits see a reading, and the bounds of the measure then; what was evaluated is remembered."""
        mode, bounds = see(self.measures[0], now, reading)
        if mode in ("full", "raise"):
            self.lower, self.value_lost = bounds[0], False
        if self.measures[0].dose and bounds:
            self.upper = bounds[1]
        return mode, bounds

    def evaluate(self, now, reading):
        mode, bounds = self.read(now, reading)
        for limit in self.limits:
            if limit.upper and bounds:
                limit.take("full" if mode == "full" else "raise", bounds[1], now)
            else:
                limit.take(mode, bounds and bounds[0], now)

    # restart and reload

    def at_rest(self):
        """Nothing of it is remembered over a restart."""
        waits = any(limit.tripped or limit.due() is not None or limit.frozen is not None for limit in self.limits)
        gated = self.gate and (not self.gate.answer or self.gate.since is not None or self.gate.frozen is not None)
        return self.shown_state == "normal" and not waits and not gated

    def restart(self, now):
        self.value_lost = True
        if self.at_rest():
            for limit in self.limits:
                limit.forget_bound()
        for measure in self.measures:
            measure.restart()
        for limit in self.limits:
            limit.restart(now)
        if self.gate:
            self.gate.restart(now)

    def pairs(self, old):
        """(limit, limit of before): the same by level and kind of condition, the others in order."""
        key = lambda limit: (limit.named, limit.kind, limit.upper)
        before = {key(limit): limit for limit in old.limits}
        found = [(limit, before.pop(key(limit))) for limit in self.limits if key(limit) in before]
        taken = [limit for limit, _ in found]
        for upper in (False, True):
            new = [limit for limit in self.limits if limit not in taken and limit.upper == upper]
            left = [limit for limit in before.values() if limit.upper == upper]
            found += zip(new, left)
        return found

    def adopt(self, old, now):
        super().adopt(old, now)
        self.changed = list(self.limits)
        pairs = self.pairs(old)
        same = self.adopt_measures(old)
        for limit, before in pairs:
            limit.adopt(before)
            if (same or not CHOICES["changed_measure_at_once"]) and limit.same(before):
                self.changed.remove(limit)
        if not CHOICES["new_limit_at_once"]:
            self.changed = [limit for limit in self.changed if limit in [each for each, _ in pairs]]
        self.last_limit = old.last_limit and self.shown_after(old.last_limit, pairs)
        self.lower, self.upper, self.value_lost = old.lower, old.upper, old.value_lost
        if self.gate is None or not self.gate.same(old.gate):
            self.start_gate(old, now)
        else:
            self.gate.adopt(old.gate, now)

    def shown_after(self, last, pairs):
        """What the limit that gave the level last has become.

        CHOICE: where it is gone, as events tell of limits in force: the highest that is not above it, rather of the same
        kind of bound; the lowest where all are.
        """
        partner = [limit for limit, before in pairs if before is last]
        milder = [limit for limit in self.limits if limit.level <= last.level]
        alike = [limit for limit in milder if limit.upper == last.upper]
        return (partner or alike[-1:] or milder[-1:] or self.limits)[0]

    def adopt_measures(self, old):
        """Whether the measure is the same; a changed one forgets."""
        for place, measure in enumerate(self.measures):
            before = old.measure_of(measure.point)
            if before is not None and measure.same(before):
                self.measures[place] = before
            else:
                measure.forget()
        return all(measure in old.measures for measure in self.measures)

    def start_gate(self, old, now):
        """A changed or removed `when`: its answer is true anew, then its newest reading settles it."""
        if self.gate:
            self.gate.begin(now)
        self.flipped = self.applies() != old.applies()

    def settle_gate(self):
        """Whether `when` has flipped in this cause."""
        flipped, self.flipped = self.flipped, False
        return (self.gate is not None and self.gate.settle()) or flipped

    def loses_all(self, old):
        """Whether all tripped limits of before are gone."""
        kept = [before for _, before in self.pairs(old)]
        tripped = [limit for limit in old.limits if limit.tripped]
        return bool(tripped) and not any(limit in kept for limit in tripped)

    def begin(self, now):
        """A rule that a reload has added."""
        if not CHOICES["new_rule_at_once"]:
            self.changed = []
        for measure in self.measures:
            measure.forget()
        if self.gate:
            self.gate.begin(now)

    def retire(self):
        self.last_limit = self.shown()
        for limit in self.limits:
            limit.condition = limit.latch_holds = False
        return super().retire()

    def evaluate_changed(self, now):
        newest = self.points[0].known()
        if newest is None or not self.changed:
            return
        mode, bounds = self.read(now, newest)
        for limit in self.changed:
            limit.take_changed(mode, bounds and bounds[limit.upper], now)

    def evaluate_raise(self, now, point=None):
        """occurrences: a counted raise, to raise only and certain."""
        self.lower = self.measures[0].value(now, None)
        for limit in self.limits:
            limit.take_value(self.lower, False, False, now)

    def evaluate_newest(self, now):
        """`when` is true again: the newest reading, if it is no older than max_age."""
        newest = self.points[0].known()
        if newest is not None and now - newest.time <= self.points[0].max_age:
            self.evaluate(now, newest)
        elif newest is None and self.measures[0].type == "occurrences":
            self.evaluate_raise(now)  # CHOICE: raises are certain, also where nothing was read since a restart

    def untrip(self):
        for limit in self.limits:
            limit.untrip()

    def lost(self):
        """What a restart may have taken from an event: a memory is as old as its latest change."""
        return ["value"] * self.value_lost + ["quality", "reason"] * (self.points[0].known() is None)

    def told_value(self, limit):
        if limit is None and not CHOICES["no_limit_tells_lower"] and self.measures[0].dose:
            return self.upper
        return self.upper if limit is not None and limit.upper else self.lower

    def details(self, shown=NOW):
        limit, newest = self.shown() if shown is NOW else shown, self.points[0].newest()
        # CHOICE: where no limit is tripped any more, nothing rests on an uncertain reading
        return {"value": self.told_value(limit), "limit": limit and limit.crossed, "condition": limit and limit.kind,
                "quality": newest and newest.quality, "reason": newest and newest.reason,
                "uncertain": limit is not None and limit.tripped and limit.uncertain, "latched": bool(self.latches()),
                "members": None}


class Member:
    """What a point says in a vote: for each limit whether it votes, and whether that is certain."""

    def __init__(self, measure):
        self.measure, self.point = measure, measure.point
        self.votes, self.certain, self.value, self.upper = {}, {}, None, None
        self.value_lost = False

    @property
    def out(self):
        """Bad or inhibited, and no reading since that counts; without a vote an absent one."""
        for reading in reversed(self.point.history):
            if reading.bad or reading.inhibited:
                return True
            if reading.quality == "good" or reading.reason == "over-range":
                return False
        return False

    def take(self, limits, now, reading, to_raise=False):
        """`to_raise`: a reload; what is not on the trip side changes nothing."""
        mode, bounds = see(self.measure, now, reading)
        evaluated, full = mode in ("full", "raise"), mode == "full"
        if evaluated:
            self.value, self.value_lost = bounds[0], False
        if self.measure.dose and bounds:
            self.upper = bounds[1]
        for limit in limits:
            if evaluated or (limit.upper and bounds):
                if not to_raise or limit.side(bounds[limit.upper]) == "trip":
                    self.judge(limit, bounds[limit.upper], full, limit.upper or not full)
            elif mode == "bad" and limit.trip_on_bad and not self.votes.get(limit) and (
                    CHOICES["bad_trips_at_reload"] or not to_raise):
                self.votes[limit] = self.certain[limit] = True

    def adopt(self, old, pairs):
        for limit, before in pairs:
            if before in old.votes:
                self.votes[limit], self.certain[limit] = old.votes[before], old.certain.get(before, False)
        self.value, self.upper, self.value_lost = old.value, old.upper, old.value_lost

    def take_raise(self, limits, now):
        self.value = self.measure.value(now, None)
        for limit in limits:
            self.judge(limit, self.value, False, False)

    def judge(self, limit, value, full, uncertain):
        side = limit.side(value)
        if side == "trip":
            self.votes[limit], self.certain[limit] = True, not uncertain
        elif side == "hold" and self.votes.get(limit):
            self.certain[limit] = not uncertain
        elif side == "return" and full:
            self.votes[limit] = False


class VoteAlarm(RuleAlarm):
    def __init__(self, rule, measures, gate):
        super().__init__(rule, measures[0].point.device.zone, None, None, measures, gate)
        self.members = [Member(measure) for measure in measures]
        self.last_count = {}
        self.needs, self.on_bad = rule["vote"], rule.get("on_bad", "degrade")

    @property
    def full(self):
        return "_"

    def absent(self, limit):
        return [member for member in self.members if member.out and not member.votes.get(limit)]

    def counted(self, limit):
        """Members that count as a vote."""
        voting = [member for member in self.members if member.votes.get(limit)]
        return voting + (self.absent(limit) if self.on_bad == "trip" else [])

    def needed(self, limit):
        return max(1, self.needs - len(self.absent(limit))) if self.on_bad == "degrade" else self.needs

    def recount(self, now, limits=None, only_raise=False, good=True):
        """CHOICE: only a good reading begins a return, or lets one go on; no other one cancels it."""
        for limit in limits or self.limits:
            votes, needed = self.counted(limit), self.needed(limit)
            certain = [member for member in votes if not member.votes.get(limit) or member.certain[limit]]
            uncertain = limit.upper or len(certain) < needed
            trips = len(votes) >= needed
            self.last_count[limit] = len(votes), needed
            if not trips and (only_raise or not good):
                continue
            limit.feed("trip" if trips else "return", True, uncertain, now)

    def tally(self):
        """Over a reload and a restart votes are told as of now."""
        self.last_count = {limit: (len(self.counted(limit)), self.needed(limit)) for limit in self.limits}

    def begin(self, now):
        super().begin(now)
        self.tally()

    def restart(self, now):
        rested = self.at_rest()
        super().restart(now)
        for member in self.members:
            member.value_lost = True
        if self.applies():
            self.tally()
        if rested and not any(votes for votes, _ in self.last_count.values()):
            self.last_count = {}  # CHOICE: nothing of it was kept, and nobody votes

    def lost(self):
        lost = any(member.value_lost or member.point.known() is None for member in self.members)
        return ["quality", "reason"] * (not any(point.known() for point in self.points)) + ["members"] * lost

    def member_of(self, point):
        return next((member for member in self.members if member.point is point), None)

    def evaluate(self, now, reading):
        member = next(member for member in self.members if member.point.newest() is reading)
        member.take(self.limits, now, reading)
        self.recount(now, good=reading.good)

    def evaluate_raise(self, now, point=None):
        self.member_of(point).take_raise(self.limits, now)
        self.recount(now)

    def evaluate_newest(self, now):
        for member in self.members:
            known = member.point.known()
            if known and now - known.time <= member.point.max_age:
                member.take(self.limits, now, known)
            elif known is None and self.measures[0].type == "occurrences":
                member.take_raise(self.limits, now)
        self.recount(now)

    def adopt(self, old, now):
        super().adopt(old, now)
        self.members = [Member(measure) for measure in self.measures]
        same_points = [each.point for each in self.members] == [each.point for each in old.members]
        if (self.needs, self.on_bad) != (old.needs, old.on_bad) or not same_points:
            self.changed = list(self.limits)
        for member in self.members:
            before = old.member_of(member.point)
            if before is not None:
                member.adopt(before, self.pairs(old))
        self.tally()
        if not (self.applies() and old.applies()):  # nothing is counted before the event: what was, is told
            for limit, before in self.pairs(old):
                self.last_count[limit] = old.last_count.get(before, self.last_count[limit])

    def evaluate_changed(self, now):
        if not self.changed:
            return
        for member in self.members:
            if member.point.known():
                member.take(self.changed, now, member.point.known(), to_raise=True)
        self.recount(now, self.changed, only_raise=True)

    def untrip(self):
        super().untrip()
        for member in self.members:
            member.votes, member.certain = {}, {}

    def newest(self):
        readings = [point.newest() for point in self.points if point.history]
        return max(readings, key=lambda reading: reading.order, default=None)

    def healthy(self):
        return sum(not member.out for member in self.members)

    def tell_member(self, member, limit):
        votes = self.counted(limit) if CHOICES["members_tell_counted"] else \
            [each for each in self.members if each.votes.get(limit)]
        newest = member.point.newest()
        return {"point": member.point.full, "value": member.upper if limit.upper and CHOICES["member_tells_its_bound"] else member.value,
                "vote": member in votes, "quality": newest and newest.quality}

    def details(self, shown=NOW):
        limit, newest = self.shown() if shown is NOW else shown, self.newest()
        told = super().details(shown)
        # CHOICE: without an occurrence the votes of the lowest limit, of a dose its lower bound, are told, without a limit
        votes_of = limit or next(each for each in self.limits if not each.upper)
        # value and limit are those of the last count, also where `when` has taken the votes away since
        counted, needed = self.last_count.get(votes_of, (None, self.needed(votes_of)))
        told.update({"value": counted, "limit": limit and needed, "condition": limit and "vote",
                     "quality": newest and newest.quality, "reason": newest and newest.reason,
                     "members": [self.tell_member(member, votes_of) for member in self.members]})
        return told


class BuiltIn(Alarm):
    """Yellow, never to be acknowledged, on a bus, a device or a point."""

    built_in = True

    def __init__(self, rule, zone, device, point, newest=lambda: None, value=lambda: None):
        super().__init__(rule, zone, device, point)
        self.stands, self.newest, self.value = False, newest, value
        self.lasting = 0  # readings of before a restart
        self.condition_name = rule

    def due(self):
        return None

    def conditions(self):
        return [LEVELS.index("yellow")] if self.stands else []

    def asks(self):
        return False

    def lost(self):
        newest = self.newest()
        before = newest is None or newest.order < self.lasting
        return ["value"] * (self.lasting > 0) + ["quality", "reason"] * before

    def details(self):
        newest = self.newest()
        return {"value": self.value(), "limit": None, "condition": self.condition_name,
                "quality": newest and newest.quality, "reason": newest and newest.reason, "uncertain": False,
                "latched": False, "members": None}


class Fault(BuiltIn):
    """Raised `delay` after the later of the first failure and the end of a fault above; cleared by three in a row."""

    def __init__(self, zone, device, point, newest, value, delay, above):
        super().__init__("fault", zone, device, point, newest, value)
        self.delay, self.above = delay, above
        self.first_failure = self.ended = None
        self.told = False  # its memory is on disk
        self.streaks, self.counted = {}, set()

    def restart(self, now):
        """CHOICE: successes in a row are counted anew; what stands and what runs goes on.

        A failure below another one is not remembered: it is counted anew.
        """
        self.streaks, self.counted = {}, set()
        if not self.stands and not (self.told and self.runs(now)):
            self.first_failure = None

    def runs(self, now):
        """Whether its delay does: it stops at its end below a fault that stands, and does not start below one."""
        if self.first_failure is None:
            return False
        begin = self.begin()
        return all(begin <= fault.raised_at and now < begin + self.delay for fault in self.above if fault.stands)

    def begin(self):
        return max([self.first_failure, *(fault.ended for fault in self.above if fault.ended is not None)])

    def fails(self):
        return self.first_failure is not None

    def remember(self, now, inhibited=False):
        """At the end of a cause. What is known of a point in calibration is on disk with that."""
        self.told = self.runs(now) and (self.told or inhibited or not any(fault.fails() for fault in self.above))

    def due(self):
        if self.stands or self.first_failure is None or any(fault.stands for fault in self.above):
            return None
        return self.begin() + self.delay

    def fire(self, time):
        if self.due() is not None and self.due() <= time:
            self.stands, self.streaks, self.counted = True, {}, set()

    def take(self, time, failed, member, key=None):
        """`member` counts for itself; successes with the same `key` count as one."""
        if failed:
            self.first_failure = time if self.first_failure is None else self.first_failure
            self.streaks[member] = 0
            return
        self.first_failure = None
        if key is not None and key in self.counted:
            return
        self.counted.add(key)
        self.streaks[member] = self.streaks.get(member, 0) + 1
        if self.stands and self.streaks[member] >= IN_A_ROW:
            self.stands, self.ended = False, time


class VoteFault(BuiltIn):
    def __init__(self, vote):
        super().__init__(f"{vote.rule}.fault", vote.zone, None, None, vote.newest)
        self.vote, self.condition_name = vote, "fault"

    def judge(self):
        self.stands = self.vote.healthy() < self.vote.needs

    def adopt(self, old, now):
        super().adopt(old, now)
        self.stands = old.stands


class Inhibit(BuiltIn):
    def __init__(self, device, newest):
        super().__init__("inhibit", device.zone, device.name, None, newest)
        self.source = device

    def judge(self):
        self.stands = any(self.inhibited(point) for point in self.source.points)

    def inhibited(self, point):
        keeps = CHOICES["bad_keeps_inhibit"]
        known = next((reading for reading in reversed(point.history) if not (keeps and reading.bad)), None)
        return known is not None and known.inhibited


class Flood(BuiltIn):
    """`raises`: (time, key of the alarm) of each event `raised` of a rule."""

    WINDOW = 10 * MINUTE

    def __init__(self, raises):
        super().__init__("flood", None, "gateway", None)
        self.raises, self.condition_name = raises, "self"

    def judge(self, now):
        count = sum(now - self.WINDOW < time <= now for time, _ in self.raises)
        self.stands = count >= (5 if self.stands else 10)

    def due(self):
        return self.raises[-5][0] + self.WINDOW if self.stands else None


class Chatter(BuiltIn):
    def __init__(self, raises):
        super().__init__("chatter", None, "gateway", None)
        self.raises, self.moment, self.condition_name = raises, None, "self"

    def judge(self, now):
        for time, key in self.raises:
            if time == now and sum(now - MINUTE < when <= now for when, each in self.raises if each == key) >= 3:
                self.moment = now
        self.stands = self.moment is not None and now < self.moment + 10 * MINUTE

    def due(self):
        return self.moment + 10 * MINUTE if self.stands else None
