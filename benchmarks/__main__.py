"""``python -m benchmarks NAME``: run one benchmark; without a name, list them."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer

from benchmarks.results import columns_of_text
from suwen.core.errors import NameUnknown, SuwenError

BENCHMARKS = {
    "quality": ("benchmarks.quality:quality", "PneumoniaMNIST over seeds, beside baselines and published figures"),
    "keras": (
        "benchmarks.original:original",
        "the original example, a plain Keras CNN, against suwen's default recipe",
    ),
    "speed": ("benchmarks.speed:speed", "training ResNet-18: suwen's fit() against a bare PyTorch loop"),
    "pretraining": (
        "benchmarks.pretraining:pretraining",
        "SimCLR and MAE: suwen's objectives and fit() against bare PyTorch loops",
    ),
    "start": ("benchmarks.start:start", "how soon `suwen --help` and `suwen tasks` answer"),
    "memory": ("benchmarks.memory:memory", "fine-tuning on 10,000 and on 100,000 images: what stays in memory"),
    "active": ("benchmarks.active:active", "labels needed by each query strategy, against random sampling"),
    "few-labels": (
        "benchmarks.few_labels:few_labels",
        "100 labelled films and the rest without labels: pretraining, pseudo-labels, neither",
    ),
    "forgetting": ("benchmarks.forgetting:forgetting", "two simulated sites: what of the first stays, in four ways"),
    "lora": ("benchmarks.lora:lora", "one Run adapted in full, by LoRA, by its head: AUROC, parameters, memory, time"),
    "explanation": (
        "benchmarks.explanation:explanation",
        "explanations: batched against one by one, and lesions hit on simulated films",
    ),
    "inference": ("benchmarks.inference:inference", "ResNet-18 answering: torch against each engine, at 28 and 224 px"),
    "distillation": (
        "benchmarks.distillation:distillation",
        "PneumoniaMNIST: a small student of a ResNet-18, with its teacher and without",
    ),
    "drive": (
        "benchmarks.masks:drive",
        "retinal vessels, four folds, beside published U-Nets",
    ),
    "membranes": (
        "benchmarks.masks:membranes",
        "cells in electron microscopy, three seeds, beside Otsu",
    ),
    "volumes": ("benchmarks.masks:volumes", "organs and nodules on simulated chest CT, beside Otsu and an atlas"),
    "volume-memory": (
        "benchmarks.volume_memory:volume_memory",
        "1024 x 1024 x 600 voxels: memory while they are drawn",
    ),
    "mask-speed": ("benchmarks.mask_speed:mask_speed", "learning to draw, and drawing, against PyTorch with MONAI"),
    "record-import": (
        "benchmarks.record_import:record_import",
        "FHIR, OMOP and HL7 v2 into a store, beside fhir.resources and python-hl7",
    ),
    "cohorts": (
        "benchmarks.cohorts:cohorts",
        "cohorts in the language of ACES over 80 million events, with ACES on a small store",
    ),
    "record-features": (
        "benchmarks.record_features:record_features",
        "lab values in windows before labels: suwen's kernels against DuckDB and Polars",
    ),
    "record-model": (
        "benchmarks.record_model:record_model",
        "the model of records: tokens a second, and few and all labels beside trees and the best possible",
    ),
    "tables": (
        "benchmarks.tables:tables",
        "Pima, heart disease and others, cross-validated, beside scikit-learn and LightGBM",
    ),
    "survival": (
        "benchmarks.survival:survival",
        "when people die, in NHANES I and FLCHAIN, five folds, beside Kaplan-Meier and Cox regression",
    ),
    "physionet2012": (
        "benchmarks.physionet2012:physionet2012",
        "death in hospital from the first 48 hours in intensive care, beside published figures",
    ),
    "yaib": ("benchmarks.yaib:yaib", "death in intensive care from its first day, on the eICU demo that YAIB ships"),
    "table": ("benchmarks.readme:table", "write the table of README.md from the results on disk"),
}
"""Name → the function that runs it, and what it measures."""


def main(arguments: list[str]) -> None:
    """Run the benchmark named first, with the options that follow."""
    if not arguments or arguments[0] in ("-h", "--help"):
        typer.echo("python -m benchmarks NAME [--help]\n")
        typer.echo(columns_of_text([], [[name, summary] for name, (_, summary) in BENCHMARKS.items()]))
        return
    name, *options = arguments
    try:
        if name not in BENCHMARKS:
            raise NameUnknown("benchmark", name, BENCHMARKS, fix="python -m benchmarks   lists them")
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(_load(BENCHMARKS[name][0]))
        app(options, prog_name=f"python -m benchmarks {name}")
    except SuwenError as error:
        typer.secho(f"benchmarks: {error}", err=True, fg="red")
        sys.exit(2)


def _load(path: str) -> Any:
    module, _, function = path.partition(":")
    return getattr(import_module(module), function)


if __name__ == "__main__":
    main(sys.argv[1:])
