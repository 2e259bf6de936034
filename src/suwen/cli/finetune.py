"""``suwen finetune``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def finetune(
    task: Annotated[str | None, typer.Argument(help="A name that `suwen tasks` lists.")] = None,
    data: Annotated[str | None, typer.Argument(help="Class folders, images/ + masks/, manifest CSV, .npz.")] = None,
    encoder: Annotated[str | None, typer.Option(help="FAMILY:NAME, such as timm:resnet50 or run:runs/base.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Pretrained: .safetensors file, folder, or 'hub'. Default: random.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step, over all devices.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the input images in pixels. Default: from the data.")
    ] = None,
    adapt: Annotated[str | None, typer.Option(help="full, head (frozen encoder), or lora (low-rank adapters).")] = None,
    head: Annotated[str | None, typer.Option(help="classify (linear), or knn. Default: the task's own.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16, fp16.")] = None,
    devices: Annotated[
        int | None, typer.Option(help="GPUs of this machine (or processes on its cores) that share each batch.")
    ] = None,
    nodes: Annotated[int | None, typer.Option(help="Machines; start the same command on each.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Of several devices: ddp (auto); fsdp shards the weights.")
    ] = None,
    compile: Annotated[
        str | None, typer.Option(help="torch.compile the training step: auto (on GPUs), true, false.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="Positive label of a binary question. Default: the last.")
    ] = None,
    by: Annotated[list[str] | None, typer.Option(help="Metadata column to report subgroups of; repeatable.")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Further labelled data to train on, such as a filled query.csv; repeatable."),
    ] = None,
    extend: Annotated[
        str | None, typer.Option(help="A Run whose recipe, data and split are taken over, with --labels added.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Do not forget the Run in --encoder run:FIRST: l2sp, ewc, rehearsal, or plain.")
    ] = None,
    also: Annotated[
        str | None, typer.Option(help="That first Run's data: to rehearse, and for its figures before and after.")
    ] = None,
    unlabelled: Annotated[
        str | None, typer.Option(help="Further images without labels to learn from: folder, manifest or .npz.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of split, weights, order and augmentation.")] = None,
    recipe: Annotated[str | None, typer.Option(help="YAML file of settings, such as a Run's recipe.yaml.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="One setting, such as training.epochs=20; repeatable.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder of the Run. Default: runs/TASK.")] = None,
    log: Annotated[list[str] | None, typer.Option(help="A further log: wandb; repeatable.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files and count them.")] = False,
    allow_leak: Annotated[bool, typer.Option("--allow-leak", help="Go on although the test split leaks.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the Run in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Fine-tune an encoder and a head, judge it, and leave a Run with its report.

    Examples:

      suwen finetune image-classification chest/ --out runs/chest

      suwen finetune image-classification chest/ --encoder timm:resnet50 --weights hub --epochs 20

      suwen finetune image-classification chest/ --encoder timm:resnet50 --devices 4 --batch-size 256

      suwen finetune volume-segmentation ct/ --out runs/organs

      suwen finetune --recipe runs/chest/recipe.yaml --set seed=1 --out runs/chest-1

      suwen finetune --extend runs/chest --labels query/query.csv --out runs/chest-2

      suwen finetune image-classification labelled/ --unlabelled archive/ --out runs/chest

      suwen finetune image-classification site-b/ --encoder run:runs/chest --keep l2sp --also site-a/ --out runs/both

    The same command on an unfinished Run goes on from its last checkpoint.
    """
    try:
        VERBS["finetune"](
            task,
            data,
            encoder=encoder,
            weights=weights,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            size=size,
            adapt=adapt,
            head=head,
            precision=precision,
            devices=devices,
            nodes=nodes,
            strategy=strategy,
            compile=compile,
            positive=positive,
            by=by or (),
            labels=labels or (),
            extend=extend,
            keep=keep,
            also=also,
            unlabelled=unlabelled,
            seed=seed,
            recipe=recipe,
            set=set or (),
            out=out,
            log=log or (),
            skip_bad=skip_bad,
            allow_leak=allow_leak,
            overwrite=overwrite,
            quiet=quiet,
        )
    except KeyboardInterrupt:
        typer.echo("\nstopped; the same command goes on from the last checkpoint", err=True)
        raise typer.Exit(130) from None
