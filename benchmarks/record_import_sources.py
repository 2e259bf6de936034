"""Sources as large as wanted for `benchmarks.record_import`: copies of real ones under other names, and messages."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

UUID = re.compile(rb"[0-9a-f]{8}(?=-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
APART = 1_000_000_000
"""Added to the numbers of a table for each copy."""

PANEL = (
    ("2951-2", "Sodium", "mmol/L", 140, 3),
    ("2823-3", "Potassium", "mmol/L", 4.2, 0.4),
    ("2160-0", "Creatinine", "mg/dL", 1.0, 0.3),
    ("2345-7", "Glucose", "mg/dL", 105, 25),
    ("718-7", "Hemoglobin", "g/dL", 13.5, 1.5),
)
"""Results of a message: LOINC, name, unit, mean, deviation."""


def bundles(source: Path, out: Path, copies: int) -> int:
    """Synthea's bundles, ``.json`` and those in ``.zip``, so many times, each time of other patients; their bytes."""
    out.mkdir(parents=True)
    size = 0
    for number, data in enumerate(_json_in(source)):
        for copy in range(copies):
            changed = UUID.sub(lambda found, copy=copy: b"%08x" % (int(found[0], 16) ^ copy), data)
            (out / f"{number:04d}-{copy:04d}.json").write_bytes(changed)
            size += len(changed)
    return size


def _json_in(source: Path) -> Iterator[bytes]:
    for file in sorted(source.rglob("*.json")):
        yield file.read_bytes()
    for file in sorted(source.rglob("*.zip")):
        with zipfile.ZipFile(file) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".json"):
                    yield archive.read(name)


def omop(source: Path, out: Path, copies: int) -> int:
    """The tables of a CDM so many times, each time of other persons, visits and rows; how many rows these are."""
    out.mkdir(parents=True)
    rows = 0
    for file in sorted(source.glob("*.csv*")):
        table = file.name.split(".")[0]
        frame = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
        numbers = [name for name in {"PERSON_ID", "VISIT_OCCURRENCE_ID", f"{table}_ID"} if name in frame]
        if "PERSON_ID" not in frame:
            shutil.copy(file, out / file.name)
            continue
        for copy in range(copies):
            for name in numbers:
                given = frame[name] != ""
                frame.loc[given, name] = (frame.loc[given, name].astype(np.int64) + APART * bool(copy)).astype(str)
            frame.to_csv(out / f"{table}.csv", mode="a" if copy else "w", header=not copy, index=False)
            rows += len(frame)
    return rows


def messages(out: Path, count: int, results: int, subjects: int, seed: int = 0) -> int:
    """ORU^R01 messages of so many results each, in one file; its bytes."""
    rng = np.random.default_rng(seed)
    panel = [PANEL[number % len(PANEL)] for number in range(results)]
    whom, minutes = rng.integers(1, subjects + 1, count), np.sort(rng.integers(0, 365 * 24 * 60, count))
    times = (np.datetime64("2024-01-01T00:00") + minutes).astype("datetime64[m]").astype(str)
    values = rng.normal(0, 1, (count, results))
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="ascii") as file:
        for number in range(count):
            at = re.sub(r"\D", "", times[number])
            lines = [
                f"MSH|^~\\&|LAB|SUWEN|EHR|SUWEN|{at}||ORU^R01^ORU_R01|{number}|P|2.5.1",
                f"PID|1||{whom[number]}^^^SUWEN^MR||DOE^JANE||19600101|F",
                f"PV1|1|O|||||||||||||||||{number}",
                f"OBR|1||{number}|24323-8^Metabolic panel^LN|||{at}|||||||||||||||{at}|||F",
            ]
            for place, ((code, name, unit, mean, deviation), z) in enumerate(zip(panel, values[number], strict=True)):
                value = f"{mean + deviation * z:.1f}"
                lines.append(f"OBX|{place + 1}|NM|{code}^{name}^LN||{value}|{unit}^^UCUM|||||F|||{at}")
            file.write("\r".join(lines) + "\r")
    return out.stat().st_size
