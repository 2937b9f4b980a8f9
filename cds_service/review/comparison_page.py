"""comparison.html: what a clinician-reviewer reads before a change of content goes live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from cds_service.review.compare import COMPARED, Change, Compared, Difference, FactChange
from cds_service.review.document import document, figures, section, table

MOST_SHOWN = 500


def comparison_page(compared: Compared, changes: Sequence[Change]) -> str:
    """The page. ``changes``: as many of the changed patients as shall be listed."""
    return document("Two reviews compared", _sections(compared, changes))


def _sections(compared: Compared, changes: Sequence[Change]) -> Iterator[str]:
    yield _head(compared)
    if compared.warning():
        yield f"<p class='warning'><strong>{escape(compared.warning())}</strong></p>"
    yield _figures(compared)
    yield section(
        "By card",
        "What became of each card before and after, and the facts that decided it.",
        table(("Card", "Before", "After", "Patients"), _cards(compared), "numbers"),
    )
    yield section(
        "Because",
        "The facts behind these changes, by their presence before and after.",
        table(("Card", "Fact", "Before", "After", "Patients"), _facts(compared), "numbers"),
    )
    rest = compared.counts.changed - len(changes)
    more = f" {rest:,} more stand in changes.ndjson." if rest else ""
    heads = ("Patient", "Tier", "Cards", "Facts", "Tests and missing facts")
    yield section(
        "Patient by patient",
        f"To look up in the record before the change is approved.{more}",
        table(heads, (_row(compared, change) for change in changes), "changes"),
    )


def _head(compared: Compared) -> str:
    return (
        "<header><p class='kicker'>Two reviews compared</p><h1>Whose advice changes</h1>"
        f"<p class='lead'>{_run(compared.before)} → {_run(compared.after)}</p>"
        "<p class='warning'><strong>Draft content, not clinically approved.</strong> This page says what a change "
        "does over these records, not whether it is right. It holds patient references: keep it as you keep "
        "records.</p></header>"
    )


def _figures(compared: Compared) -> str:
    counts = compared.counts
    tiles = (
        (counts.both, "patients in both", ""), (counts.changed, "advice changed", ""),
        (counts.gained, "gain a card", ""), (counts.lost, "lose every card", "grave" if counts.lost else ""),
        (counts.louder, "are graver", ""), (counts.quieter, "are milder", "grave" if counts.quieter else ""),
    )  # fmt: skip
    notes = (
        f"Only in the first: {counts.only_before:,}; only in the second: {counts.only_after:,}. "
        f"Suggested tests changed for {counts.tests:,} patients, tests not suggested for {counts.withheld:,}, "
        f"missing facts for {counts.missing:,}. {compared.not_compared()}"
    )
    return figures(tiles, notes) + f"<p class='note'>{escape(COMPARED)}</p>"


def _run(run: Mapping[str, Any]) -> str:
    return (
        f"content <strong>{escape(run['content'])}</strong> <code>{escape(run['content_hash'][:12])}</code>"
        f" as of {escape(run['as_of'])}"
    )


def _cards(compared: Compared) -> Iterator[tuple[str, ...]]:
    for (card, before, after), number in sorted(compared.counts.cards.items(), key=lambda p: (p[0][0], -p[1])):
        name = f"{escape(card)} {escape(compared.title('cards', card))}"
        yield name, escape(before), escape(after), f"{number:,}"


def _facts(compared: Compared) -> Iterator[tuple[str, ...]]:
    for (card, fact, before, after), number in sorted(compared.counts.facts.items(), key=lambda p: (p[0][0], -p[1])):
        yield escape(card), escape(compared.title("findings", fact)), escape(before), escape(after), f"{number:,}"


def _row(compared: Compared, change: Change) -> tuple[str, ...]:
    cards = "<br>".join(f"{escape(c.card)}: {escape(c.before)} → {escape(c.after)}" for c in change.cards)
    facts = dict.fromkeys(_fact(compared, fact) for card in change.cards for fact in card.facts)
    tests = [
        *(f"{sign} {_order(compared, one)}" for sign, one in _parts(change.orders)),
        *(f"{sign} not suggested: {_withheld(compared, one)}" for sign, one in _parts(change.withheld)),
    ]
    missing = [f"{sign} missing: {escape(compared.title('findings', name))}" for sign, name in _parts(change.missing)]
    return (
        f"<code>{escape(change.patient)}</code><br><small>{escape(change.source)}</small>",
        escape(" → ".join(dict.fromkeys(change.tiers))),
        cards,
        "<br>".join(facts) or "the same facts",
        f"<span class='tests'>{'<br>'.join((*tests, *missing))}</span>",
    )


def _parts(difference: Difference) -> list[tuple[str, str]]:
    return [*(("+", one) for one in difference.added), *(("−", one) for one in difference.gone)]


def _order(compared: Compared, one: str) -> str:
    """``ECG/stat: 12-lead electrocardiogram`` with the test by its title."""
    test, _, items = one.partition(": ")
    name, _, priority = test.partition("/")
    return escape(f"{compared.title('tests', name)}, {priority}: {items}")


def _withheld(compared: Compared, one: str) -> str:
    test, _, why = one.partition(": ")
    return escape(f"{compared.title('tests', test)}: {why}")


def _fact(compared: Compared, fact: FactChange) -> str:
    def said(state: object, value: object, when: object) -> str:
        return " ".join(escape(str(part)) for part in (state, value, when) if part)

    before, after = (said(s["is"], s["value"], s["date"]) for s in (fact.before, fact.after))
    return f"{escape(compared.title('findings', fact.fact))}: {before} → {after}"
