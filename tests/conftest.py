"""What all tests share: the real services, started when the first test wants them."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from sinks.database import upgrade
from tests.services import ApacheKafka, Postgres

CLIENTS = ("kafka-python", "confluent")
collect_ignore = ["alibi"]
"""They run in an environment of their own: `make test-alibi`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--client",
        choices=CLIENTS,
        help="Kafka client of all workers; default: kafka-python, and tests of consuming run with every one",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked as consuming with every client, unless one is chosen."""
    if metafunc.definition.get_closest_marker("consuming") and not metafunc.config.getoption("client"):
        metafunc.parametrize("client", CLIENTS, indirect=True)


def pytest_configure() -> None:
    """Let processes that tests start know Ctrl-C, even where a shell began the run in the background without it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Timing never decides a test.
    settings.register_profile("strandline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("strandline")


@pytest.fixture(autouse=True)
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The Kafka client that workers of this test read events with, in processes of their own as well."""
    name = str(getattr(request, "param", None) or request.config.getoption("client") or CLIENTS[0])
    if name != CLIENTS[0] and {"integration", "fault"} & set(request.path.parts):
        monkeypatch.setenv("STRANDLINE_KAFKA__CLIENT", name)
    return name


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """One Apache Kafka for the whole run. A test that stops or kills it starts it again."""
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One PostgreSQL server for the whole run. A test that stops or kills it starts it again."""
    with Postgres(tmp_path_factory.mktemp("postgres"), upgrade) as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The URL of a fresh database, with the current schema."""
    return postgres.new_database()
