from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import RecipeError
from suwen.core.recipe import Recipe, make_recipe, parse_set, read_recipe

TASK = {"task": "image-classification"}


def test_later_layers_win_and_others_stay() -> None:
    recipe = make_recipe(
        TASK,
        {"training": {"epochs": 3, "batch_size": 8}},
        {"training": {"epochs": 4}},
        parse_set(["training.epochs=5"]),
    )
    assert (recipe.training.epochs, recipe.training.batch_size) == (5, 8)


def test_layers_are_not_changed_by_merging() -> None:
    below = {"training": {"epochs": 3}}
    make_recipe(TASK, below, {"training": {"epochs": 4}})
    assert below == {"training": {"epochs": 3}}


def test_naming_transforms_replaces_the_list_of_the_layer_below() -> None:
    recipe = make_recipe(TASK, {"augment": {"affine": {}, "noise": {}}}, {"augment": {"flip": {}}})
    assert recipe.augment == {"flip": {}}
    assert make_recipe(TASK, {"augment": {"affine": {}}}, {"augment": {}}).augment == {}


@pytest.mark.parametrize(
    ("wrong", "offers"),
    [
        ({"trainning": {}}, "training"),
        ({"training": {"epoch": 3}}, "epochs"),
        ({"training": {"lr": 3}}, "clip"),
        ({"encoder": {"weight": "hub"}}, "weights"),
        ({"evaluation": {"xyz": 1}}, "threshold"),
    ],
)
def test_an_unknown_setting_names_itself_and_offers_what_is_near(wrong: dict[str, Any], offers: str) -> None:
    with pytest.raises(RecipeError, match="unknown setting") as refused:
        make_recipe(TASK, wrong)
    group, value = next(iter(wrong.items()))
    assert ".".join([group, *value]) in refused.value.seen
    assert offers in refused.value.why


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("training.epochs", 0),
        ("training.epochs", "many"),
        ("training.learning_rate", -1.0),
        ("training.learning_rate", float("inf")),
        ("training.learning_rate", float("nan")),
        ("training.average", 1.0),
        ("training.layer_decay", 0),
        ("training.optimizer", "adam"),
        ("training.precision", "int8"),
        ("training.clip", 0),
        ("evaluation.coverage", 1.0),
        ("data.train", 1.5),
        ("seed", -1),
        ("augment.affine", 3),
    ],
)
def test_an_impossible_value_is_refused_by_name_and_value(place: str, value: Any) -> None:
    nested: Any = value
    for key in reversed(place.split(".")):
        nested = {key: nested}
    with pytest.raises(RecipeError) as refused:
        make_recipe(TASK, nested)
    assert refused.value.seen == f"{place} = {value!r}"
    assert refused.value.why and refused.value.fix == f"--set {place}=VALUE"


def test_a_recipe_without_a_task_says_so() -> None:
    with pytest.raises(RecipeError, match="no task"):
        make_recipe({"seed": 3})


def test_a_recipe_cannot_be_changed_in_passing() -> None:
    with pytest.raises(ValueError, match="frozen"):
        make_recipe(TASK).training.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.epochs=20", {"training": {"epochs": 20}}),
        ("encoder.weights=hub", {"encoder": {"weights": "hub"}}),
        ("encoder.weights=", {"encoder": {"weights": None}}),
        ("evaluation.by=[sex, site]", {"evaluation": {"by": ["sex", "site"]}}),
        ("augment={affine: {rotate: 10}, noise: {}}", {"augment": {"affine": {"rotate": 10}, "noise": {}}}),
        ("data.source=a=b.csv", {"data": {"source": "a=b.csv"}}),
        ("encoder.options.init_values=1e-5", {"encoder": {"options": {"init_values": 1e-5}}}),
        ("encoder.options.scale=1.5e3", {"encoder": {"options": {"scale": 1500.0}}}),
        ("encoder.options.tag=e5", {"encoder": {"options": {"tag": "e5"}}}),
    ],
)
def test_set_reads_values_as_yaml(text: str, expected: dict[str, Any]) -> None:
    assert parse_set([text]) == expected


def test_several_settings_of_one_group_add_up() -> None:
    assert parse_set(["training.epochs=2", "training.clip=1"]) == {"training": {"epochs": 2, "clip": 1}}
    both = parse_set(["augment.affine.rotate=5", "augment.noise.level=0.1"])
    assert both == {"augment": {"affine": {"rotate": 5}, "noise": {"level": 0.1}}}


@pytest.mark.parametrize("text", ["training.epochs", "augment={affine: {rotate: 10}", "a=[1, 2", "a='x"])
def test_set_that_cannot_be_read_says_how_to_write_it(text: str) -> None:
    with pytest.raises(RecipeError) as refused:
        parse_set([text])
    assert repr(text) in refused.value.seen and "--set" in refused.value.fix


def test_set_never_builds_python_objects() -> None:
    with pytest.raises(RecipeError):
        parse_set(["a=!!python/object/apply:os.system ['true']"])


def test_every_setting_is_written(tmp_path: Path) -> None:
    make_recipe(TASK).save(tmp_path / "recipe.yaml")
    written = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    assert set(written) == set(Recipe.model_fields)
    assert all(set(written[group]) for group in ("training", "data", "evaluation", "encoder"))


@pytest.mark.parametrize(
    ("text", "says"),
    [("training: [", "not YAML"), ("- 1\n- 2\n", "holds a list"), ("", "holds a NoneType"), (None, "no recipe file")],
)
def test_a_recipe_file_that_is_none_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "recipe.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecipeError, match=says) as refused:
        read_recipe(path)
    assert str(path) in refused.value.seen


def test_a_file_of_other_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not YAML"):
        read_recipe(tmp_path / "recipe.yaml")


# PyYAML takes the three characters left out for line breaks, even in quotes
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | numbers
    | words
    | st.sampled_from(["1e5", "no", "null", "0x1", "1.", "~"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)


@settings(max_examples=60, deadline=None)
@given(
    options=st.dictionaries(words, values, max_size=3),
    rate=st.floats(1e-12, 1e3),
    augment=st.none() | st.dictionaries(words, st.dictionaries(words, numbers, max_size=2), max_size=2),
    labels=st.none() | st.lists(words, max_size=3),
    seed=st.integers(0, 2**63),
)
def test_yaml_gives_back_an_equal_recipe(
    tmp_path_factory: pytest.TempPathFactory, options: Any, rate: float, augment: Any, labels: Any, seed: int
) -> None:
    recipe = make_recipe(
        TASK,
        {"encoder": {"options": options}, "training": {"learning_rate": rate}, "augment": augment},
        {"data": {"labels": labels}, "seed": seed},
    )
    path = tmp_path_factory.mktemp("recipes") / "recipe.yaml"
    recipe.save(path)
    again = make_recipe(read_recipe(path))
    assert again == recipe
    assert again.to_yaml() == recipe.to_yaml()
