"""Organs on CT: from DICOM series to a mask at the very place, a DICOM segmentation, and millilitres.

    python examples/segment_volumes.py

The patients are simulated. A few coarse voxels and epochs keep it short; ``suwen demo segment`` does it properly.
"""

from __future__ import annotations

import json
from pathlib import Path

import suwen


def main() -> None:
    """Simulate, learn, and draw one series."""
    hospital = suwen.simulate(patients=40, seed=5, wards=["volumes"], scans=8, out="hospital", progress=False)
    ward = hospital / "volumes"
    model = suwen.finetune(
        "volume-segmentation",
        ward,
        epochs=8,
        set=[
            "inputs.spacing=[9, 9, 12]",  # mm; the files' own are about 3 x 3 x 4
            "inputs.patch=[24, 24, 16]",
            "encoder.options={widths: [8, 16]}",
            "head.options={channels: 8, largest: [heart, liver]}",
            "training.learning_rate=5e-3",
            "training.average=0.9",
            "training.patches=3",
        ],
        out="runs/ct",
        quiet=True,
    )
    series = sorted((ward / "series").iterdir())[0]
    (answer,) = model.predict(series, out="drawn", write=("mask", "dicom-seg", "fhir"))
    for label, size in answer.answer.items():
        print(f"{label:<8} {size['size']:8.1f} {size['unit']}")
    print(json.dumps(answer.to_json()))
    print("files:", ", ".join(Path(file).name for file in answer.files))


if __name__ == "__main__":
    main()
