"""Damaged input is reviewed to its end, each fault is named by file, offset and reason, and nothing is lost."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson
import pytest

from cds_service.errors import ReviewError
from cds_service.review.grouping import frames_of, groups, partitions, spill
from cds_service.review.journal import Tally
from cds_service.review.reviewer import Frame
from cds_service.review.run import _require_that_it_adds_up, read_manifest
from cds_service.review.simulate import Simulated
from cds_service.review.sources import Record, Span, _source, records
from tests.review.conftest import bundle, lines, rows, troubles

SECRET = "SECRET-VALUE"


def as_export(people: list[Simulated], folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    kinds: dict[str, bytes] = {}
    for one in people:
        for resource in one.resources:
            name = f"{resource['resourceType']}.ndjson"
            kinds[name] = kinds.get(name, b"") + lines(resource)
    for name, body in kinds.items():
        (folder / name).write_bytes(body)
    return kinds


def add_up(out: Path) -> None:
    counted = read_manifest(out)["tally"]
    in_error = [t for t in troubles(out) if t["scope"] == "patient"]
    assert counted["patients"] == len(rows(out)) + len(in_error)
    assert (counted["assessed"], counted["in_error"]) == (len(rows(out)), len(in_error))


# Lines that are nobody's, or too long.
LONG = {"resourceType": "Observation", "id": "long", "valueString": SECRET * 30_000}
STRANGERS = (
    lines(LONG, {"resourceType": "Bundle", "entry": []}, {"id": SECRET})
    + b'["no object"]\n\xff\xfe\n'
    + lines({"resourceType": "Observation", "code": {"text": SECRET}})
)


def test_a_damaged_export_is_reviewed_to_its_end(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    people, export = population[:8], tmp_path / "export"
    kinds = as_export(people, export)
    patients = kinds["Patient.ndjson"].splitlines(keepends=True)
    gone, twin, changed = people[1].id, patients[2], orjson.loads(patients[3]) | {"birthDate": "1901-01-01"}
    later = b"".join((*patients[:1], *patients[2:]))
    (export / "Patient.ndjson").write_bytes(later + twin + lines(changed))
    whole = kinds["Condition.ndjson"]
    (export / "Condition.ndjson").write_bytes(whole + b'{"resourceType":"Condition","code":{"text":"' + SECRET.encode())
    packed = gzip.compress(kinds["Encounter.ndjson"], mtime=0)
    (export / "Encounter.ndjson").unlink()
    (export / "Encounter.ndjson.gz").write_bytes(packed[: len(packed) * 2 // 3])
    (export / "Observation.ndjson").write_bytes(STRANGERS + kinds["Observation.ndjson"])

    out = reviewed(export, longest=100_000)

    named = {(t["scope"], t["file"].partition("/")[2], t["offset"], t["reason"]) for t in troubles(out)}
    at = [0, *accumulate(len(line) for line in STRANGERS.splitlines(keepends=True))]
    observations, end = "Observation.ndjson", len(later) + len(twin)
    assert named >= {
        ("record", "Condition.ndjson", len(whole), "the line is no JSON object"),
        ("record", observations, at[0], "the record is longer than 0 MB"),
        ("patient", observations, at[1], "a Bundle among single resources"),
        ("record", observations, at[2], "the line has no resourceType"),
        ("record", observations, at[3], "the line is no JSON object"),
        ("record", observations, at[4], "the line is not in UTF-8"),
        ("record", observations, at[5], "the Observation does not say whose it is"),
        ("record", "Patient.ndjson", len(later), "the same Patient stands here again; read once"),
        ("patient", "Patient.ndjson", end, "a Patient with this id says something else than an earlier one"),
    }
    assert [t["file"] for t in troubles(out) if t["scope"] == "file"] == ["export/Encounter.ndjson.gz"]
    lost = {t["patient"]: t["reason"] for t in troubles(out) if t["scope"] == "patient" and t["patient"]}
    assert lost.keys() == {f"Patient/{gone}", f"Patient/{people[3].id}"}
    assert lost[f"Patient/{gone}"].startswith("there is no Patient for these ")
    assert {row["patient"] for row in rows(out)} == {f"Patient/{p.id}" for p in people} - lost.keys()
    assert SECRET.encode() not in (out / "errors.ndjson").read_bytes()
    add_up(out)


@pytest.mark.parametrize(
    ("file", "line", "cut"),
    [
        ("Claim.ndjson", b'{"resourceType":"Claim","pat', set()),
        ("Observation.ndjson", b'{"resourceType":"Obs', {"labs", "findings", "vitals"}),
        ("Some.ndjson", b'{"id":"x","resourceType":"Condition","co', {"conditions"}),
        ("Some.ndjson", b"#", {"conditions", "labs", "encounters", "medications"}),
    ],
)
def test_a_damaged_export_does_not_look_whole(
    file: str, line: bytes, cut: set[str], population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    """What could not be read may have been anybody's: silence proves nothing, for the well as for the ill."""
    people = [p for p in population if p.story.id in ("healthy", "long and normal")][:4]
    export = tmp_path / "export"
    as_export(people, export)
    with (export / file).open("ab") as end:
        end.write(line)
    for row in rows(reviewed(export)):
        gaps = {gap["query"] for gap in row["gaps"] if gap["reason"] == "a part of the export could not be read"}
        assert gaps >= cut if cut else not gaps
    assert len(troubles(tmp_path / "out")) == 1


BROKEN = {
    "cut off": (b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Pat', "no JSON at line 1"),
    "a list": (b"[]", "no Bundle"),
    "a patient alone": (b'{"resourceType":"Patient","id":"p"}', "no Bundle"),
    "nobody's": (b'{"resourceType":"Bundle","entry":[]}', "0 Patients"),
    "two people's": (
        lines(bundle([{"resourceType": "Patient", "id": "a"}, {"resourceType": "Patient", "id": "b"}])).strip(),
        "2 Patients",
    ),
    "not UTF-8": (b'{"resourceType":"Bundle","entry":[],"x":"\xff"}', "not in UTF-8"),
    "nested": (b'{"resourceType":"Bundle","entry":' + b"[" * 3000 + b"]" * 3000 + b"}", ""),
    "no date of birth": (
        lines(bundle([{"resourceType": "Patient", "id": "p", "birthDate": SECRET}])).strip(),
        "prefetch.patient.birthDate expected a date",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_bundle_that_cannot_be_used_is_a_patient_in_error(
    kind: str, population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    body, reason = BROKEN[kind]
    whole = lines(bundle(population[0].resources))
    (tmp_path / "some.ndjson").write_bytes(whole + body + b"\n" + lines(bundle(population[1].resources)))
    out = reviewed(tmp_path / "some.ndjson")
    (trouble,) = troubles(out)
    assert (trouble["scope"], trouble["file"], trouble["offset"]) == ("patient", "some.ndjson", len(whole))
    assert reason in trouble["reason"]
    assert len(rows(out)) == 2
    assert SECRET not in str(trouble)
    add_up(out)


MARK = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_no_damage(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    one, two, three = population[:3]
    body = MARK + lines(bundle(one.resources))
    (tmp_path / "some.ndjson").write_bytes(body + b"{\n")
    (tmp_path / "two.json").write_bytes(MARK + orjson.dumps(bundle(two.resources), option=orjson.OPT_INDENT_2))
    (tmp_path / "Part.ndjson").write_bytes(MARK + lines(*three.resources))
    out = reviewed(*(tmp_path / name for name in ("some.ndjson", "two.json", "Part.ndjson")))
    assert len(rows(out)) == 3
    assert [(t["file"], t["offset"]) for t in troubles(out)] == [("some.ndjson", len(body))]


@pytest.mark.parametrize("severity", ["success", "information", "warning", "error", "fatal", ""])
def test_only_a_failure_of_the_exporting_server_is_damage(
    severity: str, population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    issues = [{"severity": "information"}, {"severity": severity, "diagnostics": SECRET}]
    said = {"resourceType": "OperationOutcome", "issue": issues}
    (tmp_path / "Some.ndjson").write_bytes(lines(*population[0].resources, said))
    out = reviewed(tmp_path / "Some.ndjson")
    if severity in ("error", "fatal", ""):
        assert [t["reason"] for t in troubles(out)] == ["the exporting server reports a failure in place of a resource"]
    else:
        assert not troubles(out) and not any("export" in gap["reason"] for gap in rows(out)[0]["gaps"])
        assert read_manifest(out)["tally"]["set_aside"]["OperationOutcome"] == 1


def test_empty_files_are_named(population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path) -> None:
    export = tmp_path / "export"
    as_export(population[:1], export)
    for name in ("Condition.ndjson", "Encounter.ndjson.gz", "some.json.gz"):
        (export / name).write_bytes(b"")
    out = reviewed(export)
    assert {(t["scope"], t["file"], t["reason"]) for t in troubles(out)} == {
        ("file", "export/Condition.ndjson", "the file is empty"),
        ("file", "export/Encounter.ndjson.gz", "the gzip file is cut off here"),
        ("patient", "export/some.json.gz", "the gzip file is cut off here"),
    }
    assert {"conditions", "encounters"} <= {gap["query"] for gap in rows(out)[0]["gaps"]}
    add_up(out)


def test_a_document_is_not_taken_for_lines(reviewed: Callable[..., Path], tmp_path: Path) -> None:
    body = b'{"resourceType":"Bundle","entry":[{"resource":{}}\n, {"resource":{}}\n, {"x"\n'
    (tmp_path / "commas.json").write_bytes(body)
    (trouble,) = troubles(reviewed(tmp_path / "commas.json"))
    assert trouble["scope"] == "patient" and "no JSON" in trouble["reason"]


def test_what_is_no_record_is_nobody(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    """The manifest that a server writes about an export is known; other JSON may have been meant, and is named."""
    export = tmp_path / "export"
    as_export(population[:2], export)
    output = [{"type": "Patient", "url": "https://ehr.example.org/1", "count": 2}]
    manifest = {"transactionTime": "2026-06-15T00:00:00Z", "request": "x", "output": output, "error": []}
    (export / "manifest.json").write_bytes(MARK + orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    for name, body in (
        ("settings.json", b'{"output": "here"}'),
        ("list.json", b"[1]"),
        ("bad.json", b'{"output":[{"ty'),
    ):
        (export / name).write_bytes(body)
    out = reviewed(export)
    assert [(t["scope"], t["file"], t["reason"]) for t in troubles(out)] == [
        ("patient", "export/bad.json", "the record is no JSON at line 1, column 16"),
        ("file", "export/list.json", "this is no FHIR resource"),
        ("file", "export/settings.json", "this is no FHIR resource"),
    ]
    assert read_manifest(out)["export_manifests"] == ["export/manifest.json"]
    assert len(rows(out)) == 2
    add_up(out)


def test_a_json_file_with_a_bundle_on_each_line_is_read_by_line(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "some.json").write_bytes(lines(*(bundle(one.resources) for one in population[:2])))
    assert len(rows(reviewed(tmp_path / "some.json"))) == 2


def test_a_patient_who_is_lost_between_reading_and_counting_is_seen() -> None:
    whole = Tally(records=2, gathered=3, patients=5, assessed=5)
    _require_that_it_adds_up(whole, None)
    with pytest.raises(ReviewError, match="2 Bundles were read and 3 patients"):
        _require_that_it_adds_up(replace(whole, patients=4, assessed=4), None)
    _require_that_it_adds_up(replace(whole, patients=4, assessed=4), 4)


def test_a_patient_with_two_bundles_is_reviewed_once(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    body = lines(bundle(population[0].resources))
    (tmp_path / "twice.ndjson").write_bytes(body + body)
    out = reviewed(tmp_path / "twice.ndjson")
    assert len(rows(out)) == 1
    (trouble,) = troubles(out)
    assert (trouble["offset"], trouble["scope"]) == (len(body), "patient")
    assert trouble["reason"].startswith("another record with this id stands earlier")
    assert "two: two ids" in trouble["remedy"]
    add_up(out)


def test_a_whole_file_that_is_cut_off_is_a_patient_in_error(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    packed = gzip.compress(orjson.dumps(bundle(population[0].resources), option=orjson.OPT_INDENT_2))
    (tmp_path / "one.json.gz").write_bytes(packed[:-200])
    out = reviewed(tmp_path / "one.json.gz")
    assert [t["reason"] for t in troubles(out)] == ["the gzip file is cut off here"]
    add_up(out)


# ---------------------------------------------------------------- folders


def refuse_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith(name):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)


def test_what_cannot_be_entered_is_named_and_makes_nothing_absent(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, elsewhere = tmp_path / "export", tmp_path / "elsewhere"
    as_export(population[:2], export)
    elsewhere.mkdir()
    (export / "closed").mkdir()
    (export / "linked").symlink_to(elsewhere, target_is_directory=True)
    (export / "gone.json").symlink_to(tmp_path / "nowhere.json")
    (export / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    (export / "loop.json").symlink_to(export / "loop.json")
    (export / "Twice.ndjson").symlink_to(export / "Patient.ndjson")
    os.mkfifo(export / "pipe.ndjson")
    refuse_folder("closed", monkeypatch)
    out = reviewed(export)
    said = {t["file"]: t["reason"] for t in troubles(out)}
    assert said == {
        "export/closed": "the folder cannot be read: Permission denied",
        "export/linked": "this is a link to a folder, and links to folders are not followed",
        "export/gone.json": "this is no file: a broken link, a pipe or a device",
        "export/loop.json": "this is no file: a broken link, a pipe or a device",
        "export/pipe.ndjson": "this is no file: a broken link, a pipe or a device",
    }
    assert {t["scope"] for t in troubles(out)} == {"file"} and read_manifest(out)["tally"]["troubles"] == 5
    assert "export/Twice.ndjson" in read_manifest(out)["left_out"]
    for row in rows(out):
        assert "a part of the export could not be read" in {gap["reason"] for gap in row["gaps"]}


def test_names_that_are_not_utf_8_are_written_with_their_bytes(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/records-\xe4"))
    folder.mkdir()
    body = lines(bundle(population[0].resources))
    Path(os.fsdecode(os.fsencode(folder) + b"/M\xfcller.ndjson")).write_bytes(body + b"{\n")
    out = reviewed(folder)
    assert [row["source"] for row in rows(out)] == ["records-\\xe4"]
    assert [t["file"] for t in troubles(out)] == ["records-\\xe4/M\\xfcller.ndjson"]


def test_inputs_of_one_name_are_told_apart(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    for number, place in enumerate(("a", "b")):
        (tmp_path / place / "records").mkdir(parents=True)
        body = lines(bundle(population[number].resources)) + b"{\n"
        (tmp_path / place / "records" / "some.ndjson").write_bytes(body)
    out = reviewed(tmp_path / "a" / "records", tmp_path / "b" / "records")
    assert [t["file"] for t in troubles(out)] == ["1:records/some.ndjson", "2:records/some.ndjson"]


def test_what_a_review_has_written_is_no_input(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    records_ = tmp_path / "records"
    records_.mkdir()
    (records_ / "some.ndjson").write_bytes(lines(bundle(population[0].resources)))
    (records_ / "run.json").write_bytes(b'{"tally": "of a mill"}')  # no review of ours
    reviewed(records_, name="records/first")
    second = reviewed(records_, name="records/second")
    assert read_manifest(second)["files"] == 2 and len(rows(second)) == 1
    with pytest.raises(ReviewError, match="is an input and cannot hold the results"):
        reviewed(records_, name="records")


# ---------------------------------------------------------------- lines and spans


@pytest.mark.parametrize(("length", "chunk"), [(1, 1000), (7, 1), (64, 5), (64, 1000), (1000, 30)])
def test_every_line_is_in_exactly_one_span(
    length: int, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.review.sources._CHUNK", chunk)
    body = b"".join(b"%d\n" % (10**n) for n in range(40)) + b"\n\n" + b"x" * 300 + b"\nlast"
    file = tmp_path / "some.ndjson"
    file.write_bytes(body)
    source = _source(0, file, "some.ndjson")
    spans = [Span(source, start, min(start + length, len(body))) for start in range(0, len(body), length)]
    found = [record for span in spans for record in records(span, 1000)]
    expected, offset = [], 0
    for line in body.split(b"\n"):
        expected += [Record(offset, line)] if line else []
        offset += len(line) + 1
    assert found == expected


def test_a_line_beyond_the_limit_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "some.ndjson"
    file.write_bytes(b"one\n" + b"x" * 5_000_000 + b"\ntwo\n" + b"y" * 3_000_000)
    found = list(records(Span(_source(0, file, "some.ndjson")), 2_000_000))
    assert [(type(f).__name__, f.offset) for f in found] == [
        ("Record", 0), ("Trouble", 4), ("Record", 5_000_005), ("Trouble", 5_000_009),
    ]  # fmt: skip


def frame(number: int, **more: Any) -> Frame:
    return Frame(f"p{number % 50}", False, True, 1, 1, number, b"x" * 99 + b"\n")._replace(**more)


@pytest.mark.parametrize("memory", [100, 3_000, 10**9])
def test_a_partition_that_does_not_fit_is_divided_and_keeps_its_order(memory: int, tmp_path: Path) -> None:
    everything = [frame(number) for number in range(600)]
    assert spill(everything, tmp_path / "wide", 2) == 600
    found = [group for part in partitions(tmp_path / "wide") for group in groups(part, memory, 10**6, 2)]
    spill(everything, tmp_path / "narrow", 8)
    others = [group for part in partitions(tmp_path / "narrow") for group in groups(part, 10**9, 10**6, 8)]
    assert [patient for patient, _ in found] == [patient for patient, _ in others]
    assert len(found) == 50
    assert sorted(f for _, frames in found for f in frames) == sorted(everything)


def test_a_frame_comes_back_as_it_was(tmp_path: Path) -> None:
    one = Frame("Ä/1", True, False, 3, 70_000, 2**40, b"\x00\n\xff\n")
    spill([one], tmp_path, 2)
    assert [f for part in partitions(tmp_path) for f in frames_of(part)] == [one]
