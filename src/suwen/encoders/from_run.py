"""``run:PATH``: the encoder of another Run, with its weights."""

from __future__ import annotations

from typing import Any

from suwen.core.encoder import Encoder, build_encoder
from suwen.core.errors import RecipeError
from suwen.core.preprocess import Preprocess
from suwen.core.run import Run, load


def encoder_of_run(
    path: str,
    preprocess: Preprocess,
    *,
    weights: str | None = None,
    needs: frozenset[str] = frozenset(),
    **options: Any,
) -> Encoder:
    """Build the encoder that the Run at `path` holds, filled with its weights.

    The new Model records the architecture, not the path: the new Run stands on its own. Where it is adapted by adapters
    only, `origin` (the Run's folder and fingerprint, and these options) is what the new Run refers to. Adapters of that
    Run itself are merged into its weights first, and then there is no origin: no Run holds such weights.

    Raises:
        RecipeError: other weights were named too, or the inputs differ from those the Run was trained on.
        RunError: the Run is missing or damaged.
    """
    if weights is not None:
        raise RecipeError(
            f"encoder run:{path} with --weights {weights}", why="a Run brings its weights", fix="drop --weights"
        )
    loaded = load(path)
    model = loaded.merged()
    theirs, ours = getattr(model.preprocess, "channels", None), getattr(preprocess, "channels", None)
    if theirs != ours:
        raise RecipeError(
            f"run:{path} reads {theirs} channels, the data have {ours}",
            why="its first layer has no place for them",
            fix=f"--set inputs.channels={theirs}",
        )
    _same_vocabulary(path, model.preprocess, preprocess)
    encoder = build_encoder(**(model.encoder.config | options), preprocess=preprocess, needs=needs)
    try:
        encoder.load_state_dict(model.encoder.state_dict())  # type: ignore[attr-defined]
    except RuntimeError as error:
        raise RecipeError(
            f"the weights of run:{path} do not fit inputs of size {getattr(preprocess, 'size', '?')} "
            f"(that Run reads {getattr(model.preprocess, 'size', '?')}) or these options",
            why=" ".join(str(error).split())[:300],
            fix=f"--set inputs.size={getattr(model.preprocess, 'size', '?')}",
        ) from error
    encoder.licence = model.card.get("licence")
    if model is loaded:
        encoder.origin = {"path": path, "sha256": Run(path).fingerprint(), "options": options}  # type: ignore[attr-defined]
    return encoder


def _same_vocabulary(path: str, theirs: Preprocess, ours: Preprocess) -> None:
    """Where inputs are tokens, the weights of each belong to what it stands for.

    Raises:
        RecipeError: they stand for something else.
    """
    known, asked = (getattr(each, "digest", None) for each in (theirs, ours))
    if known != asked:
        raise RecipeError(
            f"run:{path} has another vocabulary than these data",
            why="its weights would be read as those of other codes",
            fix=f"suwen finetune TASK DATA --encoder run:{path}   takes its vocabulary over",
        )
