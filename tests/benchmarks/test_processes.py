from __future__ import annotations

import sys
import time

import pytest
from benchmarks.processes import run_process

from suwen.core.errors import SuwenError


def test_wall_time_is_that_of_the_whole_process() -> None:
    done = run_process([sys.executable, "-c", "import time; time.sleep(0.3); print('done')"])
    assert done.output == "done\n"
    assert 0.3 <= done.wall < 10
    assert done.processor < done.wall


def test_a_failing_command_stops_the_benchmark_and_says_why() -> None:
    with pytest.raises(SuwenError, match=r"exit code 3:\nthe reason"):
        run_process([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])


def test_variables_are_added_to_those_of_this_process() -> None:
    code = "import os; print(os.environ['ADDED'], 'PATH' in os.environ)"
    assert run_process([sys.executable, "-c", code], environment={"ADDED": "yes"}).output == "yes True\n"


def test_the_watch_sees_the_process_while_it_runs() -> None:
    seen: list[int] = []

    def watch(process: int) -> None:
        time.sleep(0.1)
        seen.append(process)

    run_process([sys.executable, "-c", "import os, time; time.sleep(0.2)"], watch=watch)
    assert len(seen) == 1
