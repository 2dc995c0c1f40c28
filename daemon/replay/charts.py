"""What Plotly draws of a series: figures as its JSON has them, without Plotly's Python."""

from collections.abc import Iterator
from html import escape

import numpy as np

from daemon.replay.reports import VersionReport
from daemon.replay.series import COLUMNS, Series
from detectors.layout import WHOLE
from detectors.readings import STATUSES

__all__ = ["evidence_chart", "timeline"]

Chart = dict[str, object]

_INK, _LINE, _BAND, _ALARM, _GREY = "#1f2933", "#2b6590", "rgba(43,101,144,0.12)", "#c2412d", "#8a949e"
_COLOURS = ("#2b6590", "#b7791f", "#4a7c59", "#7a5195", "#a05a4a", "#5f6c7b", "#3d9da6", "#c06c9b")
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
    times = _times(series.end_us)
    told = [
        f"{escape(name)}<br>{value:.4g} (reference {before:.4g} ± {about:.3g})<br>n {n:,} · {status}"
        for name, value, before, about, n, status in zip(
            series.component, values[:, 0], values[:, 3], values[:, 4], series.n, series.status, strict=True
        )
    ]
    data = [
        *_band(times, least, most, _BAND, "within the tolerance"),
        *_band(times, low, high, "rgba(31,41,51,0.14)", "95 % interval"),
        _line(times, middle, "reference", _GREY, dash="dot"),
        _line(times, estimate, "reading", _LINE) | {"text": told, "hovertemplate": "%{text}<extra></extra>"},
    ]
    mine = [each for each in found.alarms if (each.segment, each.monitor) == (series.segment, series.monitor)]
    fired = {"x": _times([each.fired_us for each in mine]), "mode": "markers", "name": "alarm", "type": "scatter"}
    at = {end: value for end, value in zip(series.end_us, _plain(estimate), strict=True) if value is not None}
    heights = [at.get(each.fired_us, _near(at, each.fired_us)) for each in mine]
    marker = {"color": _ALARM, "size": 9, "symbol": "diamond"}
    data.append({**fired, "y": heights, "marker": marker, "hovertemplate": "alarm %{x}<extra></extra>"})
    shapes = [
        {**_stretch(each.since_us, each.over_us or found.last_us), "fillcolor": _ALARM, "opacity": 0.07}
        for each in mine
    ]
    learning = [end for end, status in zip(series.end_us, series.status, strict=True) if status == _LEARNING]
    if learning:
        shapes.append({**_stretch(found.first_us, learning[-1]), "fillcolor": _GREY, "opacity": 0.12})
    note = "" if series.single else "How far the component that is furthest in evidence is from its reference."
    if series.each > 1:
        note += f" Of each {series.each} windows the least and the greatest."
    name = series.monitor if series.segment == WHOLE else f"{series.monitor} · {series.segment}"
    return {"title": f"{name} ({unit})", "note": note.strip(), "data": data, "layout": _layout(found, shapes)}


def evidence_chart(series: list[Series], found: VersionReport) -> Chart:
    """Return the evidence of the whole model's monitors, as a part of what raises an alarm."""
    data: list[Chart] = []
    whole = [each for each in series if each.segment == WHOLE]
    for position, each in enumerate(whole):
        values = each.values
        ratio = np.clip(values[:, _AT["log_evidence"]] / values[:, _AT["log_threshold"]], 0, _MOST_EVIDENCE)
        line = _line(_times(each.end_us), ratio, each.monitor, _COLOURS[position % len(_COLOURS)])
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


def _line(times: list[str], values: np.ndarray, name: str, colour: str, dash: str = "solid") -> Chart:
    line = {"color": colour, "width": 1.5, "dash": dash}
    plain: Chart = {"x": times, "y": _plain(values), "type": "scatter", "mode": "lines", "name": name, "line": line}
    return plain | {"hoverinfo": "skip"}


def _band(times: list[str], low: np.ndarray, high: np.ndarray, colour: str, name: str) -> Iterator[Chart]:
    yield _line(times, low, name, "rgba(0,0,0,0)")
    yield _line(times, high, name, "rgba(0,0,0,0)") | {"fill": "tonexty", "fillcolor": colour}


def _stretch(start_us: int, end_us: int) -> Chart:
    x0, x1 = _times([start_us, end_us])
    return {
        "type": "rect", "x0": x0, "x1": x1, "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _near(at: dict[int, float], time: int) -> float | None:
    return at[min(at, key=lambda each: abs(each - time))] if at else None


def _times(us: list[int]) -> list[str]:
    return [str(np.datetime64(each, "us"))[:19] for each in us]


def _plain(values: np.ndarray) -> list[float | None]:
    """Return numbers as JSON has them, with six digits; None for those that are not known."""
    return [float(f"{each:.6g}") if np.isfinite(each) else None for each in values.tolist()]
