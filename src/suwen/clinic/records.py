"""Questions about health records, and pretraining on them."""

from __future__ import annotations

from suwen.core.task import Task

DISEASE_RISK = Task(
    name="disease-risk",
    summary="what will happen to a patient within a horizon, from the record until then: readmission, death, onset",
    reader="records",
    encoder="suwen:events-2x128",
    head="classify",
    metric="auroc",
    judge="suwen.verbs.record_judge:RecordJudge",
    asker="suwen.verbs.record_predict:answer_records",
    baselines=("majority", "logistic-features", "trees-features"),
    recipe={
        "encoder": {"options": {"dropout": 0.1}},
        "training": {"steps": 400, "batch_size": 32, "learning_rate": 5e-4, "weight_decay": 0.1},
        "explanation": {"examples": 0},
    },
)

_PRETRAINING = {"training": {"steps": 2000, "batch_size": 32, "keep": "last", "learning_rate": 1e-3}}

NEXT_EVENT = Task(
    name="next-event",
    summary="pretraining: every event of a record is told from those before it (CLMBR, ETHOS)",
    reader="histories",
    encoder="suwen:events-2x128",
    head="next-event",
    metric="auroc",
    module="suwen.learn.objectives.next_event:TellNext",
    judge="suwen.verbs.record_judge:RecordJudge",
    asker="suwen.verbs.record_predict:answer_records",
    baselines=("majority", "logistic-features"),
    labelled=False,
    probe="records",
    recipe=_PRETRAINING,
)

TIME_TO_EVENT = Task(
    name="time-to-event",
    summary="pretraining: when each of many codes first happens, censored (MOTOR), and which event comes next",
    reader="futures",
    encoder="suwen:events-2x128",
    head="event-rates",
    metric="auroc",
    module="suwen.learn.objectives.time_to_event:TellWhen",
    judge="suwen.verbs.record_judge:RecordJudge",
    asker="suwen.verbs.record_predict:answer_records",
    baselines=("majority", "logistic-features"),
    labelled=False,
    probe="records",
    recipe=_PRETRAINING,
)
