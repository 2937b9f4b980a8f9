"""report.html: a review for the person in charge. One file, no script, nothing from any network, printable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from cds_service.review.charts import Line, Piece, bars, histogram
from cds_service.review.document import document, figures, legend, section, table
from cds_service.review.rows import NO_TIER
from cds_service.review.summary import AGES, SEXES, Quality, Summary, Urgent

_TIERS = {
    "T0": "Emergency features", "T1": "Critical laboratory value", "T2": "Weakness, motor neurone or muscle pattern",
    "T3": "Root, plexus, nerve, cord or face", "T4": "Correctable laboratory finding",
    "T5": "Medicine, alcohol or substance", "T6": "Nerve hyperexcitability", "T7": "Benign pattern and follow-up",
    "overlay": "Only tests or questions", NO_TIER: "No card",
}  # fmt: skip
_INDICATORS = ("critical", "warning", "info")
_STATES = {"done": "a valid result is on file", "pending": "already ordered", "withheld": "withheld with a reason"}
_FIRST, _MOST_ROWS, _MOST_LABS = 12, 20, 24


def page(summary: Summary, manifest: Mapping[str, Any]) -> str:
    """The whole report. Everything that comes from data is escaped."""
    title = f"Review of records for charted muscle twitching, {manifest['as_of']}"
    return document(title, _sections(summary, manifest))


def _sections(found: Summary, manifest: Mapping[str, Any]) -> Iterator[str]:
    names = manifest["dictionary"]
    yield _head(manifest)
    yield _figures(found, manifest)
    yield _first(found, names)
    yield _advice(found, names)
    yield _people(found)
    yield _missing(found, names)
    yield _tests(found, names)
    yield _labs(found, names)
    yield _quality(found)
    yield _reading(manifest)
    yield _all_urgent(found, names)


def _head(manifest: Mapping[str, Any]) -> str:
    sources = ", ".join(
        f"{name} ({count:,} {'file' if count == 1 else 'files'})"
        for name, count in list(manifest["sources"].items())[:6]
    )
    more = f" and {len(manifest['sources']) - 6} more" if len(manifest["sources"]) > 6 else ""
    return (
        "<header><p class='kicker'>Review of records</p><h1>Charted muscle twitching</h1>"
        f"<p class='lead'>As of <strong>{escape(manifest['as_of'])}</strong>, from {escape(sources)}{more}. "
        f"Content {escape(manifest['content'])}.</p>"
        "<p class='warning'><strong>Draft content, not clinically approved.</strong> Nobody has validated it. "
        "It supports and does not replace clinical judgement. This page holds patient references: "
        "keep it as you keep records.</p></header>"
    )


def _figures(found: Summary, manifest: Mapping[str, Any]) -> str:
    tally = manifest["tally"]
    tiles = (
        (tally["patients"], "patients in", ""),
        (found.twitching, "with charted twitching", ""),
        (found.twitching_unknown, "whose record says neither yes nor no", ""),
        (found.with_card, "with a card", ""),
        (found.urgent_patients, "with an emergency or critical fact", "grave"),
        (tally["in_error"], "could not be assessed", "grave" if tally["in_error"] else ""),
        (tally["troubles"], "files or records not usable: how many patients they held is not known",
         "grave" if tally["troubles"] else ""),
    )  # fmt: skip
    sums = f"{tally['patients']:,} patients in = {tally['assessed']:,} assessed + {tally['in_error']:,} in error."
    return figures(tiles, sums)


def _first(found: Summary, names: Mapping[str, Any]) -> str:
    explained = (
        "Charts with twitching that hold a recorded emergency feature or a critical result, newest first. "
        "A date long past may have been dealt with: the chart says so, this page does not."
    )
    if not found.urgent:
        return section("To look at first", explained, "<p>None.</p>")
    more = f"<p><a href='#all'>All {found.urgent_patients:,} charts at the end of this page</a></p>"
    shown = _urgent_table(found.urgent[:_FIRST], names)
    return section("To look at first", explained, shown, more if found.urgent_count > _FIRST else "")


def _urgent_table(listed: Iterable[Urgent], names: Mapping[str, Any]) -> str:
    heads = ("Newest fact", "Patient", "What is recorded", "Card", "Outcome")
    return table(heads, (_urgent_row(urgent, names) for urgent in listed), "urgent")


def _all_urgent(found: Summary, names: Mapping[str, Any]) -> str:
    if found.urgent_count <= _FIRST:
        return ""
    rest = found.urgent_count - len(found.urgent)
    more = f" {rest:,} older entries stand in results.ndjson under <code>emergencies</code>." if rest else ""
    explained = (
        f"Charts with an emergency feature or a critical result, newest first: {found.urgent_patients:,} charts, "
        f"each with a row for every such card.{more}"
    )
    return section("<span id='all'>All charts to look at</span>", explained, _urgent_table(found.urgent, names))


def _urgent_row(urgent: Urgent, names: Mapping[str, Any]) -> tuple[str, ...]:
    facts = "<br>".join(f"{escape(what)} <time>{escape(when)}</time>" for what, when in urgent.facts[:6])
    title = names["cards"].get(urgent.card, {}).get("title", "")
    return (
        f"<time>{escape(urgent.newest or 'undated')}</time>",
        f"<code>{escape(urgent.patient)}</code><br><small>{escape(urgent.source)}</small>",
        facts or "see the chart",
        f"{escape(urgent.card)} {escape(title)}",
        escape(urgent.outcome),
    )


def _advice(found: Summary, names: Mapping[str, Any]) -> str:
    tiers = [
        Line(
            f"{tier} {title}" if tier.startswith("T") else title, (Piece(found.tiers[tier], _shade(tier), "patients"),)
        )
        for tier, title in _TIERS.items()
        if found.tiers[tier]
    ]
    per_card: dict[str, Counter[str]] = {}
    for (card, indicator), count in found.cards.items():
        per_card.setdefault(card, Counter())[indicator] += count
    cards = [
        Line(
            f"{card} {names['cards'].get(card, {}).get('title', '')}",
            tuple(Piece(counts[level], level, level) for level in _INDICATORS),
        )
        for card, counts in sorted(per_card.items(), key=lambda pair: (-pair[1].total(), pair[0]))
    ]
    silent = [(escape(reason), f"{count:,}") for reason, count in _most_first(found.silent)]
    return section(
        "Tiers and cards",
        "The tier of the leading card of each chart with twitching, then every card shown; at most three for a chart.",
        "<h3>By tier of the leading card</h3>",
        bars("Charts by tier of the leading card", tiers, found.twitching),
        legend((level, level) for level in _INDICATORS),
        "<h3>By card</h3>",
        bars("Cards shown", cards),
        "<h3>Twitching, and no card, because</h3>" + table(("Reason", "Charts"), silent) if silent else "",
    )


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _shade(tier: str) -> str:
    return {"T0": "critical", "T1": "critical", "T2": "warning", "T3": "warning", NO_TIER: "muted"}.get(tier, "info")


def _people(found: Summary) -> str:
    styles = dict(zip(SEXES, ("sex-a", "sex-b", "muted"), strict=True))
    bands = [(place, f"{a} to {b}" if b < 150 else f"{a} and over") for place, (a, b) in enumerate(AGES)]
    bands.append((-1, "age not known"))
    with_card: Counter[tuple[int, str]] = Counter()
    for (place, sex, tier), count in found.by_age_and_sex.items():
        with_card[place, sex] += count if tier != NO_TIER else 0
    lines = [
        Line(name, tuple(Piece(with_card[place, sex], styles[sex], sex) for sex in SEXES)) for place, name in bands
    ]
    tiers = [tier for tier in _TIERS if found.tiers[tier]]
    rows = []
    for place, name in bands:
        for sex in SEXES:
            counts = [found.by_age_and_sex[place, sex, tier] for tier in tiers]
            if of := found.people[place, sex]:
                told = f"{sum(counts):,} ({sum(counts) / of:.1%})"
                rows.append((name, sex, f"{of:,}", told, *(f"{count:,}" if count else "" for count in counts)))
    return section(
        "By age and sex",
        "Charts with a card, by the age on the day of the review; below, all who were assessed, how many of them "
        "have charted twitching, and these by tier.",
        bars("Charts with a card by age and sex", [line for line in lines if line.total]),
        legend((styles[sex], sex) for sex in SEXES),
        table(
            ("Age", "Sex", "Assessed", "Twitching", *(tier if tier != NO_TIER else "no card" for tier in tiers)),
            rows,
            "numbers",
        ),
    )


def _missing(found: Summary, names: Mapping[str, Any]) -> str:
    lines = [
        Line(names["findings"].get(name, name), (Piece(count, "info", "charts"),))
        for name, count in _most_first(found.missing)[:_MOST_ROWS]
    ]
    return section(
        "Decisive facts that are missing",
        "What the cards ask for and the chart does not say, neither yes nor no: each could change the advice.",
        bars("Missing decisive facts", lines, found.with_card) if lines else "<p>None.</p>",
    )


def _tests(found: Summary, names: Mapping[str, Any]) -> str:
    tests = Counter[str]()
    for (test, _), count in (*found.suggested.items(), *found.avoided.items()):
        tests[test] += count
    order = [test for test, _ in _most_first(tests)]
    avoided = [
        Line(
            names["tests"].get(test, test),
            tuple(Piece(found.avoided[test, state], f"state-{state}", told) for state, told in _STATES.items()),
        )
        for test in order
    ]
    rows = [
        (
            escape(names["tests"].get(test, test)),
            *(f"{found.suggested[test, level] or ''}" for level in ("stat", "asap", "urgent", "routine")),
            "<br>".join(
                f"{escape(why)} ({count:,})" for (name, why), count in found.because.most_common() if name == test
            ),
        )
        for test in order[:_MOST_ROWS]
    ]
    total = sum(found.avoided.values())
    shown = [line for line in avoided if line.total][:_MOST_ROWS]
    return section(
        "Tests suggested and avoided",
        f"{total:,} times a test that a card names was not suggested, because a valid result is on file, it is "
        "already ordered, or something speaks against it.",
        bars("Tests avoided", shown) if shown else "",
        legend((f"state-{state}", told) for state, told in _STATES.items()),
        table(("Test", "stat", "asap", "urgent", "routine", "Not suggested because"), rows, "numbers"),
    )


def _labs(found: Summary, names: Mapping[str, Any]) -> str:
    chosen = sorted(found.labs.items(), key=lambda pair: (-pair[1].count, pair[0]))[:_MOST_LABS]
    tiles = []
    for name, values in chosen:
        row = names["analytes"][name]
        limits = {row[key]: "limit" for key in ("low", "high") if row[key] is not None}
        limits |= {row[key]: "limit-critical" for key in ("critical_low", "critical_high") if row[key] is not None}
        title = f"{row['name']}: {values.count:,} values"
        bounds = f", {values.bounds:,} as a bound" if values.bounds else ""
        outside = ((sum(values.bins[side]), side) for side in ("beyond", "critical"))
        beyond = "".join(f", {number:,} {side}" for number, side in outside)
        picture = histogram(title, row["unit"], values, limits.items())
        caption = f"{escape(row['name'])} · {values.count:,}{bounds}{beyond}"
        tiles.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
    return section(
        "Laboratory values against the limits",
        "The newest value that still counts, in charts with twitching; lines are the limits of the content, for "
        "adults; the outer bins hold everything beyond them. A laboratory's own range or flag goes before them.",
        legend((("lab-inside", "inside"), ("lab-beyond", "beyond a limit"), ("lab-critical", "critical"))),
        f"<div class='tiles'>{''.join(tiles)}</div>" if tiles else "<p>None.</p>",
    )


def _quality(found: Summary) -> str:
    rows = [
        (
            escape(source),
            f"{quality.patients:,}",
            f"{sum(quality.troubles.values()):,}",
            f"{quality.no_birth_date:,}",
            f"{quality.no_sex:,}",
            _counted(quality),
        )
        for source, quality in sorted(found.quality.items())
    ]
    heads = ("Source", "Assessed", "Faults", "No birth date", "No sex", "What could not be used")
    return section(
        "Data quality by source",
        "Faults stand in errors.ndjson with file and offset; gaps stand on each patient's line. In charts without "
        "twitching only what could open the question is read, so gaps are counted there for problems, findings, "
        "visits and answers.",
        table(heads, rows, "numbers"),
    )


def _counted(quality: Quality) -> str:
    both = (*quality.troubles.most_common(8), *quality.gaps.most_common(8))
    return "<br>".join(f"{escape(reason)} ({count:,})" for reason, count in both) or "nothing"


def _reading(manifest: Mapping[str, Any]) -> str:
    cards_off = manifest["policy"]["cards_off"]
    site = f" Switched off by this site: {escape(', '.join(cards_off))}." if cards_off else ""
    return section(
        "How to read this page",
        "Every patient was assessed by the same reasoning as at the hook, on the day given above, with every query "
        "counted as answered: what a record does not hold was not found. Emergency features, missing facts, tests "
        "and laboratory values are counted only in charts in which twitching is charted. Unknown is never counted "
        f"as normal.{site} Content hash <code>{escape(manifest['content_hash'][:16])}</code>, service "
        f"{escape(manifest['service'])}.",
    )
