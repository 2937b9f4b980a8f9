"""How the pages say what the documents hold: icons with words, and text of a chart as nothing but text."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

LONGEST = 400
# Always a sign and a word: colour alone says nothing to one reader in twelve.
PRESENCES = {"present": ("●", "present"), "absent": ("○", "absent"), "unknown": ("?", "unknown")}
INDICATORS = {"critical": ("▲", "Critical"), "warning": ("◆", "Warning"), "info": ("■", "Information")}
URGENCIES = {"E": "emergency", "U": "days to 2 weeks", "S": "weeks", "R": "routine", "N": "none"}
BANDS = {
    "critical_low": "critically low", "low": "low", "borderline_low": "just below the reference", "normal": "normal",
    "borderline_high": "just above the reference", "high": "high", "critical_high": "critically high",
}  # fmt: skip
TIERS = {
    "T0": "emergency", "T1": "critical value", "T2": "red flag", "T3": "place", "T4": "correctable result",
    "T5": "medicine or withdrawal", "T6": "hyperexcitable nerve", "T7": "benign", "overlay": "beside others",
    "silent": "no card",
}  # fmt: skip


def pretty(resource: Any) -> str:
    """JSON to read; whatever could turn the direction of text is written as an escape."""
    return json.dumps(resource, indent=2)


def plain(text: Any, longest: int = LONGEST) -> str:
    """Text of a chart, cut to a length, with what could turn or hide the words around it made visible."""
    said = str(text)
    cut = said[:longest] + (f" … ({len(said)} characters)" if len(said) > longest else "")
    return "".join(sign if _harmless(sign) else f"⟨U+{ord(sign):04X}⟩" for sign in cut)


def _harmless(sign: str) -> bool:
    return sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
