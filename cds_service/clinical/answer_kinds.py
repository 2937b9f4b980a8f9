"""What kind of answer free words are: a negation, words of wellness, a place or a degree, or none of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cds_service.clinical.clauses import clauses_of, contains
from cds_service.clinical.lexicon import Lexicon, Words
from cds_service.clinical.sides import OTHER_NAMES


class AnswerKinds:
    """The lists of ``answer_kinds`` in words.yaml."""

    def __init__(self, listed: Mapping[str, Iterable[Words]]) -> None:
        def of(*names: str) -> Lexicon:
            return Lexicon({words: name for name in names for words in listed.get(name, ())})

        self._teller, self._cannot, self._examining = of("teller"), of("cannot"), of("examining")
        self._not_examined, self._negation, self._nothing_else = of("not_examined"), of("negation"), of("nothing_else")
        self._placing, self._only_placing = of("placing"), of("placing", "beside_placing")
        self._well, self._only_well = of("well"), of("well", "beside_well")
        self._affirming, self._spared, self._graded = of("affirming"), of("spared"), of("graded")
        self._spared_of = [(stem, Lexicon({tuple(words): ""})) for stem, *words in listed.get("spared_of", ())]
        self._well_of = [stem for (stem,) in listed.get("well_of", ())]

    def of(self, said: Words, named: str = "") -> str:
        """The kind of a whole answer: "denied", "well", "open", or "" where it affirms. ``named``: what is asked."""
        clauses = [self.of_clause(clause, named) for clause in clauses_of(said)]
        if "placed" in clauses:
            return ""
        if "one side" in clauses:
            return "denied" if set(clauses) == {"one side"} and len(clauses) > 1 else "open"
        kind = next((kind for kind in ("open", "") if kind in clauses), clauses[0] if clauses else "")
        return "open" if kind == "spared" else kind

    def of_clause(self, clause: Words, named: str = "") -> str:
        while self._teller.at(clause):
            clause = clause[1:]
        if len(clause) > 1 and clause[0] in OTHER_NAMES:
            inner = self.of_clause(clause[1:], named)
            return {"denied": "one side", "well": "one side", "open": "open"}.get(inner, "placed")
        unable = self._cannot.length_at(clause)
        if unable:
            after = [word for word in clause[unable:] if word != "be" and not word.endswith("ly")]
            return "open" if self._examining.at(after) else "placed"
        if self._not_examined.at(clause):
            return "open"
        negated = self._negation.length_at(clause)
        if negated:
            if any(self._affirming.at(clause, place) for place in range(1, 4)):
                return "placed"
            return "denied" if self._nothing_else.covers(clause, negated) else "open"
        well = bool(self._well.at(clause)) or self._well.has_one_of(clause)
        if well and self._only_well.covers(clause):
            return "well"
        if self._spares(clause, named):
            return "spared"
        placed = not well and self._placing.has_one_of(clause) and not self._examining.has_one_of(clause)
        return "placed" if placed else ""

    def _spares(self, clause: Words, named: str) -> bool:
        """Whether a clause tells of wellness in other words, "sleeps flat without difficulty", and of no sign."""
        spared = any(stem in named and contains(clause, words) for stem, words in self._spared_of)
        spared = spared or (contains(clause, self._spared) and not self.well_says_nothing_of(named))
        return spared and not contains(clause, self._graded)

    def well_says_nothing_of(self, named: str) -> bool:
        """Whether "fine" or "normal" denies nothing of this name: a tremor may be fine."""
        return any(stem in named for stem in self._well_of)

    def only_places(self, said: Words) -> bool:
        """Whether an answer says no more than yes, where and how much."""
        return bool(said) and self._only_placing.covers(said)
