"""YAML → plain text in dicts and lists, and the line of each, so that an error can say where it is.

Every scalar stays the text that was written: ``NO`` is Norway and not false, ``00:30`` not thirty, ``007`` not seven.
No tag makes a Python object.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from suwen.core.errors import DataError

Place = tuple[int | str, ...]


@dataclass(frozen=True)
class Written:
    """A text of YAML, read.

    Attributes:
        name: of the file, for messages.
        data: dicts, lists and str.
        lines: place in `data` → line, from 1.
    """

    name: str
    data: Any
    lines: dict[Place, int]

    def where(self, place: Sequence[int | str]) -> str:
        """``"mimic3.yaml, line 12, tables[3].events[0].code"``: the nearest place that is written there."""
        known: Place = ()
        for step in place:
            # a single thing stands for a list of one: its 0 is not written
            known = (*known, step) if (*known, step) in self.lines else known
        told = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in known).lstrip(".")
        return f"{self.name}, line {self.lines.get(known, 1)}" + (f", {told}" if told else "")


def read_text(text: str, name: str) -> Written:
    """Read YAML.

    Raises:
        DataError: it is no YAML, or a key is there twice; the line is said.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise DataError(
            f"{name}{line}: {getattr(error, 'problem', None) or error}",
            why="it is not YAML",
            fix="indent with blanks, and put texts with : # { [ or , into quotation marks",
        ) from error
    lines: dict[Place, int] = {}
    return Written(name, _plain(node, (), lines, name), lines)


def _plain(node: yaml.Node | None, place: Place, lines: dict[Place, int], name: str) -> Any:
    if node is None:
        return {}
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, (*place, number), lines, name) for number, each in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return node.value
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise DataError(f"{name}, line {line}: a key that is no text", why="keys are words", fix="quote it")
        if key.value in found:
            raise DataError(
                f"{name}, line {line}: {key.value} is there twice",
                why="which of the two is meant is not known",
                fix=f"remove one; the first is in line {lines[(*place, key.value)]}",
            )
        lines[(*place, key.value)] = line
        found[key.value] = _plain(value, (*place, key.value), lines, name)
    return found


def refusal(
    written: Written,
    error: ValidationError,
    model: type[BaseModel],
    *,
    fix: str = "see the mappings that come with suwen",
) -> DataError:
    """What pydantic found wrong, said with line and key; of several things the first, and how many more."""
    first, *others = error.errors()
    place, kind = first["loc"], first["type"]
    seen = written.where(place)
    more = f" ({len(others)} more after it)" if others else ""
    if kind == "extra_forbidden":
        known = sorted(_keys(model, place[:-1]))
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        why = f"there is no key {str(place[-1])!r} here; known: {', '.join(known)}"
        return DataError(
            f"{seen}: unknown key {more}".rstrip(), why=why, fix=f"did you mean {near[0]}?" if near else ""
        )
    if kind == "missing":
        return DataError(
            f"{seen}: {place[-1]} is missing{more}", why="nothing can be read without it", fix=f"add {place[-1]}:"
        )
    context = first.get("ctx", {}).get("error")
    said = str(context) if context else first["msg"]
    return DataError(f"{seen}: {said}{more}", why=f"it says {_short(first['input'])}", fix=fix)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "…"


def _keys(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Keys that may stand at a place."""
    for step in place:
        field = model.model_fields.get(str(step))
        inner = _models(field.annotation) if field else []
        model = inner[0] if inner else model
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for each in get_args(annotation) for found in _models(each)]
