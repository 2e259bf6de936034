"""The command line says and does what Python says and does."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from suwen.cli.main import COMMANDS, GROUPS, app
from suwen.core.registry import VERBS

ONLY_ON_THE_COMMAND_LINE = {"json", "csv"}
NOT_ON_THE_COMMAND_LINE = {"progress"}


def suwen(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "suwen", *words], capture_output=True, text=True, cwd=cwd)


def test_every_verb_is_a_command() -> None:
    assert sorted(COMMANDS + GROUPS) == VERBS.names()
    assert len(app.registered_commands) == len(COMMANDS) and len(app.registered_groups) == len(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_has_the_functions_of_its_verb(group: str) -> None:
    (commands,) = (each.typer_instance for each in app.registered_groups if each.name == group)
    assert commands is not None and commands.registered_commands
    for command in commands.registered_commands:
        assert command.callback is not None
        verb = getattr(VERBS[group], command.callback.__name__)
        typed, called = (inspect.signature(each).parameters for each in (command.callback, verb))
        assert set(typed) - set(called) <= ONLY_ON_THE_COMMAND_LINE
        assert set(called) - set(typed) <= {"quiet"}
        name = command.name or command.callback.__name__
        said = suwen(group, name, "--help")
        assert said.returncode == 0 and "Example" in said.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_keywords_and_defaults_of_its_verb(name: str) -> None:
    command = next(c.callback for c in app.registered_commands if c.name == name)
    assert command is not None
    typed = inspect.signature(command).parameters
    called = inspect.signature(VERBS[name]).parameters
    assert set(typed) - set(called) <= ONLY_ON_THE_COMMAND_LINE
    assert set(called) - set(typed) <= NOT_ON_THE_COMMAND_LINE
    for key in set(typed) & set(called):
        default = called[key].default
        expected = None if default == () else str(default) if isinstance(default, Path) else default
        if called[key].kind is not inspect.Parameter.VAR_POSITIONAL:
            assert typed[key].default == expected, key


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_every_option(name: str) -> None:
    said = suwen(name, "--help")
    assert said.returncode == 0 and "Usage" in said.stdout


@pytest.mark.parametrize("words", [("--help",), ("tasks",), ("encoders",), ("explanations",), ("finetune", "--help")])
def test_listing_imports_no_torch(words: tuple[str, ...]) -> None:
    code = """
import sys
from suwen.cli.main import main
try:
    main()
except SystemExit:
    pass
print([name for name in ("torch", "timm", "pandas", "sklearn", "matplotlib") if name in sys.modules], file=sys.stderr)
"""
    said = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert said.stderr.strip().endswith("[]"), said.stderr


def test_tasks_as_json_lines() -> None:
    rows = [json.loads(line) for line in suwen("tasks", "--json").stdout.splitlines()]
    (images,) = (row for row in rows if row["task"] == "image-classification")
    assert images["head"] == "classify"


@pytest.mark.parametrize("verb", ["tasks", "encoders"])
def test_names_are_whole_at_80_columns(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = suwen(verb).stdout
    names = {"tasks": ["image-classification"], "encoders": ["RAD-DINO", "MedImageInsight", "CheXagent-2"]}[verb]
    assert all(name in said for name in names)
    assert max(map(len, said.splitlines())) <= 80


def test_explanations_as_json_lines_say_what_a_value_means() -> None:
    rows = {row["method"]: row for row in map(json.loads, suwen("explanations", "--json").stdout.splitlines())}
    assert rows["kernel-shap"]["values"] == "signed" and "label" in rows["attention-rollout"]["meaning"]
    assert rows["counterfactual"]["needs"] == "--examples" and all(row["how"] for row in rows.values())


def test_encoders_show_licences_and_find_by_name() -> None:
    assert "CC BY-NC" in suwen("encoders", "--json").stdout
    assert '"timm:resnet18"' in suwen("encoders", "resnet18", "--json").stdout


def test_a_refusal_is_short_and_exits_with_2(tmp_path: Path) -> None:
    said = suwen("finetune", "image-classification", "nowhere/", "--out", "r", cwd=tmp_path)
    assert said.returncode == 2 and "Traceback" not in said.stderr
    assert "nowhere" in said.stderr and "try:" in said.stderr


def test_an_unknown_command_offers_help() -> None:
    said = suwen("finetunee")
    assert said.returncode == 2 and "finetune" in said.stderr


def test_doctor_names_each_thing_it_looked_at() -> None:
    found = {json.loads(line)["what"] for line in suwen("doctor", "--json").stdout.splitlines()}
    assert {"Python", "PyTorch", "device", "precision", "cores", "memory", "cache"} <= found
