from daemon.cohorts import CohortDirectory
from daemon.settings import Settings
from detectors.registry import unlearnt_layout
from sinks import cohorts
from sinks.controls import Controls
from sinks.database import connect


def test_who_learns_of_a_version_learns_of_its_layout(database: str) -> None:
    with connect(database, name="mine") as mine, connect(database, name="theirs") as theirs:
        controls = Controls(("layout", "selection"))
        directory = CohortDirectory(Settings(), controls, lambda: mine)
        number = cohorts.register(theirs, "pets", "1", window_seconds=300, layout=unlearnt_layout(), cap=10)
        assert number is not None
        directory.refresh()
        assert directory.by_id(number).model == "pets"
        assert controls.in_force("layout", number, 0) is not None
