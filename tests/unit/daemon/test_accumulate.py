from dataclasses import replace

from daemon.accumulate import Accumulation
from daemon.buffer import NEVER, Cohort
from daemon.records import Records
from daemon.settings import Settings
from detectors.layout import BlockSpec
from detectors.registry import unlearnt_layout
from sinks.controls import ALWAYS, ControlRecord, Controls
from tests.harness import START_SECONDS, event

LAYOUT = unlearnt_layout().to_json().encode()


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


def test_events_of_very_many_models_wait_until_there_are_some_of_each() -> None:
    settings = Settings.model_validate({"ingest": {"buffer_events": 64}})
    log, cohorts = Controls(), [Cohort(number, f"pets-{number}", "1", settings.of("pets")) for number in range(64)]
    for cohort in cohorts:
        log.add(ControlRecord(1 + cohort.id, "layout", cohort.id, cohort.model, ALWAYS, LAYOUT))
    accumulation = Accumulation(
        settings, log, lambda model, _: cohorts[int(model.partition("-")[2])], lambda number: cohorts[number]
    )
    waiting = []
    for offset in range(0, 64 * 10, 64):
        values = [event(offset + number, second=1, model=f"pets-{number}") for number in range(64)]
        records = Records(range(offset, offset + 64), [START_SECONDS * 1000] * 64, values)
        accumulation.add("events", 0, records, NEVER)
        waiting.append(len(accumulation._buffer))
    assert waiting == [0, *range(64, 512, 64), 0, 64]
    assert [part.events for part in accumulation.effects().parts] == [10] * 64


def test_the_first_event_of_a_class_never_seen_is_noticed_with_the_commit_that_holds_it() -> None:
    settings = Settings.model_validate({})
    log, cohort = Controls(), Cohort(1, "pets", "1", settings.of("pets"))
    learnt = unlearnt_layout().with_block(BlockSpec("classes", ("cat", "dog")))
    log.add(ControlRecord(1, "layout", 1, "pets", ALWAYS, replace(learnt, sample_size=0).to_json().encode()))
    accumulation = Accumulation(settings, log, lambda *_: cohort, lambda _: cohort)
    values = [event(number, second=1, prediction="newt" if number in (3, 40) else "cat") for number in range(50)]
    accumulation.add("events", 0, Records(range(50), [START_SECONDS * 1000] * 50, values), NEVER)
    candidates = accumulation.effects().candidates
    assert [(each.offset, each.novel) for each in candidates if each.novel] == [(3, "newt"), (40, "newt")]
