"""The page of an entry: its rule in plain words, where it leads, its claims with sources, its examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cds_service.clinical.chart import USUAL_ROLES
from cds_service.clinical.workup import BOOKED_WITHIN
from cds_service.handbook import library as kinds
from cds_service.handbook.library import Entry, Library, is_yes
from cds_service.handbook.plainly import SYSTEM_NAMES, Vocabulary, Words, coded
from cds_service.units import NUMBER

Spec = Mapping[str, Any]
URGENCIES = {"E": "same day", "U": "days to 2 weeks", "S": "weeks", "R": "routine", "N": "no urgency"}
TIERS = {
    "T0": "emergency", "T1": "critical value", "T2": "red flag", "T3": "place", "T4": "correctable result",
    "T5": "medicine or withdrawal", "T6": "hyperexcitable nerve", "T7": "benign", "overlay": "beside other cards",
}  # fmt: skip
_WINDOWS = {
    "acute": "acute: of the last 72 hours, or of 7 days and charted in the current visit; undated never counts",
    "present_for": "a dated result, report or answer shows it for {}",
    "absent_for": "documented absence counts for {}",
    "before_onset": "at most {} before the twitching",
    "lasting": "a lasting sign: absence counts only from 14 days after it was last found, at the same place",
    "absent_after_onset": "absence counts only after the onset",
    "names_a_cause": "beside it no card says that nothing charted points to a cause",
}
_BOUNDS = {"below": "below {}", "above": "above {}", "at_most": "{} or less", "at_least": "{} or more"}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with a list or a table below it, and a note before them. One with neither is not shown."""

    title: str
    note: str = ""
    items: tuple[Words, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[Words, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.items or self.rows)


class Sections:
    """The sections of every entry of a library. ``bundled``: whether its content is the one that our tests run with."""

    def __init__(self, library: Library, bundled: bool = True) -> None:
        self._library = library
        self._bundled = bundled
        self._says = Vocabulary(library.content)

    def of(self, entry: Entry) -> list[Section]:
        """The sections of one page, in reading order; what an entry lacks has no section."""
        own = _RULES[entry.kind](self, entry.spec)
        common = (self._claims(entry.spec), self._examples(entry), self._users(entry), self._citations(entry))
        return [section for section in (*own, *common) if section]

    # ------------------------------------------------------------ what all have in common

    def _claims(self, spec: Spec) -> Section:
        rows = tuple((Words(one["claim"]), self.source(one["source"])) for one in spec.get("why", ()))
        return Section("What it rests on", head=("Claim", "Source"), rows=rows)

    def source(self, name: str) -> Words:
        """A reference or another entry by what it is called."""
        return self._entry(self._library[name]) if name in self._library else Words(name)

    def _examples(self, entry: Entry) -> Section:
        examples = entry.spec.get("examples", ())
        rows = tuple((Words(_name(one)), Words(_given(one)), Words(_expected(one))) for one in examples)
        note = "They run with cds-service check-content" + (" and with the tests." if self._bundled else ".")
        return Section("Worked examples", note, head=("Example", "Given", "Expected"), rows=rows)

    def _users(self, entry: Entry) -> Section:
        users = self._library.used_by(entry.id)
        return Section("Used by", items=tuple(self._entry(one) for one in users))

    def _citations(self, entry: Entry) -> Section:
        cited = self._library.cited_by(entry.id) if entry.kind is kinds.REFERENCE else []
        return Section("Cited by", items=tuple(self._entry(one) for one in cited))

    def _entry(self, entry: Entry) -> Words:
        plain = entry.kind in (kinds.FINDING, kinds.REFERENCE, kinds.TEST)
        return Words(entry=entry.id, name=entry.title if plain else f"{entry.id} {entry.title}")

    # ------------------------------------------------------------ each kind

    def _card(self, spec: Spec) -> Iterator[Section]:
        yield Section("Shown when", "Muscle twitching is charted and current, and:", (self._rule(spec["when"]),))
        yield Section("Not shown when", items=self._reasons(spec["suppressed_when"]))
        yield Section("How loud", f"Tier {spec['tier']}, {TIERS[spec['tier']]}.", self._choices(spec["indicator"]))
        yield Section("What it says first", "The first that holds.", self._sentences(spec["summary"]))
        yield Section("Listed as found", items=self._rules(spec["found"]))
        yield Section("Listed as speaking against", items=self._rules(spec["against"]))
        asked = tuple(self._when(self._says.finding(one["ask"]), one) for one in spec["asks"])
        yield Section("Named when not documented", items=asked)
        yield Section("Findings its first line may name", "The most telling first.",
                      tuple(self._says.finding(one) for one in spec["names"]))  # fmt: skip
        yield Section("Results its first line may name", "Where they are abnormal.",
                      tuple(self._says.finding(one) for one in spec["results"]))  # fmt: skip
        yield Section("Causes it may name", items=tuple(self.source(one) for one in spec["hypotheses"]))
        rows = tuple((self._when(Words(one["text"]), one), self._cited(one["source"])) for one in spec["reasoning"])
        yield Section("Why this", head=("What the card says", "Source"), rows=rows)
        yield Section("Tests and referrals it may suggest", "As drafts, to be changed or dismissed.",
                      head=("Suggestion", "Order", "Priority", "Only if"), rows=tuple(self._orders(spec)))  # fmt: skip
        about = self._library.content.plain["about.yaml"]
        reasons = {one["id"]: one["display"] for one in about["override_reasons"]}
        away = about["set_aside_for"].get(spec["tier"], about["set_aside_for"]["others"])
        yield Section("Reasons offered for setting it aside",
                      f"It then stays away for {away} while the facts are the same.",
                      tuple(Words(reasons.get(one, one)) for one in spec["overrides"]))  # fmt: skip
        yield Section("Sources", items=tuple(self.source(one) for one in spec["sources"]))

    def _orders(self, spec: Spec) -> Iterator[tuple[Words, ...]]:
        for suggestion in spec["suggestions"]:
            label = suggestion["label"] + (" (recommended)" if suggestion["recommended"] else "")
            for order in suggestion["orders"]:
                conditions = [self._rule(one["when"]) for one in (suggestion, order) if one.get("when")]
                conditions += [self._reason(one).led_by("Not:") for one in order["unless"]]
                conditions += [Words("also while a normal result still counts")] if order.get("repeat") else []
                test = Words(entry=order["order"], name=self._library[order["order"]].title)
                yield Words(label), test, Words(order["priority"]), Words(parts=tuple(conditions))

    def _finding(self, spec: Spec) -> Iterator[Section]:
        yield Section("Kind of finding", items=(Words(spec["kind"]),))
        if "when" in spec:
            yield Section("Present when", "Absent when this is documented not to hold; otherwise unknown.",
                          (self._rule(spec["when"]),))  # fmt: skip
        if "compute" in spec:
            yield Section("The rule", items=(Words(spec["rule"]),))
        given = [spec, *(one for one in (*spec["present_when"], *spec["absent_when"]) if isinstance(one, Mapping))]
        yield from self._settings({key: value for one in given for key, value in (one.get("with") or {}).items()})
        yield Section("Present when", "Any one of these.", tuple(self._says.item(one) for one in spec["present_when"]))
        absent = tuple(self._says.item(one, denies=True) for one in spec["absent_when"])
        yield Section("Absent when", "Any one of these, and nothing above. Otherwise it is unknown.", absent)
        words = spec.get("words") or {}
        said = {"present": "present", "absent": "absent", "unless": "cancelled by", "lifts": "counts in spite of"}
        items = [Words(f"{label}: {', '.join(words[key])}") for key, label in said.items() if words.get(key)]
        denied = [Words("a denial of these words is documented absence")] if words.get("denied") else []
        yield Section("Words that the record may use", items=(*items, *denied))
        yield Section("How long it counts", items=tuple(Words(one) for one in _windows(spec)))

    def _settings(self, given: Spec) -> Iterator[Section]:
        """What a computed rule is given: its numbers, and the findings, tests, concepts and words that it speaks of."""
        rest = {key: value for key, value in given.items() if key not in ("also", "void_by")}
        rows = tuple((Words(key.replace("_", " ")), self._given(value)) for key, value in rest.items())
        yield Section("With", "What the rule is given.", head=("What", "Value"), rows=rows)
        clauses = ((self._says.finding(one["analyte"]).name, one["when"]) for one in given.get("also", ()))
        yield Section("Further clauses", "The newest value of the analyte is critical as well when one of these holds.",
                      tuple(self._rule(when).led_by(f"{name}, when") for name, when in clauses))  # fmt: skip
        yield Section("New signs", "One that is first charted after it makes it void.",
                      self._rules(given.get("void_by", ())))  # fmt: skip

    def _given(self, value: Any) -> Words:
        """A parameter of a computed rule: a formula, a name, a number with its unit, or a list of these."""
        if isinstance(value, Mapping):
            if "to" in value:
                return self._rule(value["when"]).led_by(f"{value['to']} when")
            return self._rule(value)
        if isinstance(value, list):
            inner = tuple(map(self._given, value))
            lead = "one of:" if any(isinstance(one, list) for one in value) or len(inner) > 1 else ""
            return inner[0] if len(inner) == 1 else Words(lead, parts=inner)
        if is_yes(value):
            return Words("yes")
        named = self._says.finding(str(value))
        return named if named.entry else Words(self._says.concept(str(value)))

    def _limits(self, spec: Spec) -> Iterator[Section]:
        unit = spec.get("unit", "")
        bands = {"action": "makes a card", "causal": "may explain twitching alone", "critical": "critical"}
        rows = [(Words(label), Words(_bounds(spec[key], unit))) for key, label in bands.items() if spec.get(key)]
        if spec.get("reference"):
            low, high = spec["reference"]
            ends = [f"from {low}"] * (low is not None) + [f"to {high}"] * (high is not None)
            interval = f"{' '.join(ends)} {unit}"
            rows.insert(0, (Words("reference, where the laboratory gives none"), Words(interval)))
        if spec.get("possible"):
            least, most = spec["possible"]
            rows.append(
                (Words("taken for a slip of the pen or the unit"), Words(f"below {least} or above {most} {unit}"))
            )
        note = "Adult limits, outside pregnancy. The reporting laboratory's own range and flags come first."
        yield Section("Limits", note, head=("What for", "Value"), rows=tuple(rows))
        yield Section("How it is read", items=tuple(self._reading(spec)))
        looks = [Words(f"A normal result counts for {spec['look_back']}.")]
        looks += [self._when(Words(f"Only {one['to']}"), one) for one in spec.get("shorter", ())]
        looks += [Words("A normal result never spares a repeat.")] if is_yes(spec.get("never_suppresses")) else []
        settled = spec.get("settled_when")
        spared = "An abnormal one that counts is not asked for again when"
        looks += [self._rule(settled).led_by(spared)] if settled else []
        yield Section("How long a result counts", items=tuple(looks))
        factors = [(Words(name), Words(_factor(by, unit))) for name, by in spec["units"].items()]
        for code, own in (spec.get("units_by_code") or {}).items():
            factors += [(Words(f"{name} under {coded(code)}"), Words(_factor(by, unit))) for name, by in own.items()]
        other = "Any other unit" if NUMBER in spec["units"] else "Any other unit, or none,"
        yield Section("Units", f"{other} is shown and never compared.",
                      head=("Unit", f"In {unit}"), rows=tuple(factors))  # fmt: skip
        yield Section("What follows", items=(Words(spec["follow_on"]),))
        yield Section("The specimen", items=(Words(spec["specimen"]),) if "specimen" in spec else ())
        yield from self._settings(spec.get("with") or {})

    def _reading(self, spec: Spec) -> Iterator[Words]:
        """Which results are taken for this analyte, and what is said of them."""
        codes = [code for concept in spec["codes"] for code in self._codes_of(concept)]
        yield from [Words(f"codes: {', '.join(codes)}")] if codes else []
        yield from [Words(f"never by {_list_of(map(coded, spec['besides']))}")] if spec.get("besides") else []
        yield from [Words(f"also by codes kept as {_list_of(spec['roles'])}")] if spec.get("roles") else []
        for member in spec.get("any_of", ()):
            given = member if isinstance(member, Mapping) else {"analyte": member}
            value = self._says.finding(given["analyte"]).led_by("made of")
            yield replace(value, parts=(self._rule(given["unless"]).led_by("unless"),)) if "unless" in given else value
        yield from [Words(spec["rule"])] if "rule" in spec else []
        if spec.get("doubtful_high_if"):
            yield Words(f"a high value is doubtful, and repeated first, beside: {_list_of(spec['doubtful_high_if'])}")
        critical = "can" if is_yes(spec["can_be_critical"]) else "cannot"
        yield Words(
            f"{critical} make the card of critical values; number {spec['dangerous_first']} in the order of danger"
        )
        yield from [Words("one of the first bloods")] if is_yes(spec.get("core")) else []
        yield Words(f"called {spec['low_name']} when low and {spec['high_name']} when high")
        also = f", and in {spec['also_shown']} with {spec['also_decimals']}" if spec.get("also_shown") else ""
        yield Words(f"shown in {spec['unit'] or 'numbers'} with decimals: {spec['decimals']}{also}")

    def _codes_of(self, concept: str) -> Iterator[str]:
        rows = [row for row in self._library.content.codes.rows if row.concept == concept]
        yield from (f"{SYSTEM_NAMES.get(row.system, row.system)} {row.code}" for row in rows if row.role in USUAL_ROLES)

    def _hypothesis(self, spec: Spec) -> Iterator[Section]:
        yield Section("Urgency", items=self._choices(spec["urgency"], URGENCIES))
        yield Section("Speaks for it", "It is in play when at least one of these is present.", self._rules(spec["for"]))
        yield Section("Speaks against it", items=self._rules(spec["against"]))
        for key, title in (("needs", "Not in play without"), ("excluded_when", "Excluded when")):
            yield Section(title, items=(self._rule(spec[key]),) if spec.get(key) else ())
        yield Section("Decided by", items=tuple(self.source(name) for name in spec["decided_by"]))
        more = [self._when(Words(f"named more precisely: {one['name']}"), one) for one in spec["also_named"]]
        also = [Words(spec["also"])] if "also" in spec else []
        yield Section("Also", items=(*also, *more))

    def _test(self, spec: Spec) -> Iterator[Section]:
        codes = self._library.content.codes

        def code(item: Spec) -> str:
            rows = codes.to_write(item["code"]) if item["code"] and not item["written"] else ()
            listed = [f"{SYSTEM_NAMES.get(row.system, row.system)} {row.code}" for row in rows] or item["written"]
            return ", ".join(listed) or "in words only"

        rows = tuple((Words(one["text"]), Words(code(one)), self._holding(one)) for one in spec["orders"])
        said = f" In a sentence: {spec['short']}." if spec.get("short") else ""
        yield Section("What is ordered", f"One draft request each ({spec['kind']}).{said}",
                      head=("Order", "Code written", "Asked for when missing"), rows=rows)  # fmt: skip
        yield Section("Pending as well while this is ordered",
                      items=tuple(Words(self._says.concept(one)) for one in spec["also_pending"]))  # fmt: skip
        yield Section("Not suggested when", f"An order of the last {spec['pending_for']} counts as pending.",
                      self._reasons(spec["not_when"]))  # fmt: skip
        if spec.get("booked"):
            soon = "; ".join(f"{priority}: in the next {days} days" for priority, days in BOOKED_WITHIN.items())
            yield Section("Pending while such a visit is booked", f"By its priority, {soon}; stat: never.",
                          items=(self._rule(spec["booked"]),))  # fmt: skip

    def _holding(self, order: Spec) -> Words:
        """The values for which a request is made, and when a panel takes the place of single tests."""
        parts = tuple(self._says.finding(one) for one in order["analytes"])
        if "panel_when_missing" in order:
            few = order["panel_when_missing"]
            return Words(f"in place of single tests, when {few} or more are missing of:", parts=parts)
        return Words("any of:" if len(parts) > 1 else "", parts=parts) if parts else Words("–")

    def _medicines(self, spec: Spec) -> Iterator[Section]:
        causal = is_yes(spec["causal"])
        chronic = " Any duration before the onset counts." if spec["chronic"] else ""
        said = "Yes. " if causal else "It is asked about, not blamed. "
        yield Section("Can it cause twitching", items=(Words(said + spec["mechanism"] + chronic),))
        names = ", ".join(self._says.concept(one) for one in spec["concepts"]) or "no codes"
        yield Section("Recognised by", items=(Words(f"codes: {names}"), Words(f"names: {', '.join(spec['names'])}")))
        limits = [Words(f"not when text, form or route says: {_list_of(spec['unless'])}")] if spec["unless"] else []
        if "daily_dose_at_least" in spec:
            limits.append(Words(f"only from {spec['daily_dose_at_least']} a day; an unknown dose does not count"))
        if spec["mg_per_unit"]:
            limits.append(Words(f"an international unit counts as {spec['mg_per_unit']:f} mg"))
        yield Section("Counts only", items=tuple(limits))
        yield Section("May alter", items=tuple(self._says.finding(one) for one in spec["affects"]))
        yield Section("Worth checking", items=tuple(self.source(one) for one in spec["check"]))
        yield Section("How strong the evidence is", items=(Words(spec["strength"]),))

    def _caution(self, spec: Spec) -> Iterator[Section]:
        yield Section("Said when", items=(self._rule(spec["when"]),))
        yield Section("Beside", items=tuple(self.source(one) for one in spec["about"]))

    def _silence(self, spec: Spec) -> Iterator[Section]:
        alone = " It holds only while none of the cards below fires." if spec.get("applies") else ""
        yield Section("Holds when", alone.strip(), (self._rule(spec["when"]),) if spec.get("when") else ())
        each = ((name, _flat(value)) for name, value in (spec.get("each_card") or {}).items())
        yield Section("For each card by itself",
                      items=tuple(Words(f"{name}: {value}".replace("_", " ")) for name, value in each))  # fmt: skip
        short = tuple(self._when(self.source(one["is"]), one) for one in spec.get("short_form", ()))
        yield Section("The short card instead", items=short)
        setting = [spec["silenced_by"]] if spec.get("silenced_by") else []
        yield Section("A site may ask for silence instead", items=tuple(Words(f"with {one}") for one in setting))
        yield Section("Cards that appear in spite of it", items=tuple(self.source(one) for one in spec["lets_through"]))

    def _recheck(self, spec: Spec) -> Iterator[Section]:
        yield Section("Used when", "The first row that holds.", (self._rule(spec["when"]),))
        times = [Words(_interval(spec["recheck_in"]))]
        times += [Words(f"after a further normal examination {_interval(spec['then'])}")] if "then" in spec else []
        if "ends_after" in spec:
            times.append(Words(f"not again once the twitching is older than {spec['ends_after']}"))
        times += [Words(f"so often without a change: {spec['times']}")] if "times" in spec else []
        yield Section("When", items=(*times, Words(f"It says: {spec['sentence']}")))

    def _gate(self, spec: Spec) -> Iterator[Section]:
        yield Section("The rule", items=tuple(Words(one) for one in spec["rule"]))
        yield Section("Codes", items=tuple(Words(self._says.concept(one)) for one in spec["concepts"]))
        yield Section("Words", items=(
            Words(f"beginning with: {_list_of(spec['stems'])}"),
            Words(f"beginning with: {_list_of(spec['moving'])}, at most {spec['beside']} words away from a word for a "
                  f"part of the body: {_list_of(spec['body'])}"),
            Words(f"not where the text says: {_list_of(spec['blocked'])}"),
        ))  # fmt: skip
        yield Section("How long it counts", items=(
            Words(f"a finding of the last {spec['observed_within']}"),
            Words(f"stale when nothing is newer than {spec['stale_after']}"),
        ))  # fmt: skip

    def _reference(self, spec: Spec) -> Iterator[Section]:
        yield Section("Kind", items=(Words(spec["kind"]),))

    # ------------------------------------------------------------ parts

    def _rule(self, spec: Any) -> Words:
        return self._says.formula(spec)

    def _rules(self, specs: Iterable[Any]) -> tuple[Words, ...]:
        return tuple(map(self._rule, specs))

    def _reason(self, spec: Spec) -> Words:
        return Words(spec["because"], parts=(self._rule(spec["when"]),))

    def _reasons(self, specs: Iterable[Spec]) -> tuple[Words, ...]:
        return tuple(map(self._reason, specs))

    def _when(self, words: Words, spec: Spec) -> Words:
        """Words that are said only when a formula holds."""
        if not spec.get("when"):
            return words
        return replace(words, parts=(self._rule(spec["when"]).led_by("when"),))

    def _sentences(self, specs: Iterable[Spec]) -> tuple[Words, ...]:
        return tuple(self._when(Words(one["text"]), one) for one in specs)

    def _choices(self, spec: Any, names: Mapping[str, str] | None = None) -> tuple[Words, ...]:
        said = names or {}
        choices = spec if isinstance(spec, list) else [{"is": spec}]
        return tuple(self._when(Words(said.get(str(one["is"]), str(one["is"]))), one) for one in choices)

    def _cited(self, name: str) -> Words:
        return self.source(name) if name else Words("–")


_RULES: Mapping[kinds.Kind, Callable[[Sections, Spec], Iterator[Section]]] = {
    kinds.CARD: Sections._card, kinds.FINDING: Sections._finding, kinds.LIMITS: Sections._limits,
    kinds.HYPOTHESIS: Sections._hypothesis, kinds.TEST: Sections._test, kinds.MEDICINES: Sections._medicines,
    kinds.CAUTION: Sections._caution, kinds.SILENCE: Sections._silence, kinds.RECHECK: Sections._recheck,
    kinds.GATE: Sections._gate, kinds.REFERENCE: Sections._reference,
}  # fmt: skip


def _list_of(words: Iterable[Any]) -> str:
    return ", ".join(map(str, words))


def _bounds(spec: Spec, unit: str) -> str:
    return " or ".join(_BOUNDS[key].format(f"{value} {unit}".strip()) for key, value in spec.items())


def _factor(by: Any, unit: str) -> str:
    factor, offset = by if isinstance(by, list) else (by, 0)
    return f"× {factor}" + (f" + {offset}" if offset else "") + f" {unit}"


def _interval(span: Any) -> str:
    if not isinstance(span, Mapping):
        return "no date is set"
    same = span["after"] == span["until"]
    return f"after {span['after']}" if same else f"between {span['after']} and {span['until']}"


def _windows(spec: Spec) -> Iterator[str]:
    for key, words in _WINDOWS.items():
        if spec.get(key):
            ever = key == "before_onset" and spec[key] == "any"
            yield "also from before the twitching" if ever else words.format(spec[key])


def _name(example: Spec) -> str:
    return str(example.get("name") or example.get("value") or example.get("medicine") or "")


def _given(example: Spec) -> str:
    if "given" in example:
        return _flat(example["given"]) or "nothing"
    return _flat({key: value for key, value in example.items() if key not in ("name", "expect", "medicine", "value")})


def _flat(value: Any) -> str:
    """A small record or a list of facts in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "; ".join(map(_flat, value))
    return str(value)


def _expected(example: Spec) -> str:
    said = [_flat(example["expect"])]
    said += [f"orders {', '.join(example['expect_orders'])}"] if example.get("expect_orders") else []
    said += [f"not {', '.join(example['expect_not'])}"] if example.get("expect_not") else []
    return "; ".join(said)
