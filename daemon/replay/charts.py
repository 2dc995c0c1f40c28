"""What Plotly draws of a series: figures as its JSON has them, without Plotly's Python."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from daemon.replay.reports import VersionReport
from daemon.replay.series import COLUMNS, Series
from detectors.layout import WHOLE
from detectors.readings import STATUSES

__all__ = ["evidence_chart", "timeline"]

Chart = dict[str, object]
Figures = NDArray[np.float64]

_INK, _LINE, _BAND, _ALARM, _GREY = "#1f2933", "#2b6590", "rgba(43,101,144,0.12)", "#c2412d", "#8a949e"
_COLOURS = ("#2b6590", "#b7791f", "#4a7c59", "#7a5195", "#a05a4a", "#5f6c7b", "#3d9da6", "#c06c9b")
_MOST_POINTS = 600
_TEXT = "%{text}<extra></extra>"
_LEARNING = STATUSES[0]
_MOST_EVIDENCE = 1.2
"""More is drawn as so much: while an alarm is on there may be many times what it took."""
_AT = {name: COLUMNS.index(name) for name in COLUMNS}


def timeline(series: Series, found: VersionReport) -> Chart:
    """Return a monitor's readings with their interval, the reference, the tolerance around it, and its alarms.

    In the monitor's own unit where all readings are of one component; else each reading is drawn by how far it
    is from its reference, in tolerances, since the component with the most evidence is now this, now that.
    """
    values = series.values
    estimate, low, high, reference, tolerance = (values[:, _AT[name]] for name in COLUMNS[:5])
    if series.single:
        unit, middle = series.unit, reference
        least, most = np.clip(reference - tolerance, 0, 1), np.clip(reference + tolerance, 0, 1)
    else:
        unit = "tolerances"
        with np.errstate(invalid="ignore", divide="ignore"):
            estimate, low, high = ((each - reference) / tolerance for each in (estimate, low, high))
        middle = np.where(np.isnan(reference), np.nan, 0.0)
        least, most = middle - 1.0, middle + 1.0
    each = -(-len(values) // _MOST_POINTS)
    times = _times(_lasts(series.end_us, each))
    if each > 1:
        low, high = _pooled(estimate, each, "least"), _pooled(estimate, each, "greatest")
        estimate, middle, least, most = (_pooled(one, each, "mean") for one in (estimate, middle, least, most))
    around = "95 % interval" if each == 1 else f"least and greatest of {each} windows"
    data = [
        *_band(times, least, most, _BAND, "within the tolerance"),
        *_band(times, low, high, "rgba(31,41,51,0.14)", around),
        _line(times, middle, "reference", _GREY, dash="dot"),
        _line(times, estimate, "reading", _LINE) | {"text": _told(series, each), "hovertemplate": _TEXT},
    ]
    mine = [one for one in found.alarms if (one.segment, one.monitor) == (series.segment, series.monitor)]
    ends = np.array(_lasts(series.end_us, each))
    rows = [min(int(np.searchsorted(ends, one.fired_us)), len(ends) - 1) for one in mine]
    data.append(
        {
            "x": [times[row] for row in rows],
            "y": [_plain(estimate)[row] for row in rows],
            "text": [f"alarm: {escape(one.component)}" for one in mine],
            "mode": "markers",
            "name": "alarm",
            "type": "scatter",
            "marker": {"color": _ALARM, "size": 9, "symbol": "diamond"},
            "hovertemplate": _TEXT,
        }
    )
    shapes = [
        {**_stretch(one.since_us, one.over_us or found.last_us), "fillcolor": _ALARM, "opacity": 0.07} for one in mine
    ]
    learning = [end for end, status in zip(series.end_us, series.status, strict=True) if status == _LEARNING]
    if learning:
        shapes.append({**_stretch(found.first_us, learning[-1]), "fillcolor": _GREY, "opacity": 0.12})
    note = "" if series.single else "How far the component that is furthest in evidence is from its reference."
    if each > 1:
        note += f" A point is the mean of {each} windows; grey, the least and the greatest of them."
    name = series.monitor if series.segment == WHOLE else f"{series.monitor} · {series.segment}"
    return {"title": f"{name} ({unit})", "note": note.strip(), "data": data, "layout": _layout(found, shapes)}


def evidence_chart(series: list[Series], found: VersionReport) -> Chart:
    """Return the evidence of the whole model's monitors, as a part of what raises an alarm."""
    data: list[Chart] = []
    whole = [each for each in series if each.segment == WHOLE]
    for position, each in enumerate(whole):
        values = each.values
        ratio = np.clip(values[:, _AT["log_evidence"]] / values[:, _AT["log_threshold"]], 0, _MOST_EVIDENCE)
        pooled = -(-len(ratio) // _MOST_POINTS)
        times = _times(_lasts(each.end_us, pooled))
        ratio = _pooled(ratio, pooled, "greatest")
        line = _line(times, ratio, each.monitor, _COLOURS[position % len(_COLOURS)])
        data.append(line | {"hovertemplate": f"{escape(each.monitor)} %{{y:.0%}}<extra></extra>"})
    threshold = {
        "type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 1, "y1": 1,
        "line": {"color": _ALARM, "width": 1, "dash": "dash"},
    }  # fmt: skip
    layout = _layout(found, [threshold]) | {"showlegend": True}
    layout |= {"height": 280, "margin": {"l": 44, "r": 8, "t": 6, "b": 76}}
    layout["yaxis"] = {**_AXIS, "tickformat": ".0%", "range": [0, _MOST_EVIDENCE + 0.02]}
    return {
        "title": "evidence (of what raises an alarm)",
        "note": "Of the whole model's monitors, in logarithms. At 100 % a monitor alarms; more is cut off.",
        "data": data,
        "layout": layout,
    }


_AXIS: Chart = {"gridcolor": "#edf0f2", "zeroline": False, "linecolor": "#d5dade", "automargin": True}


def _layout(found: VersionReport, shapes: list[Chart]) -> Chart:
    return {
        "height": 230,
        "margin": {"l": 44, "r": 8, "t": 6, "b": 30},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": _INK},
        "showlegend": False,
        "legend": {"orientation": "h", "y": -0.24, "font": {"size": 11}},
        "hovermode": "closest",
        # A finger that scrolls the page must not zoom.
        "dragmode": False,
        "xaxis": {**_AXIS, "type": "date", "range": _times([found.first_us, found.last_us]), "nticks": 7},
        "yaxis": {**_AXIS, "nticks": 6},
        "shapes": shapes,
    }


def _line(times: list[str], values: Figures, name: str, colour: str, dash: str = "solid") -> Chart:
    line = {"color": colour, "width": 1.5, "dash": dash}
    plain: Chart = {"x": times, "y": _plain(values), "type": "scatter", "mode": "lines", "name": name, "line": line}
    return plain | {"hoverinfo": "skip"}


def _band(times: list[str], low: Figures, high: Figures, colour: str, name: str) -> Iterator[Chart]:
    yield _line(times, low, name, "rgba(0,0,0,0)")
    yield _line(times, high, name, "rgba(0,0,0,0)") | {"fill": "tonexty", "fillcolor": colour}


def _stretch(start_us: int, end_us: int) -> Chart:
    x0, x1 = _times([start_us, end_us])
    return {
        "type": "rect", "x0": x0, "x1": x1, "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _told(series: Series, each: int) -> list[str]:
    """Return what is told of each point: of one window what was read, of several what they have in common."""
    told = []
    values = series.values
    for start in range(0, len(values), each):
        names = set(series.component[start : start + each])
        name = escape(names.pop()) if len(names) == 1 else f"{len(names)} components by turns"
        read, reference, about = values[start, 0], values[start, 3], values[start, 4]
        figures = f"<br>{read:.4g} (reference {reference:.4g} ± {about:.3g})" if each == 1 else ""
        events = sum(series.n[start : start + each])
        told.append(f"{name}{figures}<br>{events:,} events · {series.status[start]}")
    return told


def _lasts(each_us: Sequence[int], each: int) -> list[int]:
    return [each_us[min(start + each, len(each_us)) - 1] for start in range(0, len(each_us), each)]


def _pooled(values: Figures, each: int, how: Literal["mean", "least", "greatest"]) -> Figures:
    """Return one figure for ``each`` neighbours that follow each other; NaN where none of them is known."""
    padded = np.full(-(-len(values) // each) * each, np.nan)
    padded[: len(values)] = values
    table = padded.reshape(-1, each)
    known = ~np.isnan(table)
    if how == "mean":
        pooled = np.where(known, table, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    elif how == "least":
        pooled = np.where(known, table, np.inf).min(axis=1)
    else:
        pooled = np.where(known, table, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), pooled, np.nan)


def _times(us: Sequence[int]) -> list[str]:
    return [str(np.datetime64(each, "us"))[:19] for each in us]


def _plain(values: Figures) -> list[float | None]:
    """Return numbers as JSON has them, with six digits; None for those that are not known."""
    return [float(f"{each:.6g}") if np.isfinite(each) else None for each in values.tolist()]
