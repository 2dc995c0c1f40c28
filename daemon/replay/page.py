"""One page of what a replay found: a file of its own that needs no network, for a colleague."""

import json
import math
from datetime import UTC, datetime
from html import escape
from importlib import resources

from daemon.replay.charts import evidence_chart, timeline
from daemon.replay.reports import Alarm, VersionReport, report
from daemon.replay.series import series_of
from daemon.replay.store import Store
from daemon.settings import MICROSECONDS, Settings
from sinks.errors import BadSettings

__all__ = ["page", "plotly_script"]


def plotly_script() -> str:
    """Return Plotly's own JavaScript, from the installed package.

    Raises
    ------
    BadSettings
        It is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - large, and only for those who want a page
    except ModuleNotFoundError as error:
        raise BadSettings("--html needs Plotly: pip install 'strandline[html]'") from error
    return str(get_plotlyjs())


def page(settings: Settings, store: Store, title: str) -> str:
    """Return the page as HTML; raises as ``plotly_script``."""
    script = plotly_script()
    charts: list[dict[str, object]] = []
    numbers = {(model, version): number for number, model, version in store.cohorts()}
    sections = [
        _section(each, _charts(settings, store, numbers[each.model, each.version], each), charts)
        for each in report(settings, store)
    ]
    lost = "".join(
        f"<li><b>{each.count:,}</b> {escape(reason)} <span>{escape(each.detail)}</span></li>"
        for reason, _, each in store.rejected()
    )
    return _template(
        "page.html",
        {
            "title": escape(title),
            "style": _file("page.css"),
            "sections": "".join(sections) or "<p>No event was counted.</p>",
            "rejected": f"<section><h2>Not usable</h2><ul class=lost>{lost}</ul></section>" if lost else "",
            "plotly": script,
            # Nothing in the data may end the script it stands in.
            "charts": json.dumps(charts, allow_nan=False).replace("<", "\\u003c"),
        },
    )


def _charts(settings: Settings, store: Store, number: int, found: VersionReport) -> list[dict[str, object]]:
    series = series_of(store, number, found, settings.of(found.model).window_us)
    drawn = [timeline(each, found) for each in series]
    return [*drawn, evidence_chart(series, found)] if drawn else []


def _section(found: VersionReport, drawn: list[dict[str, object]], charts: list[dict[str, object]]) -> str:
    places = []
    for each in drawn:
        note = f"<p>{escape(str(each['note']))}</p>" if each["note"] else ""
        places.append(
            f"<figure><figcaption><h3>{escape(str(each['title']))}</h3>{note}</figcaption>"
            f'<div class=chart id="chart-{len(charts)}"></div></figure>'
        )
        charts.append({"data": each["data"], "layout": each["layout"]})
    version = f" <small>version {escape(found.version)}</small>" if found.version else ""
    tiles = [
        ("events", f"{found.events:,}", f"{found.late:,} late" if found.late else ""),
        ("windows", f"{found.windows:,}", f"{_day(found.first_us)} – {_day(found.last_us)}"),
        ("alarms", f"{len(found.alarms)}", ""),
        ("false alarms allowed in this time", f"{found.allowed:.2g}", f"budget: {found.budget}"),
        ("of it spent, at most", f"{found.spent:.2g}", "the most to be expected of what was watched"),
    ]
    shown = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd><span>{escape(note)}</span></div>"
        for name, value, note in tiles
    )
    alarms = "".join(map(_alarm, found.alarms)) or "<p class=calm>No alarm.</p>"
    return (
        f"<section><h2>{escape(found.model)}{version}</h2><dl class=tiles>{shown}</dl>"
        f"<div class=alarms>{alarms}</div><div class=charts>{''.join(places)}</div></section>"
    )


def _alarm(alarm: Alarm) -> str:
    where = alarm.segment or "whole model"
    end = "still on at the end" if alarm.over_us is None else f"over {_minute(alarm.over_us)}"
    rows = "".join(
        f"<tr><td>{escape(each.label)}</td><td>{_number(each.before)}</td><td>→</td>"
        f"<td>{_number(each.after)}</td><td>{_change(each.before, each.after)}</td></tr>"
        for each in alarm.contributors
    )
    calibrating = " · while calibrating: outside the promise" if alarm.calibrating else ""
    return (
        f"<article><h3>{escape(alarm.monitor)} <small>{escape(where)}</small></h3>"
        f"<p class=what>{escape(alarm.component)} <b>{_number(alarm.before)} → {_number(alarm.after)}</b>"
        f" <span>[{_number(alarm.low)}, {_number(alarm.high)}]</span></p>"
        f"<p class=times>fired {_minute(alarm.fired_us)} · changed since {_minute(alarm.since_us)} · {end}"
        f"{calibrating}</p><table>{rows}</table></article>"
    )


def _number(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:.3g}"


def _change(before: float, after: float) -> str:
    return "" if math.isnan(before) or math.isnan(after) else f"{after - before:+.3f}"


def _minute(us: int) -> str:
    return f"{datetime.fromtimestamp(us / MICROSECONDS, UTC):%Y-%m-%d %H:%M}"


def _day(us: int) -> str:
    return f"{datetime.fromtimestamp(us / MICROSECONDS, UTC):%Y-%m-%d}"


def _file(name: str) -> str:
    return resources.files("daemon.replay").joinpath(name).read_text(encoding="utf-8")


def _template(name: str, parts: dict[str, str]) -> str:
    """Return the file with each ``{{name}}`` replaced, once: what is put in is not looked at again."""
    first, *rest = _file(name).split("{{")
    filled = [first]
    for each in rest:
        key, _, after = each.partition("}}")
        filled += [parts[key], after]
    return "".join(filled)
