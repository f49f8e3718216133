"""How much there is: usable hours of every sensor."""

from __future__ import annotations

from sensorloom.flows.audit.report import DatasetFacts, Report, SensorHours
from sensorloom.flows.pages.charts import bar
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count, hours, percent

__all__ = ["sensor_hours"]

_COLUMNS = (
    Column("Position", sortable=True),
    Column("Sensor", sortable=True),
    Column("Takes", numeric=True, sortable=True, minor=True),
    Column("Usable", numeric=True, sortable=True),
    Column("Share", numeric=True, sortable=True),
    Column(""),
)


def sensor_hours(report: Report) -> Html:
    """Return one table a data set: usable time by position and sensor, against the time of the takes that have it."""
    tables = [_table(facts) for facts in report.datasets if facts.sensors]
    title = tag("h2", "Hours by sensor")
    lead = tag(
        "p",
        "Usable time on the 200 Hz timeline; share and bar set it against the takes that have the sensor, breaks "
        "aside. What is missing lies in gaps longer than the limit or at the ends of the recording.",
        class_="lead",
    )
    return tag("section", title, lead, *tables, id="hours")


def _table(facts: DatasetFacts) -> Html:
    bodies = [tag("tbody", _row(sensor)) for sensor in facts.sensors]
    parts = [f"{facts.dataset}: {count(facts.takes, 'take')}", count(facts.captures, "capture")]
    if facts.takes_outdated:
        parts.append(f"{count(facts.takes_outdated)} of the takes in an earlier version")
    if lost := facts.takes_unreadable - facts.takes_outdated:
        parts.append(f"and {count(lost)} that could not be read")
    caption = ", ".join(parts)
    return table(caption, _COLUMNS, bodies)


def _row(sensor: SensorHours) -> Html:
    # A take that is one long break leaves no open time.
    share = sensor.usable_hours / sensor.open_hours if sensor.open_hours > 0 else 0.0
    return row(
        cell(sensor.position, heading=True),
        cell(sensor.kind.replace("_", " ")),
        cell(count(sensor.takes), numeric=True, minor=True, value=sensor.takes),
        cell(hours(sensor.usable_hours), numeric=True, value=sensor.usable_hours),
        cell(percent(sensor.usable_hours, sensor.open_hours), numeric=True, value=share),
        cell(bar(0, share, "kept")),
    )
