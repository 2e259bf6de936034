"""``suwen pretrain``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def pretrain(
    objective: Annotated[
        str | None, typer.Argument(help="image-contrastive, image-self-distillation, image-masked …")
    ] = None,
    data: Annotated[str | None, typer.Argument(help="A folder of images, or whatever `suwen finetune` takes.")] = None,
    encoder: Annotated[str | None, typer.Option(help="FAMILY:NAME, such as timm:resnet18 or suwen:vit-narrow.")] = None,
    weights: Annotated[str | None, typer.Option(help="To start from: .safetensors file, folder, or 'hub'.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step, over all devices.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the input images in pixels. Default: from the data.")
    ] = None,
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
    probe: Annotated[
        str | None, typer.Option(help="Labelled data to judge the features on. Default: the data's own labels.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of split, weights, order and augmentation.")] = None,
    recipe: Annotated[str | None, typer.Option(help="YAML file of settings, such as a Run's recipe.yaml.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="One setting, such as objective.temperature=0.1.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder of the Run. Default: runs/OBJECTIVE.")] = None,
    log: Annotated[list[str] | None, typer.Option(help="A further log: wandb; repeatable.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files and count them.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the Run in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Pretrain an encoder without labels; any Task can start from the Run.

    Examples:

      suwen pretrain image-contrastive scans/ --out runs/base

      suwen pretrain image-masked scans/ --encoder suwen:vit-narrow --probe labelled/ --out runs/base

      suwen pretrain image-contrastive scans/ --encoder timm:resnet50 --devices 8 --batch-size 1024

      suwen finetune image-classification labelled/ --encoder run:runs/base --out runs/mine

    The same command on an unfinished Run goes on from its last checkpoint.
    """
    try:
        VERBS["pretrain"](
            objective,
            data,
            encoder=encoder,
            weights=weights,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            size=size,
            precision=precision,
            devices=devices,
            nodes=nodes,
            strategy=strategy,
            compile=compile,
            probe=probe,
            seed=seed,
            recipe=recipe,
            set=set or (),
            out=out,
            log=log or (),
            skip_bad=skip_bad,
            overwrite=overwrite,
            quiet=quiet,
        )
    except KeyboardInterrupt:
        typer.echo("\nstopped; the same command goes on from the last checkpoint", err=True)
        raise typer.Exit(130) from None
