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
    unlabelled="suwen.learn.views:WeakAndStrong",
    baselines=("majority", "logistic-pixels"),
    recipe={"head": {"options": {"label_smoothing": 0.05}}, "training": {"steps": 450, "average": 0.99}},
)

IMAGE_REGRESSION = Task(
    name="image-regression",
    summary="how much: a number that an image shows, such as an age, a ratio or a score",
    reader="numbers",
    encoder="suwen:resnet18-narrow",
    head="regress",
    metric="mae",
    explanation="occlusion",
    augment="suwen.learn.augment:ImageAugment",
    judge="suwen.verbs.number_judge:NumberJudge",
    baselines=("mean", "ridge-pixels"),
    recipe={"training": {"steps": 450, "average": 0.99}, "explanation": {"examples": 0}},
)

IMAGE_SEGMENTATION = Task(
    name="image-segmentation",
    summary="where in an image each structure or finding is: a mask",
    reader="masks",
    encoder="suwen:unet",
    head="segment",
    metric="dice",
    augment="suwen.learn.mask_augment:MaskAugment",
    judge="suwen.verbs.mask_judge:MaskJudge",
    asker="suwen.verbs.mask_predict:answer_each",
    asks="suwen.verbs.explain:ask_region",
    explanation="occlusion",
    baselines=("otsu", "largest-class", "atlas"),
    recipe={
        "training": {
            "steps": 1500,
            "batch_size": 16,
            "patches": 16,
            "learning_rate": 2e-3,
            "average": 0.99,
            "evaluate_every": 5,
        },
        "explanation": {"examples": 0},
    },
)

VOLUME_SEGMENTATION = Task(
    name="volume-segmentation",
    summary="where in a CT or MR volume each organ or finding is: a mask, with its volume in millilitres",
    reader="volume-masks",
    encoder="suwen:unet",
    head="segment",
    metric="dice",
    augment="suwen.learn.volume_augment:VolumeAugment",
    judge="suwen.verbs.mask_judge:MaskJudge",
    asker="suwen.verbs.mask_predict:answer_each",
    asks="suwen.verbs.explain:ask_region",
    explanation="occlusion",
    baselines=("otsu", "largest-class", "atlas"),
    recipe={
        "head": {"options": {"dims": 3}},
        "training": {
            "steps": 1000,
            "batch_size": 2,
            "patches": 2,
            "learning_rate": 2e-3,
            "average": 0.99,
            "evaluate_every": 5,
        },
        "explanation": {"examples": 0},
    },
)

_OF_WHOLE_VOLUMES = {
    "encoder": {"options": {"widths": [8, 16, 32, 64, 128]}},
    "training": {"steps": 400, "batch_size": 4, "average": 0.99},
    "explanation": {"examples": 0},
}
"""Five levels: at the coarsest a voxel sees most of a box of 64 a side."""

VOLUME_CLASSIFICATION = Task(
    name="volume-classification",
    summary="which finding, or which findings, a CT or MR volume shows",
    reader="volumes",
    encoder="suwen:unet",
    head="classify",
    metric="auroc",
    explanation="occlusion",
    augment="suwen.learn.whole_augment:WholeAugment",
    baselines=("majority", "logistic-pixels"),
    recipe=_OF_WHOLE_VOLUMES,
)

VOLUME_REGRESSION = Task(
    name="volume-regression",
    summary="how much: a number that a CT or MR volume shows, such as an age, an organ's size or a score",
    reader="volume-numbers",
    encoder="suwen:unet",
    head="regress",
    metric="mae",
    explanation="occlusion",
    augment="suwen.learn.whole_augment:WholeAugment",
    judge="suwen.verbs.number_judge:NumberJudge",
    baselines=("mean", "ridge-pixels"),
    recipe=_OF_WHOLE_VOLUMES,
)

_VIEWS = {
    "crop": {"away": 0.6},
    "affine": {"rotate": 10, "shift": 0.0, "scale": 0.0, "stretch": 0.1, "shear": 5},
    "intensity": {"brightness": 0.1, "contrast": 0.4, "gamma": 0.4},
    "sharpness": {"blur": 1.0, "sharpen": 1.0},
    "noise": {"level": 0.05},
}
"""How two views of one film may differ and still show the same patient: another framing, exposure, detector."""

IMAGE_CONTRASTIVE = Task(
    name="image-contrastive",
    summary="pretraining: two views of one image attract, others repel (SimCLR)",
    reader="images",
    encoder="suwen:resnet18-narrow",
    head="embed",
    metric="auroc",
    module="suwen.learn.objectives.contrastive:Contrastive",
    augment="suwen.learn.views:TwoViews",
    labelled=False,
    recipe={"augment": _VIEWS, "training": {"steps": 2000, "batch_size": 128, "keep": "last", "warmup": 2.0}},
)

IMAGE_SELF_DISTILLATION = Task(
    name="image-self-distillation",
    summary="pretraining: a student guesses what its teacher says of another view (DINO)",
    reader="images",
    encoder="suwen:resnet18-narrow",
    head="embed",
    metric="auroc",
    module="suwen.learn.objectives.self_distillation:SelfDistillation",
    augment="suwen.learn.views:FourViews",
    labelled=False,
    recipe={"augment": _VIEWS, "training": {"steps": 2000, "batch_size": 64, "keep": "last", "warmup": 2.0}},
)

IMAGE_MASKED = Task(
    name="image-masked",
    summary="pretraining: hidden patches are told from the visible ones (MAE)",
    reader="images",
    encoder="suwen:vit-narrow",
    head="embed",
    metric="auroc",
    module="suwen.learn.objectives.masked_patches:MaskedPatches",
    augment="suwen.learn.augment:ImageAugment",
    labelled=False,
    recipe={
        "augment": {"crop": {"away": 0.5}},
        "training": {"steps": 4000, "batch_size": 128, "keep": "last", "warmup": 5.0},
    },
)

IMAGE_FOREIGN_PATCHES = Task(
    name="image-foreign-patches",
    summary="pretraining: parts of another patient's image are found in this one (foreign patch interpolation)",
    reader="images",
    encoder="suwen:resnet18-narrow",
    head="embed",
    metric="auroc",
    module="suwen.learn.objectives.foreign_patches:ForeignPatches",
    augment="suwen.learn.augment:ImageAugment",
    labelled=False,
    recipe={
        "augment": {
            "flip": {},
            "affine": {"rotate": 10, "shift": 0.08, "scale": 0.2, "stretch": 0.1, "shear": 5},
            "intensity": {"brightness": 0.05, "contrast": 0.2, "gamma": 0.1},
        },
        "training": {"steps": 2000, "batch_size": 64, "keep": "last", "warmup": 2.0},
    },
)

VOLUME_CONTRASTIVE = Task(
    name="volume-contrastive",
    summary="pretraining: two views of one CT or MR volume attract, others repel (SimCLR)",
    reader="volumes",
    encoder="suwen:unet",
    head="embed",
    metric="auroc",
    module="suwen.learn.objectives.contrastive:Contrastive",
    augment="suwen.learn.whole_augment:TwoVolumeViews",
    labelled=False,
    recipe={
        "augment": {
            "affine": {"rotate": 20, "scale": 0.3},
            "intensity": {"brightness": 0.1, "contrast": 0.4, "gamma": 0.4},
            "noise": {"level": 0.05},
        },
        "training": {"steps": 1000, "batch_size": 8, "keep": "last", "warmup": 2.0},
    },
)

VOLUME_MASKED = Task(
    name="volume-masked",
    summary="pretraining: hidden cells of a CT or MR volume are told from the visible ones (MAE)",
    reader="volumes",
    encoder="suwen:unet",
    head="embed",
    metric="auroc",
    module="suwen.learn.objectives.masked_regions:MaskedRegions",
    augment="suwen.learn.whole_augment:WholeAugment",
    labelled=False,
    recipe={"training": {"steps": 1000, "batch_size": 4, "keep": "last", "warmup": 2.0}},
)
