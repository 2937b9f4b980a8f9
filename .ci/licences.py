"""docs/licences.md from requirements.lock: what each package is licensed under, as its own metadata says.

    python .ci/licences.py [--check]

Ends with 1 for a licence that is neither permissive nor accepted below with a reason; with --check nothing is written,
and a page that is not as it would be written ends with 1, too.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
PERMISSIVE = {
    "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "BSD", "Apache-2.0", "ISC", "PSF-2.0", "Unlicense", "0BSD", "Zlib",
}  # fmt: skip
# Not permissive, and looked at.
ACCEPTED = {
    "certifi": ("MPL-2.0", "authorities of httpx, unchanged; the licence covers its own files only"),
    "orjson": ("MPL-2.0", "offered under MPL-2.0 and (Apache-2.0 or MIT); unchanged"),
    "psycopg": ("LGPL-3.0", "the extra [postgresql] only; a library of its own, unchanged, that can be exchanged"),
    "psycopg-binary": ("LGPL-3.0", "the same"),
}
# Needed on other systems only, and so perhaps not installed here.
ELSEWHERE = {"tzdata": "Apache-2.0"}
HEAD = (
    "# Licences of what is installed\n\n"
    "Written by `make licences` from `requirements.lock` and the metadata of the packages; not a legal opinion. The "
    "project itself is under [Apache-2.0](../LICENSE), the terminologies in its content under their own terms: "
    "[NOTICE](../NOTICE). Tools of the tests are not delivered and not listed.\n\n"
    "| Package | Licence | Accepted because |\n|---|---|---|\n"
)
# How metadata of the packages spell what SPDX calls otherwise.
SPELLED = {
    "MIT License": "MIT", "The MIT License": "MIT", "BSD License": "BSD", "BSD license": "BSD",
    "BSD 3-Clause License": "BSD-3-Clause", "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0", "Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0", "Apache-2": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0", "PSFL": "PSF-2.0", "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0",
    "LGPL-3.0-only": "LGPL-3.0",
}  # fmt: skip


def locked() -> list[str]:
    """The names in requirements.lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return sorted(re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", text, flags=re.MULTILINE))


def licence_of(name: str) -> str:
    """What the metadata say, in SPDX's words where they are known; empty when the package is not installed here."""
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return ""
    classified = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier", ()) if c.startswith("License ::")]
    said = about.get("License-Expression") or about.get("License") or ""
    if not said or "\n" in said or len(said) > 60:
        said = " AND ".join(classified)  # some write the whole text into the field
    return SPELLED.get(said, said)


def is_fine(name: str, licence: str) -> bool:
    parts = re.split(r"\s+(?:AND|OR)\s+", licence.replace("(", "").replace(")", ""))
    return all(part in PERMISSIVE for part in parts) or (name in ACCEPTED and ACCEPTED[name][0] in parts)


def page(known: dict[str, str]) -> str:
    rows = "".join(
        f"| [{name}](https://pypi.org/project/{name}/) | {licence} | {ACCEPTED.get(name, ('', ''))[1]} |\n"
        for name, licence in known.items()
    )
    return HEAD + rows


def main() -> int:
    known = {name: licence_of(name) or ELSEWHERE.get(name, "") for name in locked()}
    faults = [
        f"{name}: '{licence}' is neither permissive nor accepted in .ci/licences.py"
        for name, licence in known.items()
        if not is_fine(name, licence)
    ]
    if "--check" not in sys.argv:
        PAGE.write_text(page(known), encoding="utf-8")
    elif _page_now() != page(known):
        faults.append("docs/licences.md is not up to date: make licences")
    print("\n".join(faults) or f"{len(known)} packages, each permissive or accepted with a reason")
    return int(bool(faults))


def _page_now() -> str:
    return PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
