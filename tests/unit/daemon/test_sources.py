import sys
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.settings import KafkaSettings
from daemon.sources.confluent import ConfluentSource
from daemon.sources.kafka_python import KafkaPythonSource
from daemon.sources.registry import source_of


def test_kafka_python_is_the_client_unless_another_is_wanted() -> None:
    assert source_of(KafkaSettings()) is KafkaPythonSource
    assert source_of(KafkaSettings(client="confluent")) is ConfluentSource


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_client_that_is_not_installed_is_told_with_what_installs_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[kafka]\nclient = 'confluent'\n")
    for name in [name for name in sys.modules if name.startswith("daemon.sources.confluent")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.setattr(sys, "argv", ["strandline", "--config", str(config), command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "kafka.client = 'confluent'" in told
    assert "pip install 'strandline[confluent]'" in told
