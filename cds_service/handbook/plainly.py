"""Rules in plain words: formulas and observers as a reader says them, each name with the entry it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cds_service.clinical.observe import HEADS
from cds_service.knowledge.content import Content

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
        self._analytes = {row["id"]: row["name"] for row in content.analytes}
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
            queries = _either(_list(spec[head]), "and")
            return Words(f"the queries for {queries} were answered in full and hold none of it")
        listed = _either(self.concept(str(one)) for one in _list(spec[head]))
        lead = _lead(head, spec, listed, denies)
        rest = [say(spec[key]) for key, say in _FURTHER.items() if key in spec and key not in _SAID.get(head, ())]
        if not listed:  # no code stands for it, so there is nothing that the words would come beside
            lead, rest = lead.removesuffix(": "), [one.removeprefix("or ") for one in rest]
        return Words("; ".join([lead, *rest]))

    def _answer(self, spec: Spec) -> str:
        link = str(spec["answer"])
        said = [f"history form, “{self.question(link)}”"]
        if "is" in spec:
            said.append(f"answered {_either(self.option(link, v) for v in _list(spec['is']))}")
        if "lacks" in spec:
            said.append(f"answered without {_either(self.option(link, v) for v in _list(spec['lacks']))}")
        said += [say(spec[key]) for key, say in _FURTHER.items() if key in spec and key not in ("is", "lacks")]
        return ": ".join([said[0], "; ".join(said[1:])]) if said[1:] else said[0]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _either(words: Iterable[str], link: str = "or") -> str:
    listed = list(dict.fromkeys(words))
    return f" {link} ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else "".join(listed)


def _named(value: Any) -> str:
    return _either(map(str, _list(value)))


def _quoted(value: Any) -> str:
    return _either(f"“{one}”" for one in _list(value))


def coded(text: str) -> str:
    """A code of the content, ``loinc 2900-9 Pyridoxine …``, as readers know it."""
    system, *rest = text.split(" ", 2)
    return " ".join([SYSTEM_NAMES.get(system, system), *rest[:1], *(f"({words})" for words in rest[1:])])


def _codes(value: Any) -> str:
    return _either(coded(str(one)) for one in _list(value))


def _lead(head: str, spec: Spec, listed: str, denies: bool) -> str:
    if head == "problem":
        return f"{_STATES.get(spec.get('state', 'current'), 'a problem that was refuted')}: {listed}"
    if head == "result":
        says = str(spec.get("says", "no" if denies else "yes"))
        return f"a finding or result: {listed} {_RESULTS.get(says, f'is called {says}')}"
    return f"{_LEADS[head]} {listed}"


_STATES = {"current": "a current problem", "ever": "a problem, past or present", "ended": "a problem that has ended"}
_RESULTS = {"yes": "is stated", "no": "is stated not to be there", "normal": "is called normal"}
_LEADS = {
    "power": "graded muscle strength is", "measured": "measured:", "medicine": "a medicine:", "report": "a report of:",
    "procedure": "a completed procedure:", "order": "an order:", "visit": "a visit:", "relative": "a relative with:",
    "device": "a device:", "allergy": "an allergy:", "appointment": "an appointment:",
    "patient": "the patient's own entry says:",
}  # fmt: skip
# Fields that the words of a head hold already.
_SAID = {"problem": ("state",), "result": ("says",)}
_FURTHER: Mapping[str, Callable[[Any], str]] = {
    "state": lambda v: f"state {v}",
    "states": lambda v: f"in state {_named(v)}",
    "says": lambda v: f"saying {_quoted(v)}",
    "is": lambda v: f"with the value {_codes(v)}",
    "range": lambda v: f"{v} the laboratory's own range",
    "above": lambda v: f"above {v}",
    "at_least": lambda v: f"at least {v}",
    "below": lambda v: f"below {v}",
    "at_most": lambda v: f"at most {v}",
    "which": lambda v: "any such value, not only the newest" if v == "any" else f"the {v} value",
    "only": lambda v: f"only by {_codes(v)}",
    "besides": lambda v: f"never by {_codes(v)}",
    "systems": lambda v: f"only by codes of {_either(SYSTEM_NAMES.get(s, s) for s in _list(v))}",
    "roles": lambda v: f"also by codes kept as {_named(v)}",
    "examined": lambda v: "found on examination",
    "diagnosis": lambda v: "confirmed, not provisional",
    "verified": lambda v: "with a verified status",
    "onset_stated": lambda v: "with a stated onset",
    "onset_told": lambda v: "begun when its own words tell, where no onset is stated",
    "recurs": lambda v: "recurring",
    "again": lambda v: "on record before in the last year as well",
    "sudden": lambda v: "not on record before, as far as the last year shows",
    "severity": str,
    "muscle": lambda v: f"of: {_named(v)}",
    "site": lambda v: f"at: {_named(v)}",
    "containing": lambda v: f"its text holding {_quoted(v)}",
    "names": lambda v: f"or named in words: {_named(v)}",
    "affirms": lambda v: f"saying, without denial or doubt, {_quoted(v)}",
    "whole": lambda v: f"saying nothing but {_quoted(v)}",
    "unless": lambda v: f"unless it says {_quoted(v)}",
    "unless_affirms": lambda v: f"unless it says, without denial or doubt, {_quoted(v)}",
    "within": lambda v: f"of the last {v}",
    "older_than": lambda v: f"older than {v}",
    "before_onset": lambda v: f"begun at most {v} before the twitching",
    "stopped_within": lambda v: f"taken now or stopped in the last {v}",
    "started_within": lambda v: f"started in the last {v}",
    "for_at_least": lambda v: f"for at least {v}",
    "daily_dose_at_least": lambda v: f"at least {v} a day",
    "open": lambda v: "under way",
    "planned": lambda v: "planned",
}
