"""``suwen evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def evaluate(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    data: Annotated[str, typer.Argument(help="Labelled data: class folders, manifest CSV, or .npz.")],
    by: Annotated[list[str] | None, typer.Option(help="Metadata column to report subgroups of; repeatable.")] = None,
    split: Annotated[
        str | None, typer.Option(help="train, val or test. Default: test if there is one, else all.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples over subjects.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    out: Annotated[str | None, typer.Option(help="Folder for metrics.json and report.html.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files and count them.")] = False,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Go on although some images were trained on.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no table.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print metrics.json instead of a table.")] = False,
) -> None:
    """Judge a Run on other labelled data, with intervals and subgroups.

    Example:  suwen evaluate runs/chest other-site/ --by sex --by site --out report/
    """
    figures = VERBS["evaluate"](
        run,
        data,
        by=by or (),
        split=split,
        resamples=resamples,
        seed=seed,
        out=out,
        skip_bad=skip_bad,
        allow_leak=allow_leak,
        quiet=quiet or json,
    )
    if json:
        from json import dumps

        typer.echo(dumps(figures, ensure_ascii=False, indent=2))
