"""Which small faults in cds_service/clinical/ no test notices: they are put in one at a time.

Worked examples come first, then the unit tests of the reasoning, then the stories of fixtures/; what fails first
notices the fault. Each is put into a fork of a process that has read the content. Linux only.

    python benchmarks/mutants.py [--sample 220] [--seed 1] [--only ranking.py]
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
CLINICAL = ROOT / "cds_service" / "clinical"
STORIES = [
    page for kind in ("records", "quiet", "shapes") for page in sorted((ROOT / "fixtures" / kind).glob("*.yaml"))
]
ABOUT = ("cds_service.clinical", "cds_service.worked_examples")
UNIT = [str(file) for file in sorted((ROOT / "tests/unit").glob("*.py")) if any(a in file.read_text() for a in ABOUT)]
SILENCE = "tests/property/test_any_chart.py::test_little_is_asked_of_a_chart_that_says_little"
QUICK = {"ranking.py": ["tests/property/test_ranking.py"], "silence.py": [SILENCE]}
SECONDS = 60  # of processor time, so that a busy machine notices no more; what takes longer has been noticed

OTHERS: dict[type[ast.AST], tuple[type[Any], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,), ast.And: (ast.Or,), ast.Or: (ast.And,), ast.Add: (ast.Sub,), ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
}  # fmt: skip
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    file: Path
    number: int  # in the order in which the faults of the file are found
    line: int
    change: str


def faults_of(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left=left, ops=[first, *rest], comparators=others):
            yield from (ast.Compare(left, [op(), *rest], others) for op in OTHERS[type(first)])
        case ast.BoolOp(op=op, values=values):
            yield from (ast.BoolOp(other(), values) for other in OTHERS[type(op)])
        case ast.BinOp(left=left, op=op, right=right):
            yield from (ast.BinOp(left, other(), right) for other in OTHERS.get(type(op), ()))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in SWAPPED:
            yield ast.Call(ast.Name(SWAPPED[name], ast.Load()), args, keywords)
        case ast.Return(value=value) if value is not None and ast.unparse(value) not in ("None", "True", "False"):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue() | ast.Break():
            yield ast.Pass()


class Faults(ast.NodeTransformer):
    """Finds every fault and puts the wanted one in. Types, decorators, errors and texts decide nothing."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted = wanted
        self.found: list[tuple[int, str]] = []

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.arg | ast.Raise | ast.JoinedStr):
            return node
        for other in faults_of(node):
            change = f"{ast.unparse(node)} -> {ast.unparse(ast.fix_missing_locations(other))}"
            self.found.append((getattr(node, "lineno", 0), " ".join(change.split())))
            if len(self.found) - 1 == self.wanted:
                return ast.copy_location(other, node)
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.AST) and field not in ("annotation", "returns"):
                setattr(node, field, self.visit(value))
            elif isinstance(value, list) and field != "decorator_list":
                setattr(node, field, [self.visit(part) if isinstance(part, ast.AST) else part for part in value])
        return node


def mutants_of(file: Path) -> list[Mutant]:
    faults = Faults()
    faults.visit(ast.parse(file.read_text()))
    return [Mutant(file, number, line, change) for number, (line, change) in enumerate(faults.found)]


def put_in(mutant: Mutant) -> None:
    tree = ast.fix_missing_locations(Faults(mutant.number).visit(ast.parse(mutant.file.read_text())))
    path, code, written = str(mutant.file), compile(tree, mutant.file, "exec"), SourceFileLoader.get_code
    SourceFileLoader.get_code = lambda self, name: code if self.path == path else written(self, name)  # type: ignore[method-assign]


def noticed_by(mutant: Mutant, content: Any) -> str:
    """What notices the fault; empty when nothing does. The process is of no use afterwards."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("cds_service", "tests")]:
        del sys.modules[name]
    try:
        put_in(mutant)
        vars(importlib.import_module("cds_service.knowledge.load"))["read_content"] = lambda *_, **__: content
        compiled = importlib.import_module("tests.conftest")._COMPILED
        for outcome in importlib.import_module("cds_service.worked_examples").run(content, *compiled):
            if not outcome.holds:
                return f"{outcome.where}: {outcome.name}"
        if pytest.main(["-xq", "-n0", "-pno:cacheprovider", *UNIT, *QUICK.get(mutant.file.name, [])]):
            return "unit tests"
        stories = importlib.import_module("tests.records.test_records")
        for page in STORIES:
            stories.test_a_record_gives_the_outcome_its_page_expects(page, *compiled)
    except BaseException as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def tried(mutant: Mutant, content: Any) -> str:
    """``noticed_by`` in a process of its own."""
    out, into = os.pipe()
    if os.fork() == 0:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os.write(into, noticed_by(mutant, content)[:200].encode() or b" ")
        os._exit(0)
    os.close(into)
    said = b"".join(iter(lambda: os.read(out, 500), b""))
    os.close(out)
    os.wait()
    return said.decode(errors="replace").strip() if said else f"no answer in {SECONDS} seconds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=220)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of the name of a file")
    asked = parser.parse_args()
    every = [m for file in sorted(CLINICAL.rglob("*.py")) if asked.only in file.name for m in mutants_of(file)]
    chosen = sorted(random.Random(asked.seed).sample(every, min(asked.sample, len(every))))
    score: Counter[tuple[str, bool]] = Counter()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as tempfile.tempdir:
        content = importlib.import_module("tests.conftest")._CONTENT
        importlib.import_module("tests.records.test_records")
        gc.freeze()
        for mutant in chosen:
            found = tried(mutant, content)
            score[mutant.file.name, bool(found)] += 1
            print(f"{mutant.file.name}:{mutant.line}: {mutant.change} | {found or 'NOT NOTICED'}", flush=True)
    for name in sorted({name for name, _ in score}):
        print(f"{name}: {score[name, True]} of {score[name, True] + score[name, False]}")
    noticed = sum(count for (_, seen), count in score.items() if seen)
    print(f"{noticed} of {len(chosen)} are noticed; {len(every)} are possible")


if __name__ == "__main__":
    main()
