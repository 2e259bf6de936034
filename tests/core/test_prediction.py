from __future__ import annotations

import json

from suwen.core.prediction import Prediction

LINE = ["input", "task", "answer", "probabilities", "set", "abstain", "model", "seconds"]


def test_a_json_line_has_exactly_the_promised_keys_in_order() -> None:
    answer = Prediction(
        answer="nodule",
        probabilities={"clear": 0.25, "nodule": 0.75},
        set=["nodule"],
        input="a.dcm",
        task="image-classification",
        model="chest@0123",
        seconds=0.12345678,
    )
    assert list(answer.to_json()) == LINE
    assert json.loads(json.dumps(answer.to_json())) == {
        "input": "a.dcm",
        "task": "image-classification",
        "answer": "nodule",
        "probabilities": {"clear": 0.25, "nodule": 0.75},
        "set": ["nodule"],
        "abstain": False,
        "model": "chest@0123",
        "seconds": 0.1235,
    }


def test_an_answer_that_abstains_also_says_why() -> None:
    line = Prediction(answer=None, probabilities={}, abstain=True, reason="unlike the training images").to_json()
    assert list(line) == [*LINE, "reason"]
    assert line["abstain"] is True and line["reason"] == "unlike the training images"
