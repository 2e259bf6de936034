"""One function in place of another of PyTorch's, for as long as a context lasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode


class Instead(TorchFunctionMode):
    """While it lasts, `replacement` is called where modules call `original`; it may call `original` itself."""

    def __init__(self, original: Callable[..., Any], replacement: Callable[..., Any]) -> None:
        super().__init__()
        self.original, self.replacement = original, replacement

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """`replacement` in place of `original`; everything else as it is."""
        given: Mapping[str, Any] = kwargs or {}
        return (self.replacement if func is self.original else func)(*args, **given)
