"""The table from action types to the methods that perform them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from steelyard.errors import NodeError
from steelyard.nodes.decisions.actions import Action

Handler = Callable[[Any], Awaitable[None]]
Handlers = Mapping[type[Action], Handler]


class ActionGroup(Protocol):
    """Actions that belong together, for example those of one role."""

    def handlers(self) -> Handlers:
        """The method for each action type that this group performs."""


class ActionDispatcher:
    """Performs each action with the one handler that is registered for its type.

    Raises ValueError if two groups register the same type.
    """

    def __init__(self, groups: Iterable[ActionGroup]) -> None:
        self._handlers: dict[type[Action], Handler] = {}
        for group in groups:
            handlers = group.handlers()
            if twice := self._handlers.keys() & handlers.keys():
                raise ValueError(f"two handlers for {', '.join(sorted(kind.__name__ for kind in twice))}")
            self._handlers.update(handlers)

    @property
    def types(self) -> frozenset[type[Action]]:
        """The action types that this node performs."""
        return frozenset(self._handlers)

    async def perform(self, action: Action) -> None:
        """Perform one action. Raises SteelyardError if that is not possible now."""
        handler = self._handlers.get(type(action))
        if handler is None:
            raise NodeError(f"this node cannot perform {action}", remedy="report this as a bug")
        await handler(action)
