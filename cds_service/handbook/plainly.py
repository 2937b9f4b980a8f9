"""Rules in plain words: formulas and observers as a reader says them, each name with the entry it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cds_service.clinical.observe import HEADS
from cds_service.knowledge.load import Content

Spec = Mapping[str, Any]
# Findings that the compiler makes for every analyte, and how a reader says them.
_OF_ANALYTES = {
    "valid": "a valid result of {} (final, after the onset, inside its look-back window)",
    "low": "{} below its action limit",
    "high": "{} above its action limit",
}
_VALUES = {"age": "age", "duration_days": "days since onset"}
SYSTEM_NAMES = {
    "snomed": "SNOMED CT", "loinc": "LOINC", "icd10cm": "ICD-10-CM", "rxnorm": "RxNorm", "atc": "ATC", "hpo": "HPO",
    "cpt": "CPT",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """A rule or a part of one: words, the entry it speaks of with what it is called, and what it is made of."""

    lead: str = ""
    entry: str = ""
    name: str = ""
    parts: tuple[Words, ...] = ()

    def led_by(self, lead: str) -> Words:
        """The same after further words."""
        return replace(self, lead=f"{lead} {self.lead}".strip())

    def __str__(self) -> str:
        said = " ".join(part for part in (self.lead, self.name) if part)
        if not self.parts:
            return said
        inner = "; ".join(map(str, self.parts))
        return f"{said} {inner}" if len(self.parts) == 1 else f"{said} ({inner})"


class Vocabulary:
    """What findings, values, concepts and questions of the content are called."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._analytes = {row["id"]: row["name"] for row in content.plain["analytes.yaml"]["analytes"]}
        self._questions = {item["id"]: item for item in content.plain["structured-history.yaml"]["items"]}

    def finding(self, name: str) -> Words:
        """A finding or a value, with the entry that explains it."""
        if name in self._content.findings:
            return Words(entry=name, name=self._content.findings[name]["title"])
        if name in self._analytes:
            return Words(entry=name, name=self._analytes[name])
        kind, _, analyte = name.partition("_")
        if kind in _OF_ANALYTES and analyte in self._analytes:
            return Words(entry=analyte, name=_OF_ANALYTES[kind].format(self._analytes[analyte]))
        return Words(name=_VALUES.get(name, name))

    def concept(self, name: str) -> str:
        """A concept of the value sets, or an analyte, by its title."""
        if name in self._content.codes.concepts:
            return self._content.codes.title(name)
        return str(self._analytes.get(name, name))

    def question(self, link: str) -> str:
        return str(self._questions[link]["text"]) if link in self._questions else link

    def option(self, link: str, value: Any) -> str:
        options = self._questions.get(link, {}).get("options", ())
        return next((str(o["label"]) for o in options if str(o["value"]) == str(value)), str(value))

    # ------------------------------------------------------------ formulas

    def formula(self, spec: Any) -> Words:
        """A formula of docs/content.md as a reader says it."""
        if isinstance(spec, str):
            return self.finding(spec)
        word = next(key for key in spec if key != "inclusive")
        return self._words_of[word](self, spec[word], "inclusive" in spec)

    def _several(self, lead: str, specs: Iterable[Any]) -> Words:
        parts = tuple(self.formula(spec) for spec in specs)
        return parts[0] if len(parts) == 1 else Words(lead, parts=parts)

    def _limit(self, word: str, limits: Spec, inclusive: bool) -> Words:
        ((name, limit),) = limits.items()
        value = self.finding(name)
        if word == "between":
            return Words("", value.entry, f"{value.name} from {limit[0]} to {limit[1]}, both included")
        said = {"below": ("below", "at or below"), "above": ("above", "at or above")}[word][inclusive]
        return Words("", value.entry, f"{value.name} {said} {limit}")

    def _within(self, limits: Spec) -> Words:
        ((name, span),) = limits.items()
        found = self.finding(name)
        return Words("", found.entry, f"{found.name}, with evidence of the last {span}")

    _words_of: Mapping[str, Callable[[Any, Any, bool], Words]] = {
        "all": lambda self, inner, _: self._several("all of:", inner),
        "any": lambda self, inner, _: self._several("at least one of:", inner),
        "at_least": lambda self, inner, _: self._several(f"at least {inner['n']} of:", inner["of"]),
        "absent": lambda self, inner, _: self.formula(inner).led_by("documented as absent:"),
        "not_present": lambda self, inner, _: self.formula(inner).led_by("not present (absent or not known):"),
        "below": lambda self, inner, inclusive: self._limit("below", inner, inclusive),
        "above": lambda self, inner, inclusive: self._limit("above", inner, inclusive),
        "between": lambda self, inner, inclusive: self._limit("between", inner, inclusive),
        "within": lambda self, inner, _: self._within(inner),
        "of_codes": lambda self, inner, _: self.observer(inner),
    }

    # ------------------------------------------------------------ observers

    def item(self, spec: Any, denies: bool = False) -> Words:
        """An item of ``present_when`` or ``absent_when``: an observer, a formula or a named function."""
        if isinstance(spec, Mapping) and "compute" in spec:
            return Words(str(spec.get("rule") or spec["compute"]))
        if isinstance(spec, Mapping) and any(head in spec for head in HEADS):
            return self.observer(spec, denies)
        return self.formula(spec)

    def observer(self, spec: Spec, denies: bool = False) -> Words:
        """What in a record an observer looks for. ``denies``: it stands under ``absent_when``."""
        head = next(one for one in HEADS if one in spec)
        if head == "answer":
            return Words(self._answer(spec))
        if head == "silence":
            return Words(
                f"the queries for {_either(_list(spec[head]), 'and')} were answered in full and hold none of it"
            )
        listed = self._listed(spec[head])
        lead = _LEADS[head](spec, listed, denies)
        rest = [say(self, spec[key]) for key, say in _FURTHER.items() if key in spec and key not in _SAID.get(head, ())]
        if not listed:  # no code stands for it, so there is nothing that the words would come beside
            lead, rest = lead.removesuffix(": "), [one.removeprefix("or ") for one in rest]
        return Words("; ".join([lead, *rest]))

    def _listed(self, value: Any) -> str:
        return _either(self.concept(str(one)) for one in (value if isinstance(value, list) else [value]))

    def _answer(self, spec: Spec) -> str:
        link = str(spec["answer"])
        said = [f"history form, “{self.question(link)}”"]
        if "is" in spec:
            said.append(f"answered {_either(self.option(link, v) for v in _list(spec['is']))}")
        if "lacks" in spec:
            said.append(f"answered without {_either(self.option(link, v) for v in _list(spec['lacks']))}")
        said += [say(self, spec[key]) for key, say in _FURTHER.items() if key in spec and key not in ("is", "lacks")]
        return ": ".join([said[0], "; ".join(said[1:])]) if said[1:] else said[0]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _either(words: Iterable[str], link: str = "or") -> str:
    listed = list(dict.fromkeys(words))
    return f" {link} ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else "".join(listed)


def _quoted(value: Any) -> str:
    return _either(f"“{one}”" for one in _list(value))


def _codes(value: Any) -> str:
    def code(text: str) -> str:
        system, *rest = text.split(" ", 2)
        return " ".join([SYSTEM_NAMES.get(system, system), *rest[:1], *(f"({words})" for words in rest[1:])])

    return _either(code(str(one)) for one in _list(value))


def _problem(spec: Spec, listed: str, _: bool) -> str:
    state = {"current": "a current problem", "ever": "a problem, past or present", "ended": "a problem that has ended"}
    return f"{state.get(spec.get('state', 'current'), 'a problem that was refuted')}: {listed}"


def _result(spec: Spec, listed: str, denies: bool) -> str:
    says = str(spec.get("says", "no" if denies else "yes"))
    said = {"yes": "is stated", "no": "is stated not to be there", "normal": "is called normal"}
    return f"a finding or result: {listed} {said.get(says, f'is called {says}')}"


_LEADS: Mapping[str, Callable[[Spec, str, bool], str]] = {
    "problem": _problem,
    "result": _result,
    "power": lambda spec, listed, _: f"graded muscle strength is {listed}",
    "measured": lambda spec, listed, _: f"measured: {listed}",
    "medicine": lambda spec, listed, _: f"a medicine: {listed}",
    "report": lambda spec, listed, _: f"a report of: {listed}",
    "procedure": lambda spec, listed, _: f"a completed procedure: {listed}",
    "order": lambda spec, listed, _: f"an order: {listed}",
    "visit": lambda spec, listed, _: f"a visit: {listed}",
    "relative": lambda spec, listed, _: f"a relative with: {listed}",
    "device": lambda spec, listed, _: f"a device: {listed}",
    "allergy": lambda spec, listed, _: f"an allergy: {listed}",
    "appointment": lambda spec, listed, _: f"an appointment: {listed}",
    "patient": lambda spec, listed, _: f"the patient's own entry says: {listed}",
}
# Fields that the words of a head hold already.
_SAID = {"problem": ("state",), "result": ("says",)}
_FURTHER: Mapping[str, Callable[[Vocabulary, Any], str]] = {
    "state": lambda _, v: f"state {v}",
    "states": lambda _, v: f"in state {_either(map(str, _list(v)))}",
    "says": lambda _, v: f"saying {_quoted(v)}",
    "is": lambda _, v: f"with the value {_codes(v)}",
    "range": lambda _, v: f"{v} the laboratory's own range",
    "above": lambda _, v: f"above {v}",
    "at_least": lambda _, v: f"at least {v}",
    "below": lambda _, v: f"below {v}",
    "at_most": lambda _, v: f"at most {v}",
    "which": lambda _, v: "any such value, not only the newest" if v == "any" else f"the {v} value",
    "only": lambda _, v: f"only by {_codes(v)}",
    "besides": lambda _, v: f"never by {_codes(v)}",
    "systems": lambda _, v: f"only by codes of {_either(SYSTEM_NAMES.get(s, s) for s in _list(v))}",
    "roles": lambda _, v: f"also by codes kept as {_either(map(str, _list(v)))}",
    "examined": lambda _, v: "found on examination",
    "diagnosis": lambda _, v: "confirmed, not provisional",
    "verified": lambda _, v: "with a verified status",
    "onset_stated": lambda _, v: "with a stated onset",
    "recurs": lambda _, v: "recurring",
    "sudden": lambda _, v: "not on record before, as far as the last year shows",
    "severity": lambda _, v: f"{v}",
    "muscle": lambda _, v: f"of: {_either(map(str, _list(v)))}",
    "site": lambda _, v: f"at: {_either(map(str, _list(v)))}",
    "containing": lambda _, v: f"its text holding {_quoted(v)}",
    "names": lambda _, v: f"or named in words: {_either(map(str, _list(v)))}",
    "affirms": lambda _, v: f"saying, without denial or doubt, {_quoted(v)}",
    "unless": lambda _, v: f"unless it says {_quoted(v)}",
    "unless_affirms": lambda _, v: f"unless it says, without denial or doubt, {_quoted(v)}",
    "within": lambda _, v: f"of the last {v}",
    "older_than": lambda _, v: f"older than {v}",
    "before_onset": lambda _, v: f"begun at most {v} before the twitching",
    "stopped_within": lambda _, v: f"taken now or stopped in the last {v}",
    "started_within": lambda _, v: f"started in the last {v}",
    "for_at_least": lambda _, v: f"for at least {v}",
    "daily_dose_at_least": lambda _, v: f"at least {v} a day",
    "open": lambda _, v: "under way",
    "planned": lambda _, v: "planned",
}
