from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import suwen.evaluation
from suwen.evaluation.metrics import EVERY_METRIC
from suwen.evaluation.words import ENGLISH, baseline_title, metric_title

ROOM = Path(suwen.evaluation.__file__).parent
BUILT = ("metric_", "split_", "criterion_", "calibration_of_", "baseline_")
"""Keys put together at run time begin like this."""
LOGGED = {"learning_rate", "seconds", "sure", "samples_per_second", "epochs", "best_epoch", "device"}
"""Keys that name columns of logs."""


def _named_in_code() -> tuple[set[str], set[str]]:
    code = "".join(file.read_text(encoding="utf-8") for file in ROOM.glob("*.py"))
    template = "".join(file.read_text(encoding="utf-8") for file in (ROOM / "templates").glob("*.j2"))
    in_template = set(re.findall(r"words\.(\w+)", template))
    needed = set(re.findall(r"words\[[\"'](\w+)[\"']\]", code)) | in_template
    return needed, set(re.findall(r"[\"']([\w-]+)[\"']", code)) | in_template


def test_every_word_asked_for_is_there_and_none_is_left_over() -> None:
    needed, mentioned = _named_in_code()
    assert needed <= set(ENGLISH)
    left_over = {key for key in ENGLISH if key not in mentioned and not key.startswith(BUILT)}
    assert left_over == LOGGED


def test_every_word_is_text_with_named_gaps_only() -> None:
    for key, text in ENGLISH.items():
        assert isinstance(text, str) and text.strip() == text, key
        assert all(name is None or name.isidentifier() for _, name, _, _ in Formatter().parse(text)), key


def test_every_metric_has_a_title_and_other_names_stand_for_themselves() -> None:
    assert all(f"metric_{name}" in ENGLISH for name in EVERY_METRIC)
    assert metric_title("my-metric", ENGLISH) == "my-metric"
    assert baseline_title("my-baseline", ENGLISH) == "my-baseline"
