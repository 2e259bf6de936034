from __future__ import annotations

import pytest
import timm

from suwen.encoders.catalogue import CHECKPOINTS, find, licence_of, warn_of


@pytest.mark.parametrize("row", CHECKPOINTS, ids=lambda row: row.name)
def test_a_row_names_an_architecture_that_exists_or_none(row: object) -> None:
    encoder = row.encoder  # type: ignore[attr-defined]
    assert encoder is None or (encoder.startswith("timm:") and timm.is_model(encoder.removeprefix("timm:")))


@pytest.mark.parametrize("row", CHECKPOINTS, ids=lambda row: row.name)
def test_exactly_the_licences_that_forbid_commercial_use_are_warned_about(row: object) -> None:
    warning = warn_of(row.licence)  # type: ignore[attr-defined]
    assert (warning is None) == row.commercial  # type: ignore[attr-defined]
    assert warning is None or row.licence in warning  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "licence", "commercial", "form"),
    [
        ("RAD-DINO", "MIT", True, "safetensors"),
        ("BiomedCLIP", "MIT", True, "pickle"),
        ("UNI", "CC BY-NC-ND 4.0", False, "pickle"),
        ("UNI2-h", "CC BY-NC-ND 4.0", False, "pickle"),
        ("RETFound", "CC BY-NC 4.0", False, "pickle"),
        ("CheXagent-2", "CC BY-NC 4.0", False, "transformers"),
    ],
)
def test_licences_and_forms_are_those_of_their_owners(name: str, licence: str, commercial: bool, form: str) -> None:
    (row,) = [row for row in CHECKPOINTS if row.name == name]
    assert row.licence.startswith(licence) and row.commercial == commercial and row.form.startswith(form)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("microsoft/rad-dino", "RAD-DINO"),
        ("MahmoodLab/UNI2-h", "UNI2-h"),
        ("mahmoodlab/uni@main", "UNI"),
        ("/home/a/.cache/huggingface/hub/models--MahmoodLab--UNI2-h/snapshots/0f/model.safetensors", "UNI2-h"),
        ("weights/microsoft/rad-dino/backbone_compatible.safetensors", "RAD-DINO"),
        ("somebody/rad-dino-copy", None),
        ("weights/university/model.safetensors", None),
    ],
)
def test_weights_are_known_by_hub_name_or_by_the_path_of_the_hub_cache(place: str, name: str | None) -> None:
    found = find(place)
    assert (found.name if found else None) == name
    assert licence_of(place) == (found.licence if found else None)


@pytest.mark.parametrize("licence", [None, "apache-2.0", "mit", "MIT", "bsd-3-clause", "dinov3-license"])
def test_other_licences_give_no_warning(licence: str | None) -> None:
    assert warn_of(licence) is None


@pytest.mark.parametrize("licence", ["cc-by-nc-4.0", "CC BY-NC-SA 4.0", "Non-Commercial use only", "academic only"])
def test_forbidding_licences_of_any_spelling_give_one(licence: str) -> None:
    assert licence in str(warn_of(licence))
