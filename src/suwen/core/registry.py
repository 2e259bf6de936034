"""Names to things. A row is a string until it is asked for, so that listing is instant and imports no torch.

suwen's own rows and those of third parties come in by the same door, Python entry points:

    [project.entry-points."suwen.encoders"]
    mine = "my_package.encoders:MyEncoder"
"""

from __future__ import annotations

import warnings
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from suwen.core.errors import NameUnknown, SuwenError


class Registry:
    """The things of one kind (``encoders``, ``heads``, ``tasks`` …), by name.

    Args:
        kind: singular noun, as shown in errors.
        group: the entry-point group, ``suwen.encoders`` and so on.
        listed: what to type to see them.
    """

    def __init__(self, kind: str, group: str, *, listed: str = "suwen --help") -> None:
        self.kind, self.group, self.listed = kind, group, listed
        self._added: dict[str, Any] = {}

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        # the order on disk is chance; suwen's own rows come first, so that no package takes their place unseen
        for point in sorted(
            entry_points(group=self.group), key=lambda row: (not row.value.startswith("suwen."), row.value)
        ):
            if point.name in found and found[point.name].value != point.value:
                warnings.warn(
                    f"two packages offer the {self.kind} {point.name!r}: {found[point.name].value} is kept, "
                    f"{point.value} is ignored",
                    stacklevel=2,
                )
                continue
            found[point.name] = point
        return found

    def add(self, name: str, thing: Any) -> Any:
        """Register `thing` for this process (notebooks, tests); packages use entry points instead."""
        if name in self:
            warnings.warn(f"the {self.kind} {name!r} was there already and is replaced", stacklevel=2)
        self._added[name] = thing
        return thing

    def __getitem__(self, name: str) -> Any:
        """The thing itself, imported on first use.

        Raises:
            NameUnknown: it is not registered; the nearest names are offered.
            SuwenError: its package is broken, or lacks something that it needs.
        """
        if name in self._added:
            return self._added[name]
        if name not in self._points:
            raise NameUnknown(self.kind, name, self.names(), fix=self.listed)
        point = self._points[name]
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            package = point.dist.name if point.dist else point.module.partition(".")[0]
            raise SuwenError(
                f"the {self.kind} {name!r} of the package {package} cannot be loaded: {error}",
                why=f"{point.value} is not there, or needs something that is not installed",
                fix=f"pip install --upgrade {package}, or uninstall it",
            ) from error

    def __contains__(self, name: str) -> bool:
        return name in self._added or name in self._points

    def names(self) -> list[str]:
        """All names, sorted. Imports nothing."""
        return sorted({*self._added, *self._points})


ENCODERS = Registry("encoder", "suwen.encoders", listed="suwen encoders")
HEADS = Registry("head", "suwen.heads", listed="suwen finetune --help   names them at --head")
TASKS = Registry("task", "suwen.tasks", listed="suwen tasks")
READERS = Registry("reader", "suwen.readers", listed="suwen tasks   shows which tasks there are")
EXPLANATIONS = Registry("explanation", "suwen.explanations", listed="suwen explanations")
STRATEGIES = Registry("strategy", "suwen.strategies", listed="suwen query --help   names them at --strategy")
PARTS = Registry("parts", "suwen.parts", listed="suwen explanations")
IMPORTERS = Registry("format of records", "suwen.importers", listed="suwen records import --help")
VERBS = Registry("verb", "suwen.verbs", listed="suwen --help")
