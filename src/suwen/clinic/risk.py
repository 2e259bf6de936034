"""Questions about a person's risk, from a table."""

from __future__ import annotations

from suwen.core.task import Task

TABLE_RISK = Task(
    name="table-risk",
    summary="how likely a disease or an outcome is, from the columns of a table",
    reader="table",
    encoder="suwen:table",
    head="blend",
    metric="auroc",
    explanation="tree-shap",
    judge="suwen.verbs.table_judge:TableJudge",
    asker="suwen.verbs.table_predict:answer_rows",
    asks="suwen.verbs.explain:ask_row",
    baselines=("prevalence", "logistic", "trees"),
    recipe={"training": {"steps": 1500}, "explanation": {"examples": 0}},
)
"""A line with bends and shallow boosted trees, blended: on small tables that wins or draws (benchmarks/tables.py)."""
