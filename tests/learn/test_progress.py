from __future__ import annotations

from suwen.learn.progress import Progress


def test_the_loss_is_the_mean_over_samples() -> None:
    assert Progress(losses=6.0, seen=4).loss == 1.5
    assert Progress().loss == 0


def test_its_state_gives_it_back() -> None:
    progress = Progress(epoch=2, batch=3, step=17, best=[0.9, -0.2], history=[{"epoch": 1, "train_loss": 0.5}])
    assert Progress(**progress.to_state()) == progress
    progress.to_state()["history"].append("changed")
    assert len(progress.history) == 1
