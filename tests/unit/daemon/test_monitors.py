"""Detectors of other libraries in the configuration: names, arguments, and what is not installed."""

import sys
from pathlib import Path

import pytest

from daemon.monitors import check_monitors, raw_spec
from daemon.settings import Settings, load
from detectors.adapters.kinds import KINDS
from detectors.layout import RawSpec
from sinks.errors import BadSettings


def settings_of(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load(file, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[[monitor]]\nkind = 'river.ADWN'\non = 'confidence'",
            (f":2: monitor[0].kind = 'river.ADWN': expected one of {', '.join(KINDS)}; did you mean river.ADWIN?"),
        ),
        (
            "[[monitor]]\nkind = 'river.PageHinkley'\non = 'confidence'\nargs = { thresholds = 1.0 }",
            (
                ":4: monitor[0].args = {…}: thresholds: there is no such argument; PageHinkley takes alpha, delta, "
                "min_instances, mode, threshold; did you mean threshold?"
            ),
        ),
        (
            "[[monitor]]\nkind = 'river.KSWIN'\non = 'confidence'\nargs = { seed = 0.5 }",
            ":4: monitor[0].args = {…}: seed: expected a whole number, found 0.5",
        ),
        (
            "[[monitor]]\nkind = 'river.ADWIN'\non = ['confidence', 'margin']",
            ":3: monitor[0].on = ['confidence', 'margin']: ADWIN watches one value: expected a text, not a list",
        ),
        (
            "[[monitor]]\nkind = 'river.HalfSpaceTrees'\non = ['confidence', 'margin']",
            ":1: monitor[0].threshold: expected a number: the mean score of a window from which it fires",
        ),
        (
            "[[monitor]]\nkind = 'river.ADWIN'\non = 'confidence'\nthreshold = 0.9",
            ":4: monitor[0].threshold = 0.9: ADWIN gives no scores, and takes none",
        ),
        (
            "[[monitor]]\nkind = 'river.DDM'\non = 'confidence'",
            (
                ":3: monitor[0].on = 'confidence': DDM watches what is true or false: expected \"PATH=VALUE\", such as "
                '"prediction=cat"'
            ),
        ),
        (
            "[[monitor]]\nkind = 'river.ADWIN'\non = 'margin'\n[[monitor]]\nkind = 'river.ADWIN'\non = 'margin'",
            (
                ":1: monitor: expected a name of its own for every monitor, found 'river.ADWIN on margin' twice; see "
                "monitor.name"
            ),
        ),
        (
            "[[monitor]]\nkind = 'river.ADWIN'\non = 'margin'\nname = 'confidence'",
            ":1: monitor: expected a name of its own for every monitor, found 'confidence' twice; see monitor.name",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_there_is(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadSettings) as found:
        settings_of(tmp_path, text)
    assert told in str(found.value)


def test_a_library_that_is_not_installed_is_told_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.settings.monitors.find_spec", lambda _: None)
    with pytest.raises(BadSettings, match=r":2: monitor\[0\].kind = .*pip install 'strandline\[river\]'"):
        settings_of(tmp_path, "[[monitor]]\nkind = 'river.ADWIN'\non = 'confidence'")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "MMDDrift computes with tensorflow_probability, which is not installed: pip install 'strandline[alibi-te"),
        ("args = { backend = 'pytorch' }", "not installed: pip install 'torch', or say backend = \"tensorflow\""),
        ("args = { backend = 'jax' }", "backend: expected one of tensorflow, pytorch, found 'jax'"),
    ],
)
def test_what_a_kernel_computes_with_is_told_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, told: str
) -> None:
    monkeypatch.setattr("daemon.settings.monitors.find_spec", lambda name: object() if name == "alibi_detect" else None)
    with pytest.raises(BadSettings) as found:
        settings_of(tmp_path, f"[[monitor]]\nkind = 'alibi.MMDDrift'\non = 'confidence'\n{arguments}")
    assert told in str(found.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{ ert = 1000 }", "window_sizes: CVMDriftOnline has none of its own: expected a list of whole numbers"),
        ("{ window_sizes = [20] }", "ert: CVMDriftOnline has none of its own: expected a number"),
        ("{ ert = 1000, window_sizes = [20, 0.5] }", "window_sizes: expected a list of whole numbers, found [20, 0.5]"),
        ("{ ert = 1000, window_sizes = [] }", "window_sizes: expected a list of whole numbers, found []"),
    ],
)
def test_what_an_online_detector_must_be_told_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, told: str
) -> None:
    monkeypatch.setattr("daemon.settings.monitors.find_spec", lambda _: object())
    with pytest.raises(BadSettings) as found:
        settings_of(
            tmp_path, f"[[monitor]]\nkind = 'alibi.CVMDriftOnline'\non = ['confidence', 'margin']\nargs = {arguments}"
        )
    assert told in str(found.value)


def test_without_monitors_the_library_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "river", None)
    check_monitors(Settings())


def test_what_the_library_refuses_is_told(tmp_path: Path) -> None:
    bad = settings_of(tmp_path, "[[monitor]]\nkind = 'river.KSWIN'\non = 'confidence'\nargs = { alpha = 2.0 }")
    with pytest.raises(BadSettings, match=r"monitor\[0\]: river.KSWIN cannot be made: Alpha must be between 0 and 1"):
        check_monitors(bad)


def test_the_sample_holds_what_is_watched_of_a_model_and_nothing_where_nothing_is(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        "[detection]\nsample_events = 9\n"
        "[[monitor]]\nkind = 'river.ADWIN'\non = 'margin'\nmodel = 'pets-*'\n"
        "[[monitor]]\nkind = 'river.KSWIN'\non = 'margin'\nmodel = 'pets-*'\n"
        "[[monitor]]\nkind = 'river.ADWIN'\non = 'confidence'\nmodel = 'pets-eu'",
    )
    assert raw_spec(settings, "pets-eu") == RawSpec(9, ("confidence", "margin"))
    assert raw_spec(settings, "pets-us") == RawSpec(9, ("margin",))
    assert raw_spec(settings, "digits") is None
    assert [adapter.name for adapter in settings.monitors_of("pets-us")] == [
        "river.ADWIN on margin",
        "river.KSWIN on margin",
    ]
