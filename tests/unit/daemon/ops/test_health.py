import json
import time
from dataclasses import replace
from datetime import UTC, datetime

from daemon.ops.advice import advice
from daemon.ops.health import Health, Report
from daemon.ops.standing import STALE_SECONDS, Standing, failing
from sinks.processes import Problem


def report(health: Health | None = None) -> Report:
    return (health or Health("ingest-0", "ingest")).report()


def kinds(standing: Standing) -> list[str]:
    return [each.kind for each in failing([standing])]


def test_a_problem_is_news_once_and_keeps_its_beginning() -> None:
    health = Health("jobs", "jobs")
    assert health.problem("database", "refused")
    since = report(health).problems[0].since
    assert not health.problem("database", "still refused")
    assert report(health).problems == (Problem("database", "still refused", since),)
    assert health.problem("job", "reduce: broken", of="reduce")
    assert not health.solved("job", of="select")
    assert health.solved("database")
    assert not health.solved("database")
    assert [each.kind for each in report(health).problems] == ["job"]


def test_a_process_is_ready_when_it_runs_its_loop_turns_and_it_has_no_problem() -> None:
    health = Health("ingest-0", "ingest")
    standing = Standing("ingest-0", "ingest")
    assert kinds(standing) == ["starting"]
    assert kinds(replace(standing, report=report(health))) == ["starting"]
    health.running()
    assert kinds(replace(standing, report=report(health))) == []
    health.problem("kafka", "gone")
    assert kinds(replace(standing, report=report(health))) == ["kafka"]
    old = replace(report(health), beat=time.monotonic() - STALE_SECONDS - 1)
    assert kinds(replace(standing, report=old)) == ["hung", "kafka"]
    assert not replace(standing, report=old).up
    down = Problem("process", "died", datetime.now(UTC))
    assert kinds(replace(standing, report=report(health), down=down)) == ["process"]


def test_a_failing_check_is_one_line_that_says_what_to_do() -> None:
    health = Health("ingest-0", "ingest")
    health.problem("kafka", "broker:9092\nis gone")
    (check,) = failing([Standing("ingest-0", "ingest", report(health))])
    assert "\n" not in check.line()
    told = json.loads(check.line())
    assert told["do"] == advice("kafka")
    assert told["problem"] == "broker:9092\nis gone"
    assert datetime.fromisoformat(told["since"]).tzinfo is not None
