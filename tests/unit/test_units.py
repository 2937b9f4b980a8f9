"""Units as records spell them; what is not known is never guessed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from cds_service import units
from cds_service.clinical.analytes import LabValue, _as_multiple, _own_range
from cds_service.clinical.chart import Match, Quantity, Result
from cds_service.clinical.formula import holds
from cds_service.clinical.spans import Span
from tests.conftest import TODAY


@pytest.mark.parametrize(
    "spelled, code",
    [
        ("mmol/L", "mmol/L"), ("MMOL/L", "mmol/L"), ("mmol / L", "mmol/L"), (" mmol/l ", "mmol/L"),
        ("mEq/L", "meq/L"), ("mg/dl", "mg/dL"), ("µmol/L", "umol/L"), ("μmol/L", "umol/L"), ("umol/L", "umol/L"),
        ("mcg/dL", "ug/dL"), ("IU/L", "U/L"), ("[iU]/L", "U/L"), ("uIU/mL", "u[IU]/mL"), ("µIU/mL", "u[IU]/mL"),
        ("mIU/L", "m[IU]/L"), ("mU/L", "m[IU]/L"), ("mL/min/1.73m²", "mL/min/{1.73_m2}"), ("°C", "Cel"),
        ("degF", "[degF]"),
        ("°F", "[degF]"), ("bpm", "/min"), ("beats/min", "/min"), ("mmHg", "mm[Hg]"), ("lbs", "[lb_av]"),
        ("ng/L", "ng/L"),
        ("%", "%"), ("{INR}", "1"), ("INR", "1"), ("1", "1"),
    ],
)  # fmt: skip
def test_spellings(spelled: str, code: str) -> None:
    assert units.ucum(spelled) == code


@pytest.mark.parametrize("spelled", ["", " ", "mmol", "mol/L", "mg", "grains", "mmol/L/h", "arb'U", "mmol/L potassium"])
def test_what_is_not_a_known_unit_of_concentration(spelled: str) -> None:
    assert units.ucum(spelled) in (None, "mg")


def test_every_unit_of_the_content_can_be_read_from_a_record(knowledge: Any) -> None:
    tables = [(a.id, table) for a in knowledge.analytes.values() for table in (a.conversions, *a.by_code.values())]
    unread = [(name, unit) for name, table in tables for unit in table if units.ucum(unit) != unit]
    assert not unread, "cards/analytes.yaml converts units that no record can be in"


@pytest.mark.parametrize(
    "text, number, unit",
    [("3.0 mmol/L", 3.0, "mmol/L"), ("3.0mmol/L", 3.0, "mmol/L"), ("-5 mmol/L", -5.0, "mmol/L"), (" 12 ", 12.0, ""),
     ("0.5 grade", 0.5, "grade"), ("30 mL/min/1.73m2", 30.0, "mL/min/1.73m2")],
)  # fmt: skip
def test_a_number_with_its_unit(text: str, number: float, unit: str) -> None:
    assert units.split(text) == (number, unit)


@pytest.mark.parametrize("text", ["", "mmol/L", "<0.01 mIU/L", ".5 mmol/L", "about 3"])
def test_no_number_at_the_beginning_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="write a number with its unit"):
        units.split(text)


@pytest.mark.parametrize(
    "value, unit, wanted, expected",
    [
        (100.4, "[degF]", "Cel", 38.0),  # the limit itself, not a hair above it
        (101.3, "°F", "Cel", 38.5),
        (98.6, "degF", "Cel", 37.0),
        (-40.0, "[degF]", "Cel", -40.0),
        (37.5, "°C", "Cel", 37.5),
        (200.0, "lb", "kg", 90.718474),
        (500.0, "g", "kg", 0.5),
        (100.0, "mcg", "mg", 0.1),
        (0.2, "g", "mg", 200.0),
        (14.0, "days", "weeks", 2.0),
    ],
)
def test_general_conversions(value: float, unit: str, wanted: str, expected: float) -> None:
    assert units.general(value, unit, wanted) == expected


@pytest.mark.parametrize(
    "unit, wanted", [("Cel", "[degF]"), ("mmol/L", "mg/dL"), ("", "Cel"), ("foo", "kg"), ("kg", "Cel")]
)
def test_units_that_do_not_fit_give_nothing(unit: str, wanted: str) -> None:
    assert units.general(1.0, unit, wanted) is None


def test_a_bare_number_satisfies_a_limit_without_a_unit_only() -> None:
    assert units.general(14.0, "", "") == 14.0
    assert units.general(14.0, "{score}", "1") == 14.0
    assert units.general(14.0, "kg", "") is None


@pytest.mark.parametrize(
    "low, high, word, limit, inclusive, verdict",
    [
        (3.0, 3.0, "below", 3.0, False, False),
        (3.0, 3.0, "below", 3.0, True, True),
        (3.0, 3.0, "above", 3.0, False, False),
        (3.0, 3.0, "above", 3.0, True, True),
        (-math.inf, 0.01, "below", 0.1, False, True),  # <0.01 is below 0.1 …
        (-math.inf, 0.01, "below", 0.005, False, None),  # … may or may not be below 0.005 …
        (-math.inf, 0.01, "above", 0.01, False, False),  # … and is not above 0.01
        (-math.inf, 0.01, "below", 0.01, True, True),
        (90.0, math.inf, "above", 60.0, False, True),
        (90.0, math.inf, "above", 100.0, False, None),
        (90.0, math.inf, "below", 90.0, False, False),
        (30.0, 44.0, "below", 30.0, False, False),
        (30.0, 44.0, "below", 40.0, False, None),
    ],
)
def test_a_bound_decides_only_on_one_side(
    low: float, high: float, word: str, limit: float, inclusive: bool, verdict: bool | None
) -> None:
    assert holds(Quantity(low, high, "", ""), word, limit, inclusive) is verdict


def test_no_value_decides_nothing() -> None:
    assert holds(None, "below", 3.0, inclusive=False) is None


def _result(value: float, unit: str) -> Result:
    return Result(
        reference="Observation/1", title="", when=Span.on(TODAY), value=Quantity(value, value, unit, str(value))
    )


@pytest.mark.parametrize(
    "analyte, value, unit, expected",
    [
        ("K", 3.0, "mEq/L", 3.0),
        ("Mg", 1.8, "mg/dL", 0.7407),
        ("Gluc", 70.0, "mg/dL", 3.885),
        ("TSH", 0.4, "uIU/mL", 0.4),
        ("B12", 180.0, "ng/L", 132.804),
    ],
)
def test_laboratory_values_in_the_unit_of_the_table(
    analyte: str, value: float, unit: str, expected: float, knowledge: Any
) -> None:
    read = knowledge.analytes[analyte].read(_result(value, unit))
    assert read is not None and read.low == pytest.approx(expected, rel=2e-3)


def test_what_only_rounding_keeps_from_a_limit_is_the_limit(knowledge: Any) -> None:
    magnesium = knowledge.analytes["Mg"]
    read = magnesium.read(_result(1.7, "mg/dL"))
    assert read is not None and read.low == magnesium.action.below == 0.70
    # A value in the unit of the table is never moved.
    assert magnesium.read(_result(0.6995, "mmol/L")).low == 0.6995


@pytest.mark.parametrize("unit", ["", "mmol", "mg", "foo", "g/L"])
def test_a_laboratory_value_without_a_fitting_unit_is_not_compared(unit: str, knowledge: Any) -> None:
    assert knowledge.analytes["K"].read(_result(2.0, unit)) is None


def test_bounds_stay_bounds_when_converted(knowledge: Any) -> None:
    below = Result(reference="", title="", value=Quantity(-math.inf, 5.0, "mg/dL", "<5 mg/dL"))
    read = knowledge.analytes["Gluc"].read(below)
    assert read is not None and math.isinf(read.low) and read.high == pytest.approx(0.2775, rel=1e-2)


def test_a_code_of_its_own_has_factors_of_its_own(knowledge: Any) -> None:
    own = [(analyte, code, table) for analyte in knowledge.analytes.values() for code, table in analyte.by_code.items()]
    assert own
    for analyte, code, table in own:
        unit, conversion = next(iter(table.items()))
        coded = Result(
            reference="",
            title="",
            codes=(Match("", "", "loinc", code),),
            value=Quantity(1.0, 1.0, unit, "1"),
            range_low=1.0,
        )
        assert analyte.read(coded).low == pytest.approx(conversion.apply(1.0))
        assert _own_range(analyte, coded)[0] == pytest.approx(conversion.apply(1.0))


def test_a_limit_of_nearly_nothing_gives_no_multiple(knowledge: Any) -> None:
    creatine_kinase = knowledge.analytes["CK"]
    value = Quantity(900.0, 900.0, "U/L", "900 U/L")
    labs = [LabValue(creatine_kinase, value, _result(900, "U/L"), high=high) for high in (300.0, 1e-308)]
    assert [multiple and multiple.value.low for multiple in map(_as_multiple, labs)] == [3.0, None]


def test_a_reference_range_is_converted_from_its_own_unit(knowledge: Any) -> None:
    magnesium = knowledge.analytes["Mg"]
    result = replace(_result(1.3, "mg/dL"), range_low=0.7, range_high=1.05)
    assert _own_range(magnesium, replace(result, range_unit="mmol/L")) == (0.7, 1.05)
    assert _own_range(magnesium, replace(result, range_unit="grains")) == (None, None)
    assert _own_range(magnesium, result)[0] == pytest.approx(0.7 * 0.4114, rel=1e-3)


@pytest.mark.parametrize(
    ("unit", "wanted", "counts"),
    [("", "", True), ("{INR}", "", True), ("1", "", True), ("{score}", "1", True), ("{points}", "", True),
     ("Score", "", True),
     ("s", "", False), ("s", "1", False),
     ("bananas", "", False), ("", "mg", False), ("mg", "", False), ("foo", "foo", False)],
)  # fmt: skip
def test_only_a_number_without_a_unit_is_a_ratio(unit: str, wanted: str, counts: bool) -> None:
    assert (units.general(12.5, unit, wanted) == 12.5) is counts


@pytest.mark.parametrize(
    "value, decimals, shown",
    [(2.345, 1, "2.3"), (2.0, 0, "2"), (math.inf, 1, ""), (-0.04, 1, "-0.04"), (0.005, 2, "0.005"), (0.95, 1, "0.9")],
)
def test_values_for_display(value: float, decimals: int, shown: str) -> None:
    assert units.rounded(value, decimals) == shown


@pytest.mark.parametrize(
    ("unit", "words"),
    [("Cel", "°C"), ("{score}", ""), ("{beats}/min", "/min"), ("mm[Hg]", "mmHg"), ("mmol/L", "mmol/L"), ("1", "")],
)
def test_a_unit_is_written_as_people_write_it(unit: str, words: str) -> None:
    assert units.written(unit) == words
