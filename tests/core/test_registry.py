from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from suwen.core.errors import NameUnknown, SuwenError
from suwen.core.registry import (
    ENCODERS,
    EXPLANATIONS,
    HEADS,
    PARTS,
    READERS,
    STRATEGIES,
    TASKS,
    VERBS,
    Registry,
)

PACKAGES = {
    "first": "[orchard.fruits]\napple = first_fruit:APPLE\n",
    "second": "[orchard.fruits]\napple = second_fruit:APPLE\npear = second_fruit:PEAR\n",
    "usurper": "[suwen.encoders]\ntimm = a_usurper:TIMM\n",
}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed packages: two offer the fruit "apple", and one an encoder that suwen has itself."""
    for package, rows in PACKAGES.items():
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(rows)
    (tmp_path / "second_fruit.py").write_text("PEAR = 'a ripe pear'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_an_entry_point_is_found_without_importing_it(packages: Path) -> None:
    with pytest.warns(UserWarning):
        fruits = Registry("fruit", "orchard.fruits")
        assert fruits.names() == ["apple", "pear"]
        assert "pear" in fruits and "plum" not in fruits
    assert "second_fruit" not in sys.modules
    assert fruits["pear"] == "a ripe pear"


def test_two_packages_with_one_name_are_warned_about_and_the_message_names_both(packages: Path) -> None:
    with pytest.warns(UserWarning, match="'apple'") as caught:
        Registry("fruit", "orchard.fruits").names()
    assert "first_fruit:APPLE" in str(caught[0].message) and "second_fruit:APPLE" in str(caught[0].message)


def test_a_broken_package_is_named(packages: Path) -> None:
    with pytest.warns(UserWarning):
        fruits = Registry("fruit", "orchard.fruits")
        assert "apple" in fruits
    with pytest.raises(SuwenError, match="the fruit 'apple' of the package first cannot be loaded") as refused:
        fruits["apple"]
    assert "first_fruit:APPLE" in refused.value.why and "first" in refused.value.fix


def test_a_wrong_name_offers_the_nearest() -> None:
    registry = Registry("fruit", "nowhere.fruits", listed="suwen fruits")
    registry.add("pineapple", 1)
    registry.add("plum", 2)
    with pytest.raises(NameUnknown, match="did you mean pineapple") as refused:
        registry["pinaple"]
    assert refused.value.fix == "suwen fruits"


def test_a_name_unlike_all_others_lists_what_there_is() -> None:
    registry = Registry("fruit", "nowhere.fruits", listed="suwen fruits")
    registry.add("plum", 2)
    with pytest.raises(NameUnknown, match="known: plum"):
        registry["xxxxxx"]


def test_adding_a_name_twice_warns_and_replaces() -> None:
    registry = Registry("fruit", "nowhere.fruits", listed="suwen fruits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.add("plum", 1)
    with pytest.warns(UserWarning, match="'plum' was there already"):
        registry.add("plum", 2)
    assert registry["plum"] == 2 and registry.names() == ["plum"]


def test_no_package_takes_the_place_of_suwens_own(packages: Path) -> None:
    with pytest.warns(UserWarning, match="a_usurper:TIMM is ignored"):
        assert Registry("encoder", "suwen.encoders")["timm"] is ENCODERS["timm"]


def test_suwens_own_rows_come_in_by_the_same_door() -> None:
    assert {"timm", "run"} <= set(ENCODERS.names())
    assert TASKS["image-classification"].head == "classify"


def test_what_to_type_after_a_wrong_name_is_a_command_that_there_is() -> None:
    """No command lists the strategies; the help of the one that takes them does."""
    from suwen.cli.main import COMMANDS

    for registry in (ENCODERS, HEADS, TASKS, READERS, EXPLANATIONS, STRATEGIES, PARTS, VERBS):
        assert registry.listed.split()[1] in (*COMMANDS, "--help")
    with pytest.raises(NameUnknown, match="suwen query --help"):
        STRATEGIES["entropie"]
