"""`Explanation`: what an answer rests on. `Method`: a way to find that out, as a row."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.task import load_object

if TYPE_CHECKING:
    import numpy as np

    from suwen.core.prediction import Prediction


@dataclass(slots=True, kw_only=True, eq=False)
class Neighbour:
    """A known input near to the explained one.

    Attributes:
        id: the name of the example.
        answer: the model's answer to it.
        distance: Euclidean, between pooled features.
        inputs: what the model saw of it.
    """

    id: str
    answer: str
    distance: float
    inputs: np.ndarray


@dataclass(slots=True, kw_only=True)
class Share:
    """What one column of a table does to an answer.

    Attributes:
        column: its name.
        value: as it stands in the row.
        amount: what the method gives it: probability it adds, or logits.
    """

    column: str
    value: str
    amount: float


@dataclass(slots=True, kw_only=True)
class Explanation:
    """An attribution of one answer to the parts of one input.

    Attributes:
        method: ``"grad-cam"`` …
        label: the label that is explained.
        attribution: same leading shape as the input, ``(H, W)`` for images; larger means the answer rests more on it.
        inputs: what the model saw, ``(C, H, W)`` uint8 for images.
        prediction: the answer.
        signed: negative values speak against the label; else they do not occur.
        meaning: what one value of the attribution says.
        settings: of the method.
        seconds: that it took.
        faithfulness: measures of whether the model really uses what is shown, and a random map's
            (``random_deletion`` …); empty where not measured. See `suwen.explanation.faithfulness`.
        examples: the nearest examples to which the model gives another answer, where examples were given.
        others: the same answer by other methods, where all were asked for.
        ranked: of tables the columns, the one that moves the answer most first.
        points: whether these are of probability, and add up to the answer's less that of the average row.
    """

    method: str
    label: str
    attribution: np.ndarray
    inputs: np.ndarray
    prediction: Prediction
    signed: bool = False
    meaning: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    faithfulness: dict[str, float | None] = field(default_factory=dict)
    examples: list[Neighbour] = field(default_factory=list)
    others: list[Explanation] = field(default_factory=list)
    ranked: list[Share] = field(default_factory=list)
    points: bool = False

    def to_json(self) -> dict[str, Any]:
        """The line that ``suwen explain --json`` prints; the attribution itself is in the PNG, or in Python."""
        row, column = divmod(int(self.attribution.argmax()), self.attribution.shape[-1])
        return {
            "input": self.prediction.input,
            "task": self.prediction.task,
            "method": self.method,
            "label": self.label,
            "probability": round(self.prediction.probabilities[self.label], 6),
            "peak": [row, column] if self.attribution.ndim == 2 else int(self.attribution.argmax()),
            "signed": self.signed,
            "meaning": self.meaning,
            "settings": self.settings,
            "faithfulness": {k: None if v is None else round(v, 6) for k, v in self.faithfulness.items()},
            "examples": [{"id": e.id, "answer": e.answer, "distance": round(e.distance, 4)} for e in self.examples],
            "model": self.prediction.model,
            "seconds": round(self.seconds, 4),
        } | self._ranked()

    @property
    def start(self) -> float:
        """The probability from which the points of `ranked` start: that of the average row."""
        return self.prediction.probabilities[self.label] - sum(share.amount for share in self.ranked)

    def _ranked(self) -> dict[str, Any]:
        if not self.ranked:
            return {}
        unit, times = ("points", 100) if self.points else ("amount", 1)
        rows = [{"column": s.column, "value": s.value, unit: round(times * s.amount, 4)} for s in self.ranked]
        return {"ranked": rows} | ({"start": round(self.start, 6)} if self.points else {})


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of ``suwen.explanations``: ``method(model, inputs (B, …), labels (B,), **settings) -> (B, …)``.

    Listing the rows imports no torch: the function is loaded when first called. Its keyword arguments are the
    settings; their defaults are what ``suwen explain`` uses.

    Attributes:
        name, summary: for the listing.
        function: ``"package.module:function"``, or the function itself.
        signed: whether the map has negative values that speak against the label.
        meaning: what one value says.
        passes: about how many forward passes one input costs at the default settings (one backward counts as two).
        needs_examples: it looks for other inputs, which the user must give.
        readers: of whose inputs it is; empty for all.
        additive: its values are probability, and add up to the answer's less that of the average training input.
    """

    name: str
    summary: str
    function: str | Callable[..., Any]
    signed: bool = False
    meaning: str = "larger: the answer rests more on it"
    passes: int = 1
    needs_examples: bool = False
    readers: tuple[str, ...] = ()
    additive: bool = False

    def fits(self, reader: str) -> bool:
        """Whether it explains what this reader reads."""
        return not self.readers or reader in self.readers

    def __call__(self, model: Any, inputs: Any, labels: Any, **settings: Any) -> Any:
        """The attributions ``(B, …)`` of one label an input.

        Raises:
            NameUnknown: no such setting; the nearest are offered.
            RecipeError: a setting of another type, an impossible one, or a model that the method cannot explain.
        """
        return self._load()(model, inputs, labels, **self.complete(settings))

    def complete(self, settings: dict[str, Any]) -> dict[str, Any]:
        """All settings: those given, checked, over the defaults."""
        allowed = self.defaults()
        for name in settings:
            if name not in allowed:
                raise NameUnknown(f"setting of {self.name}", name, allowed or ["(it has none)"], fix="leave it out")
        hints = get_type_hints(self._load())
        fields: dict[str, Any] = {name: (hints[name], default) for name, default in allowed.items() if name in hints}
        checked = create_model("Settings", __config__=ConfigDict(arbitrary_types_allowed=True), **fields)
        try:
            made = checked.model_validate(settings)
        except ValidationError as error:
            first = error.errors()[0]
            raise RecipeError(
                f"{first['loc'][0]} = {first['input']!r}",
                why=f"{self.name}: {first['msg']}",
                fix=f"--set {first['loc'][0]}={allowed[str(first['loc'][0])]}",
            ) from error
        return {name: getattr(made, name) for name in fields}

    def defaults(self) -> dict[str, Any]:
        """Setting → default."""
        parameters = inspect.signature(self._load()).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def _load(self) -> Callable[..., Any]:
        loaded: Callable[..., Any] = load_object(self.function) if isinstance(self.function, str) else self.function
        return loaded


def as_method(name: str, thing: Any) -> Method:
    """A row as it is, or a plain function of another package as a row."""
    if isinstance(thing, Method):
        return thing
    summary = (inspect.getdoc(thing) or "").partition("\n")[0]
    return Method(name=name, summary=summary, function=thing)
