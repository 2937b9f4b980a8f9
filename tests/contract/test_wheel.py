"""The wheel alone is enough: installed into an empty environment, far from the checkout, it gives cards."""

from __future__ import annotations

import email
import importlib.metadata
import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cds_service import __version__
from tests.conftest import ROOT


@dataclass
class Installed:
    """An environment that holds the wheel and what it says it needs, and a folder with nothing in it."""

    wheel: Path
    scripts: Path
    elsewhere: Path

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("CDS_", "PYTHON", "VIRTUAL_ENV"))}
        return subprocess.run(
            [str(self.scripts / command), *arguments],
            cwd=self.elsewhere,
            env=kept,
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def package(self) -> Path:
        where = "import cds_service, pathlib; print(pathlib.Path(cds_service.__file__).parent)"
        return Path(self.run("python", "-c", where).stdout.strip())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("wheel")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    _done(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT))
    wheel = next((folder / "dist").glob("*.whl"))
    venv.create(folder / "venv", with_pip=False, symlinks=os.name != "nt")
    scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = ("-m", "pip", "--python", str(scripts / "python"), "install", "--no-deps", "--no-index", "--no-compile")
    _done(sys.executable, *pip, "--quiet", "--disable-pip-version-check", str(wheel))
    packages = next((folder / "venv").rglob("site-packages"))
    _lend(packages, needed_by((packages / f"cds_service-{__version__}.dist-info" / "METADATA").read_text()))
    yield Installed(wheel, scripts, elsewhere)


def needed_by(about: str) -> set[str]:
    """The distributions that a package needs, by its metadata and theirs. Extras only where somebody asks for them."""
    lines = email.message_from_string(about).get_all("Requires-Dist", [])
    asked = [(Requirement(line), frozenset[str]()) for line in lines]
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    while asked:
        wanted, of = asked.pop()
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in of | {""}):
            continue
        extras = frozenset(wanted.extras)
        if (wanted.name, extras) not in seen:
            seen.add((wanted.name, extras))
            found.add(wanted.name)
            asked += [(Requirement(line), extras) for line in importlib.metadata.requires(wanted.name) or ()]
    return found


def _lend(packages: Path, names: set[str]) -> None:
    """Put what is installed here, and needed there, into an environment: as an installer would, without the network."""
    for name in names:
        files = importlib.metadata.distribution(name).files or ()
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            place = packages / top
            if not place.exists():
                place.symlink_to(Path(str(importlib.metadata.distribution(name).locate_file(top))))


def _done(*command: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]


def test_the_wheel_holds_code_content_fixtures_and_licences_and_nothing_else(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"cds_service", f"cds_service-{__version__}.dist-info"}
    for wanted in (
        "cards/VERSION",
        "cards/catalogue/",
        "fixtures/requests/bare-entry.json",
        "fixtures/requests/hand-weakness.json",
        "fixtures/requests/low-potassium.json",
        "wsgi.py",
        "web/migrations/versions/",
        "openapi.yaml",
        "web/templates/reference.html",
        "handbook/handbook.css",
        "handbook/templates/entry.html",
    ):
        assert any(name.startswith(f"cds_service/{wanted}") for name in names), wanted
    for wanted in ("LICENSE", "NOTICE"):
        assert any(name.endswith(f"/{wanted}") for name in names), wanted


def test_the_code_that_runs_is_the_installed_one(installed: Installed) -> None:
    assert installed.package.is_relative_to(installed.scripts.parent)
    assert installed.run("cds-service", "--version").stdout.strip().endswith(__version__)


IMPORTS = """
import importlib, pkgutil, cds_service
for module in pkgutil.walk_packages(cds_service.__path__, "cds_service."):
    # A review has extras of its own; these two run when they are imported.
    if not module.name.startswith(("cds_service.review.", "cds_service.wsgi", "cds_service.__main__")):
        importlib.import_module(module.name)
"""


def test_whatever_the_service_imports_is_among_what_the_wheel_needs(installed: Installed) -> None:
    done = installed.run("python", "-c", IMPORTS)
    assert done.returncode == 0, done.stderr


def test_a_fixture_of_the_package_gives_cards(installed: Installed) -> None:
    file = installed.package / "fixtures" / "requests" / "low-potassium.json"
    done = installed.run("cds-service", "assess", str(file), "--today", "2026-06-15", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cards"]
    assert list(installed.elsewhere.iterdir()) == []
