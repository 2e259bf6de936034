"""``suwen explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from suwen.core.registry import VERBS

if TYPE_CHECKING:
    from suwen.core.explanation import Explanation


def explain(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    source: Annotated[str, typer.Argument(help="One file; of a table one row, FILE:ROW.")],
    method: Annotated[
        str | None, typer.Option(help="A name that `suwen explanations` lists, best, or all. Default: best.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The label to explain. Default: the answer.")] = None,
    set: Annotated[
        list[str] | None, typer.Option(help="One setting of the method, such as segments=grid; repeatable.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Perturbed inputs, of methods that draw them.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    examples: Annotated[
        str | None, typer.Option(help="Folder of inputs in which the nearest of another answer is looked for.")
    ] = None,
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness/--no-faithfulness", help="Measure the map, and random maps beside.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a method.")] = False,
    out: Annotated[str | None, typer.Option(help="PNG to write. Default: FILE.why.png in this folder.")] = None,
) -> None:
    """Show what an answer rests on.

    Examples:

      suwen explain runs/chest scan.dcm --out why.png

      suwen explain runs/chest scan.dcm --method all

      suwen explain runs/chest scan.dcm --method lime --samples 1000 --set segments=grid
      suwen explain runs/risk patients.csv:17
    """
    from pathlib import Path

    path = Path(out) if out is not None else Path(f"{Path(source).stem}.why.png")
    found = VERBS["explain"](
        run,
        source,
        method=method,
        label=label,
        set=set or (),
        samples=samples,
        seed=seed,
        examples=examples,
        faithfulness=faithfulness,
        out=path,
    )
    every = [found, *found.others]
    if json:
        from json import dumps

        for one in every:
            typer.echo(dumps(one.to_json(), ensure_ascii=False))
        return
    for one in every:
        _say(one, path)


def _say(found: Explanation, path: object) -> None:
    p = found.prediction.probabilities[found.label]
    typer.echo(f"{found.method} for {found.label} (p = {p:.3f})   → {path}")
    typer.echo(f"  each value: {found.meaning}")
    for share in found.ranked:
        amount = f"{100 * share.amount:+.1f} points" if found.points else f"{share.amount:+.3f}"
        typer.echo(f"  {share.column} = {share.value}: {amount}")
    if found.points:
        typer.echo(f"  from {found.start:.3f}, the answer to the average training row, to {p:.3f}")
    if found.faithfulness:
        gain, chance = found.faithfulness["gain"], found.faithfulness["random_gain"]
        typer.echo(f"  insertion less deletion {gain:+.3f}, a random map {chance:+.3f}")
        if gain is not None and chance is not None and gain <= chance:
            typer.secho("  this map is no more faithful than a random one: do not rely on it", fg="yellow")
    for near in found.examples:
        typer.echo(f"  near it, answered {near.answer}: {near.id} (distance {near.distance:.2f})")
