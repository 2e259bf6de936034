"""``suwen distill``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def distill(
    run: Annotated[str, typer.Argument(help="Folder of the teacher's Run.")],
    data: Annotated[str | None, typer.Argument(help="Labelled data. Default: the teacher's own.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Of the student, such as timm:resnet10t.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Pretrained: .safetensors file, folder, or 'hub'. Default: random.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="By which both soften their answers. Default: 4.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Share of the teacher in the loss, 0 to 1. Default: 0.9.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16, fp16.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and augmentation.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="One setting, such as training.epochs=20; repeatable.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder of the student's Run. Default: RUN-student.")] = None,
    log: Annotated[list[str] | None, typer.Option(help="A further log: wandb; repeatable.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files and count them.")] = False,
    allow_leak: Annotated[bool, typer.Option("--allow-leak", help="Go on although the test split leaks.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the Run in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Train a smaller model on labels and on a larger one's answers; its report sets it beside its teacher.

    Examples:

      suwen distill runs/chest --encoder timm:resnet10t --out runs/student

      suwen variants runs/chest chest/ --beside runs/student

    The same command on an unfinished Run goes on from its last checkpoint.
    """
    try:
        VERBS["distill"](
            run,
            data,
            encoder=encoder,
            weights=weights,
            temperature=temperature,
            alpha=alpha,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            precision=precision,
            seed=seed,
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
