"""The methods as rows. Imports no torch."""

from __future__ import annotations

from suwen.core.errors import RecipeError
from suwen.core.explanation import Method, as_method
from suwen.core.registry import EXPLANATIONS

_ROOM = "suwen.explanation"

GRAD_CAM = Method(
    name="grad-cam",
    summary="the last feature maps, weighed by how much the logit rises with each (Selvaraju 2017)",
    function=f"{_ROOM}.grad_cam:grad_cam",
    meaning="share of the strongest evidence for the label; coarse: one value a cell of the last feature grid",
    passes=3,
)
INTEGRATED_GRADIENTS = Method(
    name="integrated-gradients",
    summary="gradients along the way from a baseline, times the way (Sundararajan 2017)",
    function=f"{_ROOM}.integrated_gradients:integrated_gradients",
    signed=True,
    meaning="logits that this element adds over the baseline; all of them add up to the difference of the two",
    passes=96,
)
BLUR_INTEGRATED_GRADIENTS = Method(
    name="blur-ig",
    summary="gradients along the way from a blurred image to the sharp one (Xu 2020)",
    function=f"{_ROOM}.blur_integrated_gradients:blur_integrated_gradients",
    signed=True,
    meaning="logits that the detail here adds over a blurred image; all of them add up to the difference of the two",
    passes=96,
)
SMOOTH_GRAD = Method(
    name="smooth-grad",
    summary="gradients averaged over noisy copies (Smilkov 2017)",
    function=f"{_ROOM}.smooth_grad:smooth_grad",
    meaning="how fast the logit changes with this element, in either direction",
    passes=96,
)
OCCLUSION = Method(
    name="occlusion",
    summary="what the logit loses when a sliding window is covered (Zeiler & Fergus 2014)",
    function=f"{_ROOM}.occlusion:occlusion",
    signed=True,
    meaning="logits lost when the surroundings of this element are covered; negative: covering them helps the label",
    passes=289,
)
LIME = Method(
    name="lime",
    summary="a local linear model of the logit over kept and removed segments (Ribeiro 2016)",
    function=f"{_ROOM}.lime:lime",
    signed=True,
    meaning="logits that this segment adds, in a linear model of the answer nearby",
    passes=500,
)
KERNEL_SHAP = Method(
    name="kernel-shap",
    summary="Shapley values of segments, by weighted regression (Lundberg & Lee 2017)",
    function=f"{_ROOM}.kernel_shap:kernel_shap",
    signed=True,
    meaning="logits that this segment adds, averaged over all orders of adding; they add up to the whole answer",
    passes=502,
)
ATTENTION_ROLLOUT = Method(
    name="attention-rollout",
    summary="attention multiplied through the layers of a ViT (Abnar & Zuidema 2020); the same for every label",
    function=f"{_ROOM}.attention_rollout:attention_rollout",
    meaning="share of the strongest attention that flows from this patch; it says nothing about which label",
    passes=1,
)
COUNTERFACTUAL = Method(
    name="counterfactual",
    summary="which part, put as in the nearest example of another answer, takes this answer away",
    function=f"{_ROOM}.counterfactual:counterfactual",
    signed=True,
    meaning="logits lost when the surroundings of this element are replaced by those of the nearest other example",
    passes=289,
    needs_examples=True,
)

TREE_SHAP = Method(
    name="tree-shap",
    summary="of tables: exact Shapley values of columns in boosted trees, or their blend with a line (Lundberg 2020)",
    function=f"{_ROOM}.table_shap:tree_shap",
    signed=True,
    meaning="probability that this column adds; all of them add up to the answer's less that of the average row",
    readers=("table",),
    additive=True,
)
LINEAR_SHAP = Method(
    name="linear-shap",
    summary="of tables: exact Shapley values of the columns in a logistic regression (Lundberg & Lee 2017)",
    function=f"{_ROOM}.table_shap:linear_shap",
    signed=True,
    meaning="probability that this column adds; all of them add up to the answer's less that of the average row",
    readers=("table",),
    additive=True,
)


def method_of(name: str) -> Method:
    """The row of this name.

    Raises:
        NameUnknown: there is none; the nearest names are offered.
    """
    return as_method(name, EXPLANATIONS[name])


def at_least(least: float, **given: float) -> None:
    """Refuse settings below `least`."""
    for name, value in given.items():
        if value < least:
            raise RecipeError(f"{name} = {value}", why=f"it must be {least} or more", fix=f"--set {name}={least}")
