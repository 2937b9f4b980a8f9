"""How long something has lasted, in the words of the entry itself."""

import pytest

from cds_service.clinical.durations import told_days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("left hemiparesis for 6 months", 180),
        ("Left hemiparesis for six months.", 180),
        ("left hemiparesis (for the past 3 weeks)", 21),
        ("left hemiparesis, for over a year", 365),
        ("left hemiparesis x 2 yrs", 730),
        ("left hemiparesis for months", 60),
        ("left hemiparesis for several years now", 1095),
        ("6 month history of left hemiparesis", 180),
        ("six-month history of left hemiparesis", 180),
        ("left hemiparesis since childhood", 84),
        ("left hemiparesis, longstanding", 84),
        ("Chronic left hemiparesis", 84),
        ("Residual left-sided hemiparesis", 84),
        ("Old hemiplegia", 84),
        ("left hemiparesis for 2 days", 2),
    ],
)
def test_a_duration_is_read_in_days(text: str, days: int) -> None:
    assert told_days(text) == days


@pytest.mark.parametrize(
    "text",
    [
        "left hemiparesis",
        "left hemiparesis, on aspirin for 6 months",
        "left hemiparesis on aspirin for 6 months",
        "left hemiparesis 6 months after bypass surgery",
        "left hemiparesis after surgery for 6 months",
        "chronic left hemiparesis, worse today",
        "chronic left hemiparesis with new speech trouble",
        "acute on chronic left hemiparesis",
        "new left hemiparesis for 2 weeks",
        "62 year old with left hemiparesis",
        "no residual left hemiparesis",
        "left hemiparesis; chronic migraine",
        "left hemiparesis for 6 hours",
        "left hemiparesis since this morning",
        "",
    ],
)
def test_what_is_told_of_something_else_or_of_a_change_is_no_onset(text: str) -> None:
    assert told_days(text) is None
