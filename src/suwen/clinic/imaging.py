"""Questions about images."""

from __future__ import annotations

from suwen.core.task import Task

IMAGE_CLASSIFICATION = Task(
    name="image-classification",
    summary="which finding, or which findings, an image shows",
    reader="images",
    encoder="suwen:resnet18-narrow",
    head="classify",
    metric="auroc",
    explanation="grad-cam",
    augment="suwen.learn.augment:ImageAugment",
    baselines=("majority", "logistic-pixels"),
    recipe={"head": {"options": {"label_smoothing": 0.05}}, "training": {"steps": 450, "average": 0.99}},
)
