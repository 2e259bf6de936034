from __future__ import annotations

from typing import Any

import pytest

from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.explanation import Method, as_method


def fog(model: Any, inputs: Any, labels: Any, *, samples: int = 5, kind: str = "thick") -> Any:
    """Explains nothing.

    At length.
    """
    return samples, kind


FOG = Method(name="fog", summary="nothing", function=fog)


def test_settings_are_checked_and_completed() -> None:
    assert FOG(None, None, None) == (5, "thick")
    assert FOG(None, None, None, samples="7") == (7, "thick")  # as typed
    assert FOG.complete({"kind": "thin"}) == {"samples": 5, "kind": "thin"}


def test_an_unknown_setting_offers_the_nearest_and_a_wrong_type_is_refused() -> None:
    with pytest.raises(NameUnknown, match="samples"):
        FOG(None, None, None, sample=3)
    with pytest.raises(RecipeError, match="samples = 'many'"):
        FOG.complete({"samples": "many"})


def test_a_plain_function_of_another_package_is_a_row() -> None:
    row = as_method("fog", fog)
    assert (row.name, row.summary, row.defaults()) == ("fog", "Explains nothing.", {"samples": 5, "kind": "thick"})
    assert as_method("fog", FOG) is FOG
