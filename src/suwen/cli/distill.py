"""``suwen distill``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def distill(
    run: Annotated[str, typer.Argument(help="Folder of the teacher's Run.")],
    data: Annotated[str | None, typer.Argument(help="As for finetune. Default: the data of the teacher.")] = None,
    encoder: Annotated[str, typer.Option(help="Of the student, smaller than the teacher's.")] = "timm:resnet10t",
    unlabelled: Annotated[
        list[str] | None, typer.Option(help="Further images without labels to learn the teacher's answers on.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Softens both answers.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Share of the teacher in the loss, 0 to 1.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of weights, order and augmentation. Default: the teacher's.")
    ] = None,
    set: Annotated[list[str] | None, typer.Option(help="One setting, such as training.epochs=20; repeatable.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder of the student's Run. Default: RUN-student.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files and count them.")] = False,
    allow_leak: Annotated[bool, typer.Option("--allow-leak", help="Go on although the test split leaks.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the Run in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Teach a small, fast student the answers of a Run.

    Example:  suwen distill runs/chest chest/ --encoder timm:resnet10t --out runs/small
    """
    VERBS["distill"](
        run,
        data,
        encoder=encoder,
        unlabelled=unlabelled or (),
        temperature=temperature,
        alpha=alpha,
        epochs=epochs,
        seed=seed,
        set=set or (),
        out=out,
        skip_bad=skip_bad,
        allow_leak=allow_leak,
        overwrite=overwrite,
        quiet=quiet,
    )
