"""Workers that die, and workers that are asked to leave."""

import time

from tests.fault.scenario import ALL, scenario
from tests.fault.trial import NotHeld, Trial

LEAVE_SECONDS = 10


@scenario("1a", "SIGKILL at random, again and again", quick=True)
def killed_at_random(trial: Trial) -> None:
    """Keep two workers and the jobs running, killing one of them at a random moment again and again."""
    kills = 50 if trial.full else 8
    roles = ["ingest", "ingest", "jobs"]
    running = [trial.start(role) for role in roles]
    with trial.feed.spread_over(kills * 2.0):
        for _ in range(kills):
            time.sleep(trial.chance.uniform(0.3, 3.0))
            victim = trial.chance.randrange(len(running))
            running[victim].kill()
            running[victim] = trial.start(roles[victim])
    trial.told["kills"] = str(kills)


@scenario("1b", "killed before, in and after COMMIT", quick=True)
def killed_around_commit(trial: Trial) -> None:
    """Keep one worker running that lives, and one that dies at a failpoint, one point after the other."""
    rounds = 4 if trial.full else 1
    points = [point for _ in range(rounds) for point in ("commit.before", "commit.in", "commit.after", "batch")]
    trial.start("jobs")
    trial.start()
    for number, point in enumerate(points, start=1):
        doomed = trial.start(failpoint=f"{point}=die@{trial.chance.randint(2, 6)}")
        trial.wait_until_claimed(doomed)
        with trial.feed.spread_over(10.0, number / len(points)):
            trial.wait_for_end(doomed)
            trial.wait_until_caught_up()
    trial.told["deaths"] = str(len(points))


@scenario("2", "SIGTERM under load", must=ALL[:4], quick=True)
def asked_to_leave_under_load(trial: Trial) -> None:
    """Ask workers to leave while they are busy; each is followed by another one."""
    rounds = 6 if trial.full else 2
    trial.start("jobs")
    trial.start()
    took = []
    with trial.feed.spread_over(rounds * 12.0):
        for number in range(rounds):
            leaving = trial.start()
            trial.wait_until_claimed(leaving)
            trial.wait_until_read((number + 1) / (rounds + 2))
            took.append(leaving.terminate())
            if leaving.popen.returncode != 0 or took[-1] > LEAVE_SECONDS:
                raise NotHeld(f"{leaving.name} left after {took[-1]:.1f} s with {leaving.popen.returncode}")
    trial.told["left within"] = f"{max(took):.1f} s"
