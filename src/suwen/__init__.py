"""suwen: foundation models in healthcare, behind one contract, ``Z = C(X)``, ``Ŷ = σ(WᵀZ + b) / Z₀``.

    import suwen
    model = suwen.finetune("image-classification", "chest/", out="runs/chest")
    model.predict("scan.dcm")

Every verb of the command line is a function here, imported when first used.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = version("suwen")

if TYPE_CHECKING:
    from suwen.core.model import Model as Model
    from suwen.core.run import load as load
    from suwen.verbs.demo import demo as demo
    from suwen.verbs.distill import distill as distill
    from suwen.verbs.evaluate import evaluate as evaluate
    from suwen.verbs.explain import explain as explain
    from suwen.verbs.export import export as export
    from suwen.verbs.finetune import finetune as finetune
    from suwen.verbs.predict import predict as predict
    from suwen.verbs.pretrain import pretrain as pretrain
    from suwen.verbs.query import query as query
    from suwen.verbs.simulate import simulate as simulate
    from suwen.verbs.variants import variants as variants


def __getattr__(name: str) -> Any:
    from suwen.core.registry import VERBS

    if name == "load":
        from suwen.core.run import load

        return load
    if name == "Model":
        from suwen.core.model import Model

        return Model
    if name in VERBS:
        return VERBS[name]
    raise AttributeError(f"suwen has no {name!r}; its verbs are {', '.join(VERBS.names())}")
