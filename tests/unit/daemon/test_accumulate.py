from dataclasses import replace

from daemon.accumulate import Accumulation
from daemon.buffer import NEVER, Cohort
from daemon.records import Records
from daemon.settings import Settings
from detectors.registry import unlearnt_layout
from sinks.controls import ALWAYS, ControlRecord, Controls
from tests.harness import START_SECONDS, event


def test_layouts_that_are_not_in_force_any_more_are_not_kept_for_ever() -> None:
    settings = Settings.model_validate({"detection": {"models_cap": 3}})
    log, cohort = Controls(), Cohort(1, "pets", "1", settings.of("pets"))
    accumulation = Accumulation(settings, log, lambda *_: cohort, lambda _: cohort)
    for number in range(1, 50):
        layout = replace(unlearnt_layout(), segments=("", *(f"region={each}" for each in range(number))))
        first = START_SECONDS // 300 + number
        log.add(ControlRecord(number, "layout", 1, "pets", ALWAYS if number == 1 else first, layout.to_json().encode()))
        moment = START_SECONDS + 300 * number
        records = Records([number], [moment * 1000], [event(number, second=300 * number)])
        accumulation.add("events", 0, records, NEVER)
        assert [part.layout_id for part in accumulation.effects().parts] == [number]
        accumulation.clear()
        assert len(accumulation._layouts) <= 7
        assert len(accumulation._readers) <= 7
