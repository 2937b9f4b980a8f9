"""The sentence that nothing charted points to a cause stays away beside a result that names one."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cds_service.response import detail


@pytest.mark.parametrize(
    ("present", "told"),
    [
        ("", True),
        ("emg_normal", True),
        ("emg_nerve_or_root_named", False),
        ("emg_polyneuropathy_named", False),
        ("emg_chronic_change", False),
        ("red_flag_alone", False),
    ],
)
def test_nothing_is_called_without_a_cause_beside_an_emg_that_names_one(
    monkeypatch: pytest.MonkeyPatch, present: str, told: bool, knowledge: Any
) -> None:
    monkeypatch.setattr(detail.fill, "label", lambda case: "")

    class Case(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            return SimpleNamespace(present=name == present)

    case = Case()
    case.knowledge = knowledge  # type: ignore[attr-defined]
    card = SimpleNamespace(short=False, cards=())
    assert bool(detail._no_cause(cast("Any", card), cast("Any", case))) is told
