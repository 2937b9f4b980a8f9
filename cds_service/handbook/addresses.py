"""Addresses of the handbook that others link to, from its own root. They stay."""

from __future__ import annotations


def page_of_card(card: str) -> str:
    """Where a card is explained."""
    return f"cards/{card}.html"


def page_of_attributes(form: str = "html") -> str:
    """Where intended use, limits and source attributes stand: ``html`` to read, ``json`` for machines."""
    return f"source-attributes.{form}"
