from __future__ import annotations

import pytest
from benchmarks.__main__ import BENCHMARKS, _load, main


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert listed == list(BENCHMARKS)


def test_an_unknown_name_offers_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["sped"])
    assert left.value.code == 2
    assert "speed" in capsys.readouterr().err


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_explains_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert (_load(BENCHMARKS[name][0]).__doc__ or "?").split()[0] in capsys.readouterr().out


@pytest.mark.parametrize("name", ["quality", "keras", "active", "distillation"])
def test_absent_data_is_refused_with_where_to_get_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--data", "nowhere/pneumoniamnist.npz"])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "nowhere/pneumoniamnist.npz" in said and "--data" in said
