"""The named functions of the content: rules that pair results, compare dates or count regions.

Each takes the numbers of its content file and returns a judge. The rule in plain words stands in
the content file that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cds_service.clinical.findings import Judge

Parameters = Mapping[str, Any]
Compile = Callable[[str, Parameters], Judge]

NAMED: dict[str, Compile] = {}


def named(function: Compile) -> Compile:
    """Register a function under its own name; the content refers to it by that name."""
    NAMED[function.__name__] = function
    return function
