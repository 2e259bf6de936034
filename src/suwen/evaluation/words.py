"""All the words of the report, in one file a language, so that another language is another file with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

Words = Mapping[str, str]


@cache
def read_words(language: str) -> Words:
    """The words of one language, from ``templates/words.LANGUAGE.yaml``."""
    file = Path(__file__).parent / "templates" / f"words.{language}.yaml"
    words: Words = yaml.safe_load(file.read_text(encoding="utf-8"))
    return words


ENGLISH = read_words("en")


def metric_title(name: str, words: Words) -> str:
    """The metric's name as shown; its plain name where there is no other."""
    return words.get(f"metric_{name}", name)


def baseline_title(name: str, words: Words) -> str:
    """The baseline as named in a sentence; its plain name where there is no other."""
    return words.get(f"baseline_{name}", name)
