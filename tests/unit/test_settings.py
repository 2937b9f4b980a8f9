"""Settings: where they may stand, and what stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from cds_service.settings import read_settings, shown_settings


def test_settings_may_stand_in_a_file_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "cds-service.toml"
    file.write_text('CDS_MODE = "silent"\nCDS_MAX_CALLS = 3\nCDS_SECRET = "sixteen characters at least"\n')
    settings = read_settings({"CDS_SETTINGS": str(file), "CDS_MAX_CALLS": "5"})
    assert (settings.silent, settings.max_calls) == (True, 5)
    shown = {setting.name: value for setting, value in shown_settings({"CDS_SETTINGS": str(file)})}
    assert (shown["CDS_MODE"], shown["CDS_SECRET"]) == ("silent", "(set)")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("CDS_MOOD = 1", "CDS_MOOD"),
        ("CDS_MODE = ", "no TOML"),
        ("CDS_AUTH = 'jwx'", "CDS_AUTH"),
        (None, "can be read"),
    ],
)
def test_a_faulty_file_of_settings_is_named(tmp_path: Path, written: str | None, says: str) -> None:
    file = tmp_path / "cds-service.toml"
    if written is not None:
        file.write_text(written)
    with pytest.raises(SettingsError, match=says):
        read_settings({"CDS_SETTINGS": str(file)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CDS_TODAY", "15.06.2026"), ("CDS_SECRET", "short"), ("CDS_EMERGENCY_TIER", "yes"),
        ("CDS_ORDER_INTENT", "filler-order"), ("CDS_QUIET_UNDER_DAYS", "-1"), ("CDS_MAX_BODY_MB", "0"),
        ("CDS_PREFETCH", "labs,medicine"), ("CDS_CONTENT", "/nowhere/at/all"),
        ("CDS_PUBLIC_URL", "ftp://x"), ("CDS_HISTORY_URL", "http://forms/a b"), ("CDS_HISTORY_URL", "http://forms/a\tb"),
        ("CDS_PUBLIC_URL", "https://a@b"), ("CDS_PUBLIC_URL", "https://x/?q"),
        ("CDS_CORS_ORIGINS", "https://x/path"), ("CDS_CORS_ORIGINS", "*"), ("CDS_JWT_ALGORITHMS", "HS256"),
        ("CDS_JWT_ALGORITHMS", "ES384,none"), ("CDS_JWT_ALGORITHMS", ""), ("CDS_DATABASE_URL", "mysql://x"),
        ("CDS_BODY_DEADLINE_SECONDS", "nan"), ("CDS_BODY_DEADLINE_SECONDS", "0"), ("CDS_BODY_DEADLINE_SECONDS", "26"),
        ("CDS_OPERATIONS_BIND", "9000"), ("CDS_JWT_SECONDS", "9"), ("CDS_JWT_SECONDS", "3601"),
        ("CDS_JWT_CLIENTS", "/nowhere/at/all"), ("CDS_MAX_CALLS", "0"), ("CDS_FHIR_DEADLINE_SECONDS", "61"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_hold_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


@pytest.mark.parametrize("name", ["CDS_KEEP_FEEDBACK_DAYS", "CDS_KEEP_COMMENTS_DAYS"])
def test_what_is_kept_for_ever_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.*36500"):
        read_settings({name: "800000"})


@pytest.mark.parametrize(
    ("name", "near"), [("CDS_MODUS", "CDS_MODE"), ("CDS_AUHT", "CDS_AUTH"), ("CDS_FHIR_SERVER", "CDS_FHIR_SERVERS")]
)
def test_a_misspelt_setting_stops_the_start_and_names_the_one_that_was_meant(name: str, near: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is no setting; did you mean {near}\\?"):
        read_settings({name: "SECRET-VALUE"})
    with pytest.raises(SettingsError, match=r"CDS_ZZZZZZZZ is no setting$"):
        read_settings({"CDS_ZZZZZZZZ": "SECRET-VALUE"})


def test_what_a_platform_sets_for_its_containers_is_no_setting() -> None:
    names = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP", "PORT_8000_TCP_ADDR")
    read_settings({f"CDS_{before}{name}": "tcp://10.0.0.1:8000" for before in ("", "SERVICE_") for name in names})
