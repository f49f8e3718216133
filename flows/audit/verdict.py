"""Can I train on this? The rules of the verdict and of the gate, over the facts of a report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from sensorloom.flows.audit.report import (
    IMU_KINDS,
    LEVELS,
    SEVERITIES,
    DatasetFacts,
    Level,
    Reason,
    Report,
    RuleFacts,
    Verdict,
    ViewErrors,
    ViewFacts,
)
from sensorloom.flows.audit.report_takes import PairFacts
from sensorloom.flows.clock_words import clock_reasons
from sensorloom.flows.errors import ConfigError
from sensorloom.ingest.take import Severity, counted

__all__ = ["fails", "judge", "verdict_lines"]

MAX_ERROR_SHARE = 0.5
"""With an error in at least so many of its takes, a data set is not fit for training."""
MIN_USABLE_SHARE = 0.9
"""Below this share of usable samples over all its sensors, a data set wants care."""
MIN_KEPT_SHARE = 0.5
"""Below this share of the labelled seconds that ended up in windows, a view wants care."""
MAX_RETIMED_SHARE = 0.1
"""Above this mean share of re-timed samples, a view wants care."""

SHOWN_WARNINGS = 3
"""So many warning rules, the most frequent, stand in a verdict."""
ANSWERS: dict[Level, str] = {"ok": "yes", "care": "with care", "no": "no"}

_OUTSIDE = (
    "unlabelled",
    "between-anchors",
    "uncovered",
    "label-not-in-view",
    "label-overlap",
    "break-dropped",
)


def judge(
    facts: DatasetFacts,
    views: Sequence[ViewFacts],
    rules: Sequence[RuleFacts],
    pairs: Sequence[PairFacts] = (),
) -> Verdict:
    """Return the verdict on one data set from its own facts (but their verdict), its views, findings and clocks.

    The most frequent warnings are named, but alone they make no verdict worse: what they do to the data shows in
    the usable hours, the windows kept and the share of re-timed samples.
    """
    reasons = (
        *_of_takes(facts),
        *_of_vectors(views, rules),
        *clock_reasons(pairs),
        *_of_sensors(facts),
        *(reason for view in views for reason in _of_view(view)),
        *_without_windows(views),
        *_outdated(views),
        *_of_warnings(rules),
    )
    worst: Level = max((reason.level for reason in reasons), key=LEVELS.index, default="ok")
    ordered = sorted(reasons, key=lambda reason: -LEVELS.index(reason.level))
    return Verdict(worst, tuple(ordered))


def verdict_lines(report: Report) -> list[str]:
    """Return one line of plain text for each data set: its verdict, what is generated, and why where it is not yes."""
    return [_line(facts) for facts in report.datasets]


def _line(facts: DatasetFacts) -> str:
    verdict = facts.verdict
    why = [
        reason.sentence.removesuffix(".")
        for reason in verdict.reasons
        if reason.level == verdict.level != "ok"
    ]
    generated = _generated(facts)
    answer = f"{ANSWERS[verdict.level]} ({generated} generated)" if generated else ANSWERS[verdict.level]
    return ": ".join([facts.dataset, answer, *(["; ".join(why)] if why else [])])


def _generated(facts: DatasetFacts) -> str:
    """Return which of its takes were generated, "all takes" or "3 of 10 takes"; "" where all were recorded."""
    if facts.takes_generated == facts.takes > 0:
        return "all takes"
    return f"{facts.takes_generated} of {counted(facts.takes, 'take')}" if facts.takes_generated else ""


def fails(report: Report, level: str) -> list[str]:
    """Return a sentence for each finding rule and leak at least as severe as `level`; none for `never`."""
    if level == "never":
        return []
    stop = SEVERITIES[: SEVERITIES.index(_severity(level)) + 1]
    return [
        *(_rule_sentence(rule) for rule in report.rules if rule.severity in stop and not _is_leak(rule)),
        *(
            f"{view.view}: {leak.count} {leak.kind} in both {leak.first} and {leak.second} ({leak.severity})"
            for view in report.views
            for leak in view.leaks
            if leak.severity in stop
        ),
    ]


def _severity(level: str) -> Severity:
    for severity in SEVERITIES:
        if severity == level:
            return severity
    raise ConfigError(f"a gate is error, warning, note or never, not {level!r}")


def _rule_sentence(rule: RuleFacts) -> str:
    where = rule.dataset if rule.view is None else f"{rule.dataset} in {rule.view}"
    found = f"{where}: {rule.rule} ({rule.severity}) {counted(rule.findings, 'time')}"
    return f"{found} in {counted(rule.takes, 'take')}" if rule.takes else found


def _of_takes(facts: DatasetFacts) -> Iterator[Reason]:
    if facts.takes == 0:
        unread = f"None of its {counted(facts.takes_unreadable, 'take')} could be read."
        yield Reason("no", unread if facts.takes_unreadable else "None of its takes is in the snapshot.")
        return
    lost = facts.takes_unreadable - facts.takes_outdated
    if lost:
        yield Reason("care", f"{lost} of {counted(facts.takes + lost, 'take')} could not be read.")
    if facts.takes_outdated:
        yield Reason(
            "care",
            f"{facts.takes_outdated} of {counted(facts.takes, 'take')} cannot be read as they are now; their earlier"
            " version is still used.",
        )
    if facts.takes_with_errors:
        level: Level = "no" if facts.takes_with_errors >= MAX_ERROR_SHARE * facts.takes else "care"
        names = ", ".join(facts.error_rules)
        yield Reason(
            level, f"{facts.takes_with_errors} of {counted(facts.takes, 'take')} carry an error: {names}."
        )
        if level == "no":
            yield from (_of_errors(view, facts.takes) for view in facts.errors_in_views)
    generated = _generated(facts)
    if generated:
        yield Reason("ok", f"Generated, not recorded: {generated}.")


def _of_errors(view: ViewErrors, takes: int) -> Reason:
    """Tell whether the errors that condemn the data set concern what one view uses of it."""
    where = f"({', '.join(view.positions)})"
    if not view.takes:
        return Reason("ok", f"{view.view}: ok {where}.")
    level: Level = "no" if view.takes >= MAX_ERROR_SHARE * takes else "care"
    return Reason(level, f"{view.view}: {view.takes} of {counted(takes, 'take')} affected {where}.")


def _of_warnings(rules: Sequence[RuleFacts]) -> Iterator[Reason]:
    counts: Counter[str] = Counter()
    for rule in rules:
        if rule.severity == "warning" and not _is_leak(rule):
            counts[rule.rule] += rule.findings
    if not counts:
        return
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    names = [f"{name} ({found:,})" for name, found in top[:SHOWN_WARNINGS]]
    rest = f" and {len(top) - SHOWN_WARNINGS} more" if len(top) > SHOWN_WARNINGS else ""
    yield Reason("ok", f"Most frequent warnings: {', '.join(names)}{rest}.")


def _of_sensors(facts: DatasetFacts) -> Iterator[Reason]:
    """Name the sensors that are usable for too little of the time between the breaks of their takes."""
    poor = [
        f"{sensor.position} {sensor.kind} ({sensor.usable_hours / sensor.open_hours:.0%})"
        for sensor in facts.sensors
        if sensor.kind in IMU_KINDS and sensor.usable_hours < MIN_USABLE_SHARE * sensor.open_hours
    ]
    if poor:
        yield Reason("care", f"Usable for less than {MIN_USABLE_SHARE:.0%} of the time: {', '.join(poor)}.")


def _of_view(view: ViewFacts) -> Iterator[Reason]:
    outside = sum(step.seconds for step in view.dropped if step.reason in _OUTSIDE)
    labelled_s = view.recorded_s - outside
    if view.windows == 0:
        yield Reason("care", f"{view.view} kept no window.")
        return
    if labelled_s > 0 and view.kept_s / labelled_s < MIN_KEPT_SHARE:
        time = "labelled time" if view.recipe.has_classes else "recorded time"
        yield Reason("care", f"{view.view} keeps {view.kept_s / labelled_s:.0%} of the {time}.")
    if view.retimed_mean > MAX_RETIMED_SHARE:
        yield Reason(
            "care", f"{view.view}: {view.retimed_mean:.0%} of the samples in its windows are re-timed."
        )
    yield from _of_splits(view)


def _of_splits(view: ViewFacts) -> Iterator[Reason]:
    trained = {row.label for row in view.labels if row.split == "train"}
    unseen = sorted({row.label for row in view.labels if row.split != "train"} - trained)
    if "train" not in {split.split for split in view.splits}:
        yield Reason("care", f"{view.view} has no training window.")
    elif unseen:
        yield Reason("care", f"{view.view}: not in train but in val or test: {', '.join(unseen)}.")
    # A note, as texts that repeat, flatters nothing by itself.
    kinds = sorted({leak.kind for leak in view.leaks if leak.severity != "note"})
    if kinds:
        yield Reason("care", f"{view.view}: its splits share {_listed(kinds)}, so its scores flatter.")


def _of_vectors(views: Sequence[ViewFacts], rules: Sequence[RuleFacts]) -> Iterator[Reason]:
    """Name the errors of whole views; where every view with windows has one, there is nothing sound to train on."""
    errors: dict[str, set[str]] = defaultdict(set)
    for rule in rules:
        if rule.view is not None and rule.severity == "error" and not _is_leak(rule):
            errors[rule.view].add(rule.rule)
    usable = {view.view for view in views if view.windows}
    level: Level = "no" if usable and usable <= errors.keys() else "care"
    for view in sorted(errors):
        yield Reason(level, f"{view} carries an error: {', '.join(sorted(errors[view]))}.")


def _is_leak(rule: RuleFacts) -> bool:
    """Tell whether the rule is of what splits share, which the leaks of the view tell in their own words."""
    return rule.rule.startswith("leak-") and rule.view is not None


def _outdated(views: Sequence[ViewFacts]) -> Iterator[Reason]:
    names = [view.view for view in views if view.outdated]
    if names:
        which = f"{names[0]} was" if len(names) == 1 else f"{len(names)} views were"
        yield Reason(
            "care", f"{which} built from other takes or vectors than there are now; run `sensorloom build`."
        )


def _without_windows(views: Sequence[ViewFacts]) -> Iterator[Reason]:
    if not views:
        yield Reason("no", "No view cuts windows of it; run `sensorloom build`.")
    elif not any(split.split == "train" for view in views for split in view.splits):
        yield Reason("no", "No view has a training window of it.")


_LEAK_NAMES = {
    "participant": "participants",
    "capture": "captures",
    "overlap": "overlapping windows",
    "signal": "windows of the same signal",
    "vector": "windows of all but the same video vector",
}


def _listed(kinds: Sequence[str]) -> str:
    names = [_LEAK_NAMES.get(kind, kind) for kind in kinds]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
