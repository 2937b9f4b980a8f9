"""How the pages say what the documents hold: icons with words, and text of a chart as nothing but text."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

LONGEST = 400
# Always a sign and a word: colour alone says nothing to one reader in twelve.
PRESENCES = {"present": ("●", "present"), "absent": ("○", "absent"), "unknown": ("?", "unknown")}
# The same three values of a rule's condition.
CONDITIONS = {"present": ("●", "holds"), "absent": ("○", "does not hold"), "unknown": ("?", "undecided")}
INDICATORS = {"critical": ("▲", "Critical"), "warning": ("◆", "Warning"), "info": ("■", "Information")}
URGENCIES = {"E": "emergency", "U": "days to 2 weeks", "S": "weeks", "R": "routine", "N": "none"}
OUTCOMES = {"not triggered": "did not fire", "held back": "held back", "merged": "merged", "shown": "shown"}
BANDS = {
    "critical_low": "critically low", "low": "low", "borderline_low": "just below the reference", "normal": "normal",
    "borderline_high": "just above the reference", "high": "high", "critical_high": "critically high",
}  # fmt: skip
SILENT = "silent"
TIERS = {
    "T0": "emergency", "T1": "critical value", "T2": "red flag", "T3": "place", "T4": "correctable result",
    "T5": "medicine or withdrawal", "T6": "hyperexcitable nerve", "T7": "benign pattern",
    "overlay": "beside the ladder", SILENT: "no card",
}  # fmt: skip


def pretty(resource: Any) -> str:
    """JSON to read; whatever could turn the direction of text is written as an escape."""
    return json.dumps(resource, indent=2)


def sentence(text: Any) -> str:
    """Words of the content as a heading: some of its titles begin with a capital, some do not."""
    said = str(text)
    return said[:1].upper() + said[1:]


def plain(text: Any, longest: int = LONGEST) -> str:
    """Text of a chart, cut to a length, with what could turn or hide the words around it made visible."""
    said = str(text)
    cut = said[:longest] + (f" … ({len(said)} characters)" if len(said) > longest else "")
    return "".join(sign if _harmless(sign) else f"⟨U+{ord(sign):04X}⟩" for sign in cut)


def _harmless(sign: str) -> bool:
    return sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
