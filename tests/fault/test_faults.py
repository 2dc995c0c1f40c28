"""The scenarios that belong to the tests, in short; ``make fault`` plays all of them in full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.scenario import Scenario, play, scenarios
from tests.fault.services import ProxiedKafka, Services
from tests.services import Postgres

QUICK = [each for each in scenarios() if each.quick]


@pytest.fixture(scope="module")
def services(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with ProxiedKafka(tmp_path_factory.mktemp("proxied-kafka")) as kafka:
        yield Services(kafka, postgres)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", QUICK, ids=lambda each: f"{each.name}-{each.fault.__name__}")
def test_a_fault_loses_nothing_and_doubles_nothing(which: Scenario, services: Services, tmp_path: Path) -> None:
    play(which, services, tmp_path, full=False)
