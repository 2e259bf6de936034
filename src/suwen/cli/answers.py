"""Predictions on the console and in CSV files."""

from __future__ import annotations

import csv
import io
import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from suwen.cli.show import show_rows
from suwen.core.files import write_text
from suwen.core.prediction import Prediction


def show(answers: Sequence[Prediction], *, json: bool) -> None:
    """Print a table, or one JSON object a line."""
    if json:
        for answer in answers:
            typer.echo(json_module.dumps(answer.to_json(), ensure_ascii=False))
        return
    show_rows([_row(answer) for answer in answers], title=answers[0].model if answers else None)


def write_csv(answers: Sequence[Prediction], path: str) -> None:
    """One line an input: answer, abstain, reason, set, and a column a label."""
    labels = list(dict.fromkeys(label for answer in answers for label in answer.probabilities))
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["input", "answer", "abstain", "reason", "set", "model", *(f"p_{label}" for label in labels)])
    for answer in answers:
        p = [answer.probabilities.get(label, "") for label in labels]
        writer.writerow(
            [
                answer.input,
                _text(answer.answer),
                answer.abstain,
                answer.reason,
                "|".join(answer.set or []),
                answer.model,
                *p,
            ]
        )
    write_text(Path(path), buffer.getvalue())


def _row(answer: Prediction) -> dict[str, str]:
    p = "  ".join(f"{label} {value:.3f}" for label, value in answer.probabilities.items())
    return {
        "input": answer.input,
        "answer": _text(answer.answer),
        "probabilities": p,
        "abstains": answer.reason if answer.abstain else "",
    }


def _text(answer: object) -> str:
    if isinstance(answer, float):
        return f"{answer:.5g}"
    if isinstance(answer, dict):
        return ", ".join(f"{label} {_size(each)}" for label, each in answer.items())
    return "|".join(answer) if isinstance(answer, list) else "" if answer is None else str(answer)


def _size(said: Any) -> str:
    """A size with its unit and interval, or the survival at a time."""
    return f"{said:.3f}" if isinstance(said, float) else f"{said['size']:g} {said['unit']}{_interval(said)}"


def _interval(size: dict[str, float | None]) -> str:
    return "" if size.get("low") is None else f" ({size['low']:g}–{size['high']:g})"
