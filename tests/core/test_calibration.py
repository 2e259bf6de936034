from __future__ import annotations

import json

from suwen.core.calibration import Calibration


def test_json_gives_back_an_equal_calibration() -> None:
    calibration = Calibration(temperature=1.3, threshold=0.1 + 0.2, coverage=0.8, quantile=0.37)
    assert Calibration(**json.loads(json.dumps(calibration.to_json()))) == calibration


def test_without_calibration_nothing_is_changed() -> None:
    plain = Calibration()
    assert plain.temperature == 1.0 and plain.threshold is None and plain.quantile is None
