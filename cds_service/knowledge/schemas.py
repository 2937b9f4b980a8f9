"""What a content file must look like, in marshmallow; every message says what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, pre_load, validate, validates_schema

from cds_service.clinical.formula import WORDS, is_observer
from cds_service.clinical.functions import NAMED
from cds_service.clinical.observe import HEADS
from cds_service.clinical.ranking import TIERS
from cds_service.clinical.spans import days_of
from cds_service.clinical.workup import PRIORITIES
from cds_service.knowledge.files import SEMANTIC
from cds_service.units import is_known, same, split

KINDS = ("symptom", "exam", "context", "exposure", "laboratory", "study", "time", "composite")
REFERENCE_KINDS = (
    "design choice", "textbook knowledge", "specification", "regulation", "guidance", "guideline", "review", "textbook",
    "publication", "article", "association",
)  # fmt: skip
STATUSES = ("draft", "in-review", "approved", "retired")

_COMPARED = {"above", "below", "at_least", "at_most"}
OBSERVER_FIELDS: Mapping[str, frozenset[str]] = {
    "problem": frozenset(
        {"state", "only", "besides", "systems", "roles", "within", "older_than", "severity", "site", "diagnosis",
         "containing", "unless", "onset_stated", "onset_told", "before_onset", "recurs", "verified", "names"}
    ),
    "result": frozenset(
        {"says", "examined", "only", "besides", "systems", "roles", "site", "within", "containing", "is", "sudden",
         "again"}
    ),
    "power": frozenset({"within", "site", "muscle"}),
    "measured": frozenset({"range", "which", "within", "only", "besides", "systems", "roles", "names"} | _COMPARED),
    "answer": frozenset({"is", "lacks", "within"} | _COMPARED),
    "medicine": frozenset({"stopped_within", "started_within", "for_at_least", "daily_dose_at_least", "names"}),
    "report": frozenset({"says", "whole", "affirms", "unless", "unless_affirms", "within", "states"}),
    "procedure": frozenset({"names", "within", "site", "only", "besides", "roles"}),
    "order": frozenset({"states", "within", "names"}),
    "visit": frozenset({"names", "within", "open", "planned"}),
    "relative": frozenset({"names", "only", "roles"}),
    "device": frozenset({"names", "only", "roles"}),
    "allergy": frozenset({"names"}),
    "appointment": frozenset({"names"}),
    "patient": frozenset(),
    "silence": frozenset(),
}  # fmt: skip


class Strict(Schema):
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "is not a field of this kind of file; see docs/content.md"}  # noqa: RUF012


def _read_by(read: Callable[[str], Any]) -> Callable[[Any], None]:
    def check(text: Any) -> None:
        try:
            read(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    return check


duration, quantity = _read_by(days_of), _read_by(split)


class Formula(fields.Field[Any]):
    """A finding's id or one of the ten words."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        check_formula(value)
        return value


def check_formula(value: Any) -> None:
    if isinstance(value, str) and value:
        return
    if not isinstance(value, Mapping):
        raise ValidationError("write a finding's id or one of: " + ", ".join(WORDS))
    words = [word for word in value if word != "inclusive"]
    if len(words) != 1 or words[0] not in WORDS:
        raise ValidationError(f"{', '.join(map(str, words)) or 'nothing'}: use exactly one of {', '.join(WORDS)}")
    _check_word(words[0], value[words[0]])


def _check_word(word: str, inner: Any) -> None:
    if word in ("all", "any"):
        if not isinstance(inner, list) or not inner:
            raise ValidationError(f"{word}: needs a list of formulas")
        for part in inner:
            check_formula(part)
    elif word == "at_least":
        if not isinstance(inner, Mapping) or set(inner) != {"n", "of"} or not isinstance(inner["n"], int):
            raise ValidationError("at_least: write {n: 2, of: [a, b, c]}")
        for part in inner["of"]:
            check_formula(part)
    elif word in ("absent", "not_present"):
        check_formula(inner)
    elif word in ("below", "above", "between", "within"):
        _check_limits(word, inner)
    elif word == "of_codes":
        check_observer(inner)


def _check_limits(word: str, inner: Any) -> None:
    if not isinstance(inner, Mapping) or len(inner) != 1:
        raise ValidationError(f"{word}: write one name with its limit, like {{K: 3.0 mmol/L}}")
    (limit,) = inner.values()
    if word == "within":
        duration(limit)
    elif word == "between":
        if not isinstance(limit, list) or len(limit) != 2:
            raise ValidationError("between: write {K: [2.5 mmol/L, 3.0 mmol/L]}")
        for end in limit:
            quantity(end)
    else:
        quantity(limit)


def check_observer(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ValidationError("write an observer like {problem: [concept]}")
    heads = [head for head in HEADS if head in value]
    if len(heads) != 1:
        raise ValidationError(f"an observer starts with exactly one of: {', '.join(HEADS)}")
    unknown = set(value) - {heads[0]} - OBSERVER_FIELDS[heads[0]]
    if unknown:
        raise ValidationError(
            f"{heads[0]}: {', '.join(sorted(map(str, unknown)))} is not a field of it; see docs/content.md"
        )
    for key in ("within", "older_than", "stopped_within", "started_within", "for_at_least", "before_onset"):
        if key in value:
            duration(value[key])
    _check_compared(value)
    for key in ("diagnosis", "onset_stated", "onset_told", "recurs", "sudden", "again", "examined", "open", "planned"):
        if value.get(key, True) not in (True, "yes"):
            raise ValidationError(f"{key}: write true, or leave it out")


def _check_compared(observer: Mapping[str, Any]) -> None:
    """A limit has a number, and a unit in which it can be compared."""
    for key in (*sorted(_COMPARED), "daily_dose_at_least"):
        if key not in observer:
            continue
        quantity(observer[key])
        unit = split(observer[key])[1]
        if key == "daily_dose_at_least" and not same(unit, "mg"):
            raise ValidationError(f"{key}: is in '{unit}'; write the dose of a day in mg")
        if not is_known(unit):
            raise ValidationError(f"{key}: the unit '{unit}' is not known; write one of cds_service/units.py")


class Observer(fields.Field[Any]):
    """An observer, a formula, or a named function as one item."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, Mapping) and "compute" in value:
            check_compute(value["compute"])
        elif is_observer(value):
            check_observer(value)
        else:
            check_formula(value)
        return value


def check_compute(name: Any) -> None:
    if name not in NAMED:
        raise ValidationError(f"'{name}' is no named function; there are: {', '.join(sorted(NAMED))}")


class Flag(fields.Field[bool]):
    """yes or no, in any way that YAML writes it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value in (True, "yes", "true"):
            return True
        if value in (False, "no", "false"):
            return False
        raise ValidationError("write yes or no")


class Claim(Strict):
    claim = fields.String(required=True)
    source = fields.String(required=True)


class Example(Strict):
    name = fields.String()
    given = fields.Raw(required=True)
    expect = fields.Raw(required=True)
    expect_orders = fields.List(fields.String())
    expect_not = fields.List(fields.String())


class Day(fields.Field[str]):
    """A date like 2026-06-15, kept as text: YAML makes a date of it, the seal a text again."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return date.fromisoformat(str(value)).isoformat()
        except ValueError:
            raise ValidationError("write a date like 2026-06-15") from None


class Signed(Strict):
    """Who stands for a page, and how far it has come. What is approved has an author and another reviewer."""

    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    author = fields.String(allow_none=True)
    reviewed_by = fields.String(required=True, allow_none=True)
    next_review = Day(allow_none=True)

    @validates_schema
    def _approved_by_somebody_else(self, values: Mapping[str, Any], **_: Any) -> None:
        if values.get("status") != "approved":
            return
        author, reviewer = (" ".join((values.get(name) or "").split()).casefold() for name in ("author", "reviewed_by"))
        if not reviewer:
            raise ValidationError("approved content names its reviewer in reviewed_by", "reviewed_by")
        if not author:
            raise ValidationError("approved content names its author in author", "author")
        if author == reviewer:
            raise ValidationError("nobody approves what he wrote: name a reviewer other than the author", "reviewed_by")


class TableHeader(Signed):
    """What a page says of all its rows together; the rows have a schema of their own."""

    class Meta:
        unknown = EXCLUDE

    purpose = fields.String()
    misuse = fields.String()


class Reviewed(Signed):
    """What every content file says of itself."""

    purpose = fields.String(required=True, validate=validate.Length(min=10))
    misuse = fields.String(required=True, validate=validate.Length(min=10))


class Rule(Reviewed):
    """A page of one rule."""

    id = fields.String(required=True)
    title = fields.String(required=True)
    why = fields.List(fields.Nested(Claim), required=True)
    examples = fields.List(fields.Nested(Example), required=True)


class Row(Strict):
    """A row of a table: its name, what it rests on, and how it works out."""

    id = fields.String(required=True)
    why = fields.List(fields.Nested(Claim), required=True)
    examples = fields.List(fields.Nested(Example), required=True)


class Words(Strict):
    present = fields.List(fields.String(), load_default=list)
    absent = fields.List(fields.String(), load_default=list)
    denied = Flag(load_default=False)
    unless = fields.List(fields.String(), load_default=list)
    lifts = fields.List(fields.String(), load_default=list)


def _any_or_duration(text: str) -> None:
    if text != "any":
        duration(text)


class Finding(Rule):
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    present_for = fields.String(validate=duration)
    absent_for = fields.String(validate=duration)
    acute = Flag(load_default=False)
    lasting = Flag(load_default=False)
    before_onset = fields.String(validate=_any_or_duration)
    absent_after_onset = Flag(load_default=False)
    names_a_cause = Flag(load_default=False)
    present_when = fields.List(Observer(), load_default=list)
    absent_when = fields.List(Observer(), load_default=list)
    words = fields.Nested(Words)
    when = Formula()
    compute = fields.String(validate=check_compute)
    with_ = fields.Dict(data_key="with", load_default=dict)
    rule = fields.String()
    why = fields.List(fields.Nested(Claim), required=True, validate=validate.Length(min=1))
    examples = fields.List(fields.Nested(Example), required=True, validate=validate.Length(min=1))

    @validates_schema
    def _one_way_to_judge(self, values: Mapping[str, Any], **_: Any) -> None:
        ways = [w for w in ("when", "compute") if w in values]
        observed = values.get("present_when") or values.get("absent_when") or values.get("words")
        if len(ways) + bool(observed) != 1:
            raise ValidationError("use exactly one of when, compute, or present_when with absent_when and words")
        if "compute" in values and not values.get("rule"):
            raise ValidationError("say the rule of the named function in one sentence", "rule")


class Conditional(Strict):
    when = Formula()
    text = fields.String(required=True)
    source = fields.String(load_default="")


class Because(Strict):
    when = Formula(required=True)
    because = fields.String(required=True)


class Asked(Strict):
    ask = fields.String(required=True)
    when = Formula()

    @pre_load
    def _bare_name(self, value: Any, **_: Any) -> Any:
        return {"ask": value} if isinstance(value, str) else value


class CardOrder(Strict):
    order = fields.String(required=True)
    priority = fields.String(required=True, validate=validate.OneOf(PRIORITIES))
    when = Formula()
    unless = fields.List(fields.Nested(Because), load_default=list)
    repeat = Flag(load_default=False)


class CardSuggestion(Strict):
    label = fields.String(required=True, validate=validate.Length(max=90))
    recommended = Flag(load_default=False)
    when = Formula()
    orders = fields.List(fields.Nested(CardOrder), required=True)


class Card(Reviewed):
    id = fields.String(required=True, validate=validate.Regexp(r"TW\d\d$", error="write the card's id like TW07"))
    title = fields.String(required=True)
    tier = fields.String(required=True, validate=validate.OneOf((*TIERS, "overlay")))
    when = Formula(required=True)
    suppressed_when = fields.List(fields.Nested(Because), load_default=list)
    indicator = fields.Raw(required=True)
    hypotheses = fields.List(fields.String(), load_default=list)
    names = fields.List(fields.String(), load_default=list)
    summary = fields.List(fields.Nested(Conditional), required=True, validate=validate.Length(min=1))
    found = fields.List(Formula(), load_default=list)
    against = fields.List(Formula(), load_default=list)
    asks = fields.List(fields.Nested(Asked), load_default=list)
    results = fields.List(fields.String(), load_default=list)
    reasoning = fields.List(fields.Nested(Conditional), required=True)
    suggestions = fields.List(fields.Nested(CardSuggestion), load_default=list, validate=validate.Length(max=3))
    overrides = fields.List(fields.String(), required=True)
    sources = fields.List(fields.String(), required=True, validate=validate.Length(min=1))
    examples = fields.List(fields.Nested(Example), required=True, validate=validate.Length(min=2))


class Item(Strict):
    code = fields.String(load_default="")
    text = fields.String(required=True)
    analytes = fields.List(fields.String(), load_default=list)
    written = fields.List(fields.String(), load_default=list)
    panel_when_missing = fields.Integer()


class Investigation(Rule):
    kind = fields.String(
        required=True,
        validate=validate.OneOf(("laboratory", "study", "imaging", "referral", "review", "follow-up")),
    )
    short = fields.String(load_default="")
    orders = fields.List(fields.Nested(Item), required=True, validate=validate.Length(min=1))
    pending_for = fields.String(required=True, validate=duration)
    also_pending = fields.List(fields.String(), load_default=list)
    not_when = fields.List(fields.Nested(Because), load_default=list)
    booked = Formula()


class AlsoNamed(Strict):
    when = Formula(required=True)
    name = fields.String(required=True)


class Hypothesis(Row):
    name = fields.String(required=True)
    urgency = fields.Raw(required=True)
    for_ = fields.List(Formula(), data_key="for", required=True, validate=validate.Length(min=1))
    against = fields.List(Formula(), required=True)
    needs = Formula()
    excluded_when = Formula()
    decided_by = fields.List(fields.String(), required=True)
    also = fields.String()
    also_named = fields.List(fields.Nested(AlsoNamed), load_default=list)


class Caution(Row):
    when = Formula(required=True)
    about = fields.List(fields.String(), required=True)
    text = fields.String(required=True)


class NoCardRule(Row):
    title = fields.String(required=True)
    purpose = fields.String(required=True)
    misuse = fields.String(required=True)
    when = Formula()
    each_card = fields.Dict()
    lets_through = fields.List(fields.String(), required=True)
    applies = fields.String(validate=validate.Equal("alone"))
    short_form = fields.List(fields.Dict())
    silenced_by = fields.String()


class Interval(Strict):
    after = fields.String(required=True, validate=duration)
    until = fields.String(required=True, validate=duration)


class Recheck(Row):
    when = Formula(required=True)
    recheck_in = fields.Raw(required=True)
    then = fields.Nested(Interval)
    ends_after = fields.String(validate=duration)
    times = fields.Integer()
    sentence = fields.String(required=True)


class Reference(Strict):
    id = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(REFERENCE_KINDS))
    title = fields.String(required=True)
    url = fields.Url(schemes={"http", "https"})  # as a link of a card must be


class DrugClass(Row):
    title = fields.String(required=True)
    concepts = fields.List(fields.String(), required=True)
    names = fields.List(fields.String(), required=True)
    causal = fields.Raw(required=True)
    chronic = Flag(load_default=False)
    affects = fields.List(fields.String(), load_default=list)
    unless = fields.List(fields.String(), load_default=list)
    daily_dose_at_least = fields.String(validate=quantity)
    mg_per_unit = fields.Float(load_default=0.0)
    mechanism = fields.String(required=True)
    check = fields.List(fields.String(), required=True)
    strength = fields.String(required=True)
    examples = fields.List(fields.Dict(), required=True)


class Bounds(Strict):
    below = fields.Float()
    at_most = fields.Float()
    above = fields.Float()
    at_least = fields.Float()


class Shorter(Strict):
    when = Formula(required=True)
    to = fields.String(required=True, validate=duration)


class AnalyteExample(Strict):
    value = fields.String(required=True, validate=quantity)
    code = fields.String()
    expect = fields.String(required=True)


class Analyte(Row):
    name = fields.String(required=True)
    codes = fields.List(fields.String(), required=True)
    besides = fields.List(fields.String())
    roles = fields.List(fields.String())
    unit = fields.String(required=True)
    units = fields.Dict(required=True)
    units_by_code = fields.Dict()
    also_shown = fields.String()
    decimals = fields.Integer(required=True)
    also_decimals = fields.Integer()
    reference = fields.List(fields.Float(allow_none=True), validate=validate.Length(equal=2))
    possible = fields.List(fields.Float(), validate=validate.Length(equal=2))
    action = fields.Nested(Bounds)
    causal = fields.Nested(Bounds)
    critical = fields.Nested(Bounds)
    can_be_critical = Flag(required=True)
    never_suppresses = Flag()
    settled_when = Formula()
    core = Flag()
    low_name = fields.String(required=True)
    high_name = fields.String(required=True)
    look_back = fields.String(required=True, validate=duration)
    shorter = fields.List(fields.Nested(Shorter))
    any_of = fields.List(fields.Raw())
    compute = fields.String()
    with_ = fields.Dict(data_key="with")
    rule = fields.String()
    doubtful_high_if = fields.List(fields.String())
    dangerous_first = fields.Integer(required=True)
    follow_on = fields.String(required=True)
    specimen = fields.String()
    examples = fields.List(fields.Nested(AnalyteExample))


class Analytes(Reviewed):
    analytes = fields.List(fields.Nested(Analyte), required=True, validate=validate.Length(min=1))
    panels = fields.Dict(keys=fields.String(), values=fields.List(fields.String()), required=True)
    overtaken_by = fields.List(fields.String(), required=True)
    why = fields.List(fields.Nested(Claim), required=True)


def _lists() -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=fields.List(fields.String()), required=True)


def _phrases() -> fields.List[str]:
    return fields.List(fields.String(), required=True, validate=validate.Length(min=1))


class EntryGate(Rule):
    concepts = _phrases()
    observed_within = fields.String(required=True, validate=duration)
    stale_after = fields.String(required=True, validate=duration)
    stems = _phrases()
    moving = _phrases()
    beside = fields.Integer(required=True, validate=validate.Range(min=1))
    body = _phrases()
    blocked = _phrases()
    rule = _phrases()


class WordLists(Reviewed):
    before = _lists()
    after = _lists()
    headings = _lists()
    lifted = _lists()
    stand_for = _lists()
    yes = _phrases()
    no = _phrases()
    normal = _phrases()
    abnormal = _phrases()
    unsure = _phrases()
    answer_begins = _lists()
    answer_kinds = _lists()
    told_by_side = _lists()
    traps = _lists()
    regions = _lists()
    plural_means_both = _phrases()
    sides = _lists()
    site_concepts = _lists()
    implied_sites = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    named_in_words = _lists()
    order_words = _lists()
    strength = _phrases()
    whole_body_strength = _phrases()
    not_blood = _phrases()
    why = fields.List(fields.Nested(Claim), required=True)


class Limitation(Strict):
    id = fields.String(required=True)
    text = fields.String(required=True)


class OverrideReason(Strict):
    id = fields.String(required=True)
    display = fields.String(required=True)
    system = fields.String(required=True)
    code = fields.String(required=True)
    when_ordered = fields.String()


class SetAsideFor(Strict):
    """How long an overridden card stays away: for the tiers that are named, and for the others."""

    T0 = fields.String(required=True, validate=duration)
    T1 = fields.String(required=True, validate=duration)
    T2 = fields.String(required=True, validate=duration)
    others = fields.String(required=True, validate=duration)


class SourceAttribute(Strict):
    attribute = fields.String(required=True)
    used = fields.Raw()
    how = fields.String()
    answer = fields.String()


class Change(Strict):
    """One version of the content: when it was made, what is new in it and which cards are affected."""

    version = fields.String(required=True, validate=validate.Regexp(SEMANTIC, error="write it like 1.4.0"))
    date = Day(required=True)
    what = fields.String(required=True)
    affects = fields.Raw(required=True)  # ids of cards, or: all, none


class About(Reviewed):
    intended_use = fields.String(required=True)
    does_not = fields.String(required=True)
    users = fields.String(required=True)
    population = fields.String(required=True)
    not_intended_for = _phrases()
    statement = fields.String(required=True)
    draft_notice = fields.String(required=True)
    limitations = fields.List(fields.Nested(Limitation), required=True)
    never_claim = _phrases()
    each_card_shows = _phrases()
    override_reasons = fields.List(fields.Nested(OverrideReason), required=True)
    set_aside_for = fields.Nested(SetAsideFor, required=True)
    source_attributes = fields.List(fields.Nested(SourceAttribute), required=True)
    not_predictive = fields.String(required=True)
    # The newest first; its date is the date of all that is published from the content.
    changes = fields.List(fields.Nested(Change), required=True, validate=validate.Length(min=1))
    why = fields.List(fields.Nested(Claim), required=True)


class Contradiction(Strict):
    id = fields.String(required=True)
    conflict = fields.String(required=True)
    decided = fields.String(required=True)
    because = fields.String(required=True)
    affects = fields.List(fields.String(), required=True)
    sources = _phrases()


class Contradictions(Reviewed):
    contradictions = fields.List(fields.Nested(Contradiction), required=True)


class HistoryOption(Strict):
    value = fields.String(required=True)
    label = fields.String(required=True)
    code = fields.String()
    exclusive = Flag()
    days = fields.Raw()


class HistoryItem(Strict):
    id = fields.String(required=True)
    group = fields.String(required=True)
    text = fields.String(required=True)
    type = fields.String(required=True)
    asked_of = fields.String(required=True, validate=validate.OneOf(("both", "clinician", "patient")))
    options = fields.List(fields.Nested(HistoryOption))
    options_from = fields.String()
    sets = fields.List(fields.Raw())
    feeds = fields.Raw()
    shown_when = fields.List(fields.Raw())
    service_asks_when = fields.Raw()
    after_answer = fields.Raw()
    repeats = Flag()
    optional = Flag()
    partial_ = Flag(data_key="partial")
    default = fields.Raw()
    unit = fields.String()
    min = fields.Raw()
    max = fields.Raw()
    counts_for = fields.String(validate=duration)


class HistoryGroup(Strict):
    id = fields.String(required=True)
    title = fields.String(required=True)


class History(Rule):
    subject = fields.String(required=True)
    counts_for = fields.String(required=True, validate=duration)
    rules = _phrases()
    first_screen = _phrases()
    ask_first = _phrases()
    name_at_most = fields.Integer(required=True)
    groups = fields.List(fields.Nested(HistoryGroup), required=True)
    items = fields.List(fields.Nested(HistoryItem), required=True)
