"""The page of a replay: whole in itself, nothing in the data gets out of its place, and it shows what was found."""

import json
import random
import re
import sys
from array import array
from html.parser import HTMLParser
from itertools import chain
from typing import Any

import pytest

from daemon.replay.charts import evidence_chart, timeline
from daemon.replay.page import page, plotly_script
from daemon.replay.reports import VersionReport, report
from daemon.replay.running import Plan, run
from daemon.replay.series import Series
from daemon.settings import Settings
from sinks.errors import BadSettings

FOREVER = 2**62
START = 1_760_000_000 - 1_760_000_000 % 300
EVIL = "</script><b onclick=x>'&"
SETTINGS = Settings.model_validate({"model": {"*": {"segments": ["region"]}}})


class Parts(HTMLParser):
    """What a browser finds in a page: its elements, their ids, and the text of its last script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.outside: list[str] = []
        self.script = ""
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.tags.append(tag)
        self.ids += [each for name, each in attributes if name == "id" and each]
        self.outside += [name for name in given if name in {"src", "href", "onclick"}]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.script = data if "const charts" in data else self.script
        self.text += data


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, list[Any], list[Any]]:
    """The page of a model that declines in the end, its charts, and what was found."""
    chance = random.Random(3)
    folder = tmp_path_factory.mktemp("page")
    with (folder / "events.jsonl").open("w") as file:
        file.write(f'{{"id": "{EVIL[:9]}\n')
        for number in range(48 * 60):
            confidence = chance.betavariate(9, 1) if number < 42 * 60 else chance.betavariate(4, 2)
            event = {
                "id": f"{number}",
                "time": START + number * 5,
                "model": EVIL,
                "prediction": chance.choice(("cat", EVIL)),
                "confidence": round(confidence, 4),
                "tags": {"region": "eu"},
            }
            file.write(json.dumps(event) + "\n")
    plan = Plan((folder / "events.jsonl",), frozenset(), {}, (-FOREVER, FOREVER), 1)
    with run(SETTINGS, plan, folder / "state", begun=lambda *_: None, taken=lambda _: None) as store:
        parts = Parts(page(SETTINGS, store, f"Replay of {EVIL}"))
        found = report(SETTINGS, store)
    [charts] = re.findall(r"const charts = (\[.*\]);", parts.script)
    return parts, json.loads(charts), found


def test_nothing_comes_from_elsewhere_and_nothing_gets_out(shown: tuple[Parts, list[Any], list[Any]]) -> None:
    parts, charts, _ = shown
    assert not parts.outside
    # The name of a model is nowhere an element of the page: what is bold is so by the page itself.
    assert parts.tags.count("script") == 2
    assert "<b onclick" not in json.dumps(charts)
    assert EVIL in parts.text
    assert len(plotly_script()) > 1_000_000
    assert parts.tags.count("meta") == 3


def test_each_monitor_has_a_timeline_with_its_alarms(shown: tuple[Parts, list[Any], list[Any]]) -> None:
    parts, charts, [found] = shown
    assert [each for each in parts.ids if each.startswith("chart-")] == [f"chart-{n}" for n in range(len(charts))]
    assert found.alarms
    whole = [line for line in found.lines if not line.segment]
    segments = {(each.monitor, each.segment) for each in found.alarms if each.segment}
    assert len(charts) == len(whole) + len(segments) + 1
    confidence = charts[[line.monitor for line in whole].index("confidence")]
    named = {each["name"]: each for each in confidence["data"]}
    marked = [each for each in found.alarms if (each.monitor, each.segment) == ("confidence", "")]
    assert len(named["alarm"]["x"]) == len(marked) == 1
    readings = dict(zip(named["reading"]["x"], named["reading"]["y"], strict=True))
    assert named["alarm"]["y"] == [pytest.approx(readings[named["alarm"]["x"][0]])]
    # The band of the tolerance is below and above the reference, and the decline leaves it.
    low, high = (each for each in confidence["data"] if each["name"] == "within the tolerance")
    assert low["y"][-1] < named["reference"]["y"][-1] < high["y"][-1]
    assert named["reading"]["y"][-1] < low["y"][-1]


def test_contributors_stand_with_what_they_were_and_are(shown: tuple[Parts, list[Any], list[Any]]) -> None:
    parts, _, [found] = shown
    for alarm in found.alarms:
        for each in alarm.contributors:
            assert f"{each.before:.3g}→{each.after:.3g}" in re.sub(r"\s", "", parts.text)
    assert f"{found.spent:.2g}" in parts.text


def test_a_long_series_keeps_its_extremes_and_its_mean() -> None:
    rows = [(0.5 + 0.001 * (n % 7), 0.4, 0.6, 0.5, 0.1, 0.0, 9.0) for n in range(20_000)]
    rows[12_345] = (0.9, 0.4, 0.6, 0.5, 0.1, 7.0, 9.0)
    rows[4_321] = (0.1, 0.4, 0.6, 0.5, 0.1, 0.0, 9.0)
    size = len(rows)
    windows = array("q", range(0, size * 300_000_000, 300_000_000))
    figures = array("d", chain.from_iterable(rows))
    series = Series("", "confidence", "share", windows, array("q", [5] * size), ["ok"] * size, ["a"] * size, figures)
    found = VersionReport("pets", "1", "1 per 30 days", first_us=0, last_us=windows[-1])
    chart: Any = timeline(series, found)
    low, high = (each["y"] for each in chart["data"] if each["name"].startswith("least and greatest"))
    [reading] = [each["y"] for each in chart["data"] if each["name"] == "reading"]
    assert len(reading) <= 600
    assert (min(low), max(high)) == (0.1, 0.9)
    assert all(least <= mean <= most for least, mean, most in zip(low, reading, high, strict=True))
    assert sum(reading) / len(reading) == pytest.approx(0.503, abs=1e-4)
    evidence: Any = evidence_chart([series], found)
    assert max(evidence["data"][0]["y"]) == pytest.approx(7 / 9, rel=1e-4)


def test_without_plotly_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(BadSettings, match=re.escape("pip install 'strandline[html]'")):
        plotly_script()
