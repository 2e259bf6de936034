from __future__ import annotations

import pytest

from suwen.core import errors
from suwen.core.errors import DataError, ExtraMissing, FileUnreadable, NameUnknown, SuwenError


def test_a_message_says_what_was_seen_why_and_what_to_type() -> None:
    error = DataError("a.png is 0 bytes", why="an empty file holds no image", fix="delete it, or pass --skip-bad")
    assert str(error).splitlines() == [
        "a.png is 0 bytes",
        "  why: an empty file holds no image",
        "  try: delete it, or pass --skip-bad",
    ]
    assert (error.seen, error.why) == ("a.png is 0 bytes", "an empty file holds no image")


def test_what_is_not_given_leaves_no_empty_line() -> None:
    assert str(DataError("a.png is 0 bytes")) == "a.png is 0 bytes"


def test_every_error_of_the_tree_is_a_suwen_error() -> None:
    tree = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)]
    assert len(tree) >= 10 and all(issubclass(thing, SuwenError) for thing in tree)
    assert issubclass(FileUnreadable, DataError)


@pytest.mark.parametrize(("typed", "offered"), [("restnet18", "resnet18"), ("vgg1", "vgg11"), ("densnet", "densenet")])
def test_near_names_are_offered(typed: str, offered: str) -> None:
    assert offered in NameUnknown("encoder", typed, ["resnet18", "vgg11", "densenet"]).why


def test_a_missing_extra_says_what_to_install() -> None:
    assert ExtraMissing("--log wandb", "wandb").fix == 'pip install "suwen[wandb]"'
