"""``suwen query``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def query(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    pool: Annotated[str, typer.Argument(help="Unlabelled images: a folder, glob, manifest CSV or .npz.")],
    budget: Annotated[int, typer.Option(help="How many to label.")] = 100,
    strategy: Annotated[str, typer.Option(help="entropy, margin, bald, coreset, badge, random.")] = "entropy",
    per_subject: Annotated[int | None, typer.Option(help="At most so many images of one subject.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what the strategy draws.")] = 0,
    out: Annotated[str | None, typer.Option(help="Folder for query.csv, query.json and query.html.")] = "query",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files and count them.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda …")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print query.json instead of a table.")] = False,
) -> None:
    """Say which unlabelled images to label next, and why.

    Examples:

      suwen query runs/chest unlabelled/ --budget 100 --strategy badge --out query/

      suwen finetune --extend runs/chest --labels query/query.csv --out runs/chest-2   (once its labels are filled in)
    """
    found = VERBS["query"](
        run,
        pool,
        budget=budget,
        strategy=strategy,
        per_subject=per_subject,
        seed=seed,
        out=out,
        skip_bad=skip_bad,
        device=device,
        quiet=quiet or json,
    )
    if json:
        from json import dumps

        typer.echo(dumps(found.to_json(), ensure_ascii=False, indent=2))
