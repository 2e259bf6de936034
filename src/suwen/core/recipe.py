"""`Recipe`: every setting of one run, typed; from keywords, the command line or one YAML file; written back in full."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from suwen.core.errors import RecipeError
from suwen.core.files import write_text


class _Loader(yaml.SafeLoader):
    """Reads ``1e-5`` as a number, as YAML 1.2 does; YAML 1.1 takes it for a word."""


class _Dumper(yaml.SafeDumper):
    """Quotes the word ``"1e-5"``, so that `_Loader` gives it back as a word."""


for _yaml in (_Loader, _Dumper):
    _yaml.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z"), list("-+.0123456789")
    )


class Settings(BaseModel):
    """A group of settings. Unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(Settings):
    """Where the data is and how it is split."""

    source: str = Field(default="", description="folder, manifest CSV or .npz")
    more: tuple[str, ...] = Field(
        default=(),
        description="further sources, such as labelled queries; they train, unless their own split says else",
    )
    seed: int | None = Field(default=None, ge=0, description="of the split of `source`; None: the seed of the run")
    train: float = Field(
        default=0.7, ge=0, le=1, description="share of the subjects to train on, where the source has no split"
    )
    val: float = Field(default=0.15, ge=0, le=1)
    test: float = Field(default=0.15, ge=0, le=1)
    labels: tuple[str, ...] | None = Field(default=None, description="order of the labels; None sorts them")
    probe: str | None = Field(
        default=None,
        description="labelled data to judge features on while pretraining; None: the source itself",
    )
    skip_bad: bool = Field(default=False, description="count unreadable files instead of stopping at them")
    allow_leak: bool = Field(
        default=False, description="go on although the test split leaks; the report says so at its top"
    )


class EncoderSettings(Settings):
    """Z = C(X)."""

    name: str = "timm:resnet18"
    weights: str | None = Field(default=None, description="None for random, a file or folder, 'hub', or a hub name")
    options: dict[str, Any] = Field(default_factory=dict, description="passed to the encoder's family")


class HeadSettings(Settings):
    """Ŷ = σ(WᵀZ + b)."""

    name: str | None = Field(default=None, description="a row of suwen.heads; None: the task's own")
    options: dict[str, Any] = Field(default_factory=dict, description="passed to the head")


class LoraSettings(Settings):
    """Of ``adapt: lora``: low-rank changes W + (α / r) B A of frozen weights (Hu et al., LoRA, 2022)."""

    rank: int = Field(default=8, ge=1, description="r: rows of A and columns of B")
    alpha: int = Field(default=16, ge=1, description="the change is scaled by alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="on the inputs of A")
    rate: float = Field(default=3.0, gt=0, description="their learning rate, as a multiple of that of all else")
    norms: bool = Field(default=True, description="whether norm layers learn too, with their batch statistics")
    targets: tuple[str, ...] | None = Field(
        default=None, description="layers by the end of their names, such as qkv; None: every one that gets smaller"
    )


class FeatureSettings(Settings):
    """Of ``adapt: head``: features of the frozen encoder are computed once and kept in the cache."""

    views: int = Field(
        default=0, ge=0, description="augmented views of each training image to choose from; 0: the image as it is"
    )
    gib: float = Field(
        default=4.0,
        ge=0,
        description="largest cache; a set that needs more is encoded anew in every epoch, and with 0 every set",
    )


def _word(value: Any) -> Any:
    """YAML and Python say True, the command line says "true"."""
    return str(value).lower() if isinstance(value, bool) else value


class TrainingSettings(Settings):
    """How the weights are found."""

    epochs: int = Field(default=10, ge=1)
    steps: int | None = Field(
        default=None, ge=1, description="choose the epochs, 5 to 100, that give about so many optimizer steps"
    )
    batch_size: int = Field(default=64, ge=1, description="images or patches a step, over all devices")
    patches: int = Field(
        default=1, ge=1, description="patches of each image in an epoch, where a task learns from patches"
    )
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0, description="peak, after warm-up")
    weight_decay: float = Field(default=0.05, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD (Nesterov); beta1 of AdamW")
    warmup: float = Field(default=1.0, ge=0, description="epochs of linear warm-up")
    schedule: Literal["cosine", "constant"] = "cosine"
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="each layer nearer the input learns this much slower"
    )
    clip: float | None = Field(default=1.0, gt=0, description="largest gradient norm")
    accumulate: int = Field(default=1, ge=1, description="batches an optimizer step")
    average: float | None = Field(
        default=None, gt=0, lt=1, description="decay of the moving average of the weights, a step"
    )
    patience: int | None = Field(default=None, ge=1, description="stop after so many evaluations without a better one")
    evaluate_every: int = Field(default=1, ge=1, description="epochs between evaluations on validation")
    keep: Literal["best", "last"] = Field(default="best", description="which epoch's weights the Run keeps")
    adapt: str = Field(
        default="full", description="what learns: full, head, lora; a row of suwen.learn.adaptation.ADAPTATIONS"
    )
    lora: LoraSettings = LoraSettings()
    features: FeatureSettings = FeatureSettings()
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool = True
    compile: Annotated[Literal["auto", "true", "false"], BeforeValidator(_word)] = Field(
        default="auto", description="torch.compile of the training step: auto does on GPUs and not on CPUs"
    )
    devices: int = Field(default=1, ge=1, description="GPUs, or processes on a CPU, of each machine")
    nodes: int = Field(default=1, ge=1, description="machines")
    strategy: Literal["auto", "ddp", "fsdp"] = Field(
        default="auto", description="of several devices: ddp (auto), each holds the model; fsdp, each a shard of it"
    )
    checkpoint_seconds: float = Field(default=30.0, ge=0, description="least time between two checkpoints")


class FirstSettings(Settings):
    """What a run that starts from another one (``encoder.name = run:FIRST``) keeps of what that one learned."""

    keep: Literal["plain", "l2sp", "ewc", "rehearsal"] | None = Field(
        default=None, description="how: a row of suwen.learn.keep.KEEP; None starts a new head and keeps nothing"
    )
    strength: float | None = Field(default=None, ge=0, description="of the penalty; None: the row's own")
    data: str | None = Field(
        default=None, description="data of the first site: to rehearse, and for its figures before and after"
    )
    share: float = Field(default=1.0, gt=0, le=1, description="of the first site's training subjects, rehearsed")
    samples: int = Field(
        default=512, ge=1, description="training images of the first site for its Fisher information, if not stored"
    )


class UnlabelledSettings(Settings):
    """Unlabelled inputs to learn from beside the labelled ones (FixMatch: Sohn et al., NeurIPS 2020)."""

    source: str | None = Field(default=None, description="folder, manifest CSV or .npz; labels in it are not looked at")
    ratio: int = Field(default=3, ge=1, description="μ: unlabelled inputs a step for each labelled one")
    threshold: float = Field(
        default=0.95, gt=0.5, lt=1, description="τ: an answer teaches where its probability is at least this"
    )
    weight: float = Field(default=1.0, ge=0, description="λ of their loss")
    strong: dict[str, dict[str, Any]] | None = Field(
        default=None, description="the random transforms of the view that is taught; None: the task's own"
    )


class TeacherSettings(Settings):
    """Another Run whose answers are learned too (knowledge distillation: suwen.learn.distil)."""

    run: str | None = Field(default=None, description="folder of the teacher's Run; None learns from labels alone")
    temperature: float = Field(default=4.0, gt=0, description="T: both soften their answers by it")
    alpha: float = Field(
        default=0.9, ge=0, le=1, description="share of the teacher in the loss; the labels have the rest"
    )


class EvaluationSettings(Settings):
    """How the result is judged."""

    threshold: Literal["youden", "accuracy", "f1", "sensitivity_95", "prevalence"] = Field(
        default="youden", description="how the threshold is chosen on validation: suwen.evaluation.threshold"
    )
    positive: str | None = Field(
        default=None, description="the positive label of a binary question; None: the last one"
    )
    coverage: float = Field(default=0.9, gt=0, lt=1, description="of prediction sets")
    resamples: int = Field(default=1000, ge=0, description="bootstrap resamples over subjects")
    by: tuple[str, ...] = Field(default=(), description="metadata columns to report subgroups of")
    views: tuple[str, ...] = Field(
        default=(), description="test-time views averaged with the plain one: flip, shift, …"
    )
    fisher: int = Field(
        default=0, ge=0, description="training images whose Fisher information is stored, for EWC without these data"
    )


class ExplanationSettings(Settings):
    """Which explanations are compared when the model is trained."""

    methods: tuple[str, ...] | None = Field(
        default=None, description="rows of suwen.explanations; None: all that fit the model and a few seconds"
    )
    examples: int = Field(default=6, ge=0, description="validation inputs to measure them on; 0: do not compare")


class Recipe(Settings):
    """Every setting of one run."""

    task: str
    seed: int = Field(default=0, ge=0)
    data: DataSettings = DataSettings()
    inputs: dict[str, Any] = Field(
        default_factory=dict, description="preprocessing; what is left out is chosen by the reader"
    )
    encoder: EncoderSettings = EncoderSettings()
    head: HeadSettings = HeadSettings()
    objective: dict[str, Any] = Field(
        default_factory=dict, description="settings of what is minimised, beyond the head's loss: see the task's module"
    )
    training: TrainingSettings = TrainingSettings()
    first: FirstSettings = FirstSettings()
    unlabelled: UnlabelledSettings = UnlabelledSettings()
    teacher: TeacherSettings = TeacherSettings()
    augment: dict[str, dict[str, Any]] | None = Field(
        default=None,
        description="the random transforms that are allowed, with their settings; None: the task's own; {}: none",
    )
    evaluation: EvaluationSettings = EvaluationSettings()
    explanation: ExplanationSettings = ExplanationSettings()

    def completed(self, *, inputs: dict[str, Any], rows: int, unlabelled: int = 0) -> Recipe:
        """With what only the data decide: the preprocessing chosen, and epochs for so many training rows.

        An epoch goes through the labelled or the unlabelled rows, whichever take more steps.
        """
        training = self.training
        if training.steps is not None:
            rows = max(rows, math.ceil(unlabelled / self.unlabelled.ratio))
            per_epoch = max(1, math.ceil(rows * training.patches / training.batch_size / training.accumulate))
            epochs = min(100, max(5, round(training.steps / per_epoch)))
            training = training.model_copy(update={"epochs": epochs, "steps": None})
        return self.model_copy(update={"inputs": inputs, "training": training})

    def save(self, path: Path) -> None:
        """Write every setting as YAML."""
        write_text(path, self.to_yaml())

    def to_yaml(self) -> str:
        """Every setting as YAML."""
        return yaml.dump(self.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def make_recipe(*layers: Mapping[str, Any]) -> Recipe:
    """Merge nested settings, later layers over earlier ones, and check them.

    Raises:
        RecipeError: an unknown or impossible setting, with the nearest known names.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _merge(merged, layer)
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        raise _explain(error) from error


def read_recipe(path: Path) -> dict[str, Any]:
    """The nested settings of a YAML file (safe loader)."""
    if not path.is_file():
        raise RecipeError(f"there is no recipe file at {path}", fix="suwen finetune TASK DATA --out RUN writes one")
    try:
        content = _read_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {error}", fix="compare it with the recipe.yaml of any Run") from error
    if not isinstance(content, dict):
        raise RecipeError(
            f"{path} holds a {type(content).__name__}, not settings", fix="start from a Run's recipe.yaml"
        )
    return content


def parse_set(assignments: Iterable[str]) -> dict[str, Any]:
    """``["training.epochs=20"]`` → ``{"training": {"epochs": 20}}``. Values are read as YAML."""
    nested: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(f"--set {text!r} has no '='", fix="--set training.epochs=20")
        try:
            layer: Any = _read_yaml(value)
        except yaml.YAMLError as error:
            raise RecipeError(
                f"--set {text!r} is not YAML after the '='",
                why=" ".join(str(error).split()),
                fix="--set 'augment={affine: {rotate: 10}}'   with every bracket closed, and a space after each colon",
            ) from error
        for key in reversed(path.strip().split(".")):
            layer = {key: layer}
        nested = _merge(nested, layer, whole=frozenset())
    return nested


def _read_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)


_REPLACED_WHOLE = frozenset({"augment", "strong"})
# naming transforms says which are allowed, so it must not add to the default list


def _merge(
    below: Mapping[str, Any], above: Mapping[str, Any], *, whole: frozenset[str] = _REPLACED_WHOLE
) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key not in whole
        merged[key] = _merge(merged[key], value, whole=whole) if both else value
    return merged


def _explain(error: ValidationError) -> RecipeError:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = _fields_at(place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=3, cutoff=0.7)
        offer = f"did you mean {' or '.join(near)}?" if near else f"known there: {', '.join(known)}"
        return RecipeError(f"unknown setting {'.'.join(place)}", why=offer, fix="see the recipe.yaml of any Run")
    if first["type"] == "missing":
        return RecipeError(f"the recipe has no {place[-1]}", why="nothing can stand in for it", fix=f"{place[-1]}: …")
    return RecipeError(
        f"{'.'.join(place)} = {first['input']!r}", why=first["msg"], fix=f"--set {'.'.join(place)}=VALUE"
    )


def _fields_at(place: list[str]) -> list[str]:
    group: type[BaseModel] = Recipe
    for part in place:
        found = group.model_fields[part].annotation
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            return []
        group = found
    return list(group.model_fields)
