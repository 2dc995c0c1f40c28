from daemon.settings import ModelSettings, Settings


def test_the_most_specific_model_settings_win_key_by_key() -> None:
    settings = Settings.model_validate(
        {
            "model": {
                "fraud-eu": {"runbook": "exact"},
                "fraud-*": {"owner": "fraud", "window_seconds": 30},
                "*-eu": {"owner": "eu", "labels_per_day": 7, "runbook": "eu"},
                "*": {"owner": "all", "window_seconds": 60, "lateness_seconds": 5},
            }
        }
    )

    def told(model: str) -> tuple[str, int, float, int, str]:
        of = settings.of(model)
        return of.owner, of.window_seconds, of.lateness_seconds, of.labels_per_day, of.runbook

    assert told("fraud-eu") == ("fraud", 30, 5, 7, "exact")
    assert told("fraud-us") == ("fraud", 30, 5, 500, "")
    assert told("spam-eu") == ("eu", 60, 5, 7, "eu")
    assert told("spam") == ("all", 60, 5, 500, "")
    assert Settings().of("spam") == ModelSettings()


def test_of_two_patterns_as_long_the_later_wins() -> None:
    first = Settings.model_validate({"model": {"a*": {"owner": "a"}, "*b": {"owner": "b"}}})
    second = Settings.model_validate({"model": {"*b": {"owner": "b"}, "a*": {"owner": "a"}}})
    assert (first.of("ab").owner, second.of("ab").owner) == ("b", "a")


def test_a_budget_is_counted_in_windows() -> None:
    assert ModelSettings(false_alarms="1 per 30 days", window_seconds=300).budget_windows == 30 * 288
    assert ModelSettings(false_alarms="2 per week", window_seconds=3600).budget_windows == 84


def test_tolerances_are_merged_monitor_by_monitor_and_auto_takes_one_back() -> None:
    settings = Settings.model_validate(
        {
            "model": {
                "*": {"tolerance": {"confidence": 0.03, "classes": 0.1}},
                "a": {"tolerance": {"classes": "auto", "numbers": 0.2}},
            }
        }
    )
    assert settings.of("b").tolerances == {"confidence": 0.03, "classes": 0.1}
    assert settings.of("a").tolerances == {"confidence": 0.03, "numbers": 0.2}
    assert Settings().of("a").tolerances == {}
