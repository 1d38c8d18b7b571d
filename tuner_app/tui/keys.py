"""The keys that work on a screen, read from the bindings: for the help and the command palette."""

from collections.abc import Iterator
from typing import Any

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

OURS = "tuner_app."


def groups(screen: Screen[Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(what has the keys, [(keys, what they do)]): what has the focus, what else is on the screen, the screen
    itself, and the app.

    A class says what it is in `KEYS_OF`, and what a key does in its binding's tooltip, or its description.
    """
    seen: set[type[DOMNode]] = set()
    focused = [screen.focused] if screen.focused else []
    for node in (*focused, *screen.query("*"), screen, screen.app):
        kind = type(node)
        if kind not in seen and (keys := _keys_of(kind, screen.app)):
            yield getattr(kind, "KEYS_OF", "This screen" if node is screen else kind.__name__), keys
        seen.add(kind)


def commands(screen: Screen[Any]) -> Iterator[SystemCommand]:
    """What can be done now by a key of ours, for the command palette."""
    for active in screen.active_bindings.values():
        binding, node = active.binding, active.node
        if active.enabled and binding.description and _is_ours(binding, type(node)):
            title = binding.description[0].upper() + binding.description[1:]
            does = f"{screen.app.get_key_display(binding)}  {binding.tooltip}".rstrip()
            action = binding.action
            yield SystemCommand(
                title, does, lambda node=node, action=action: screen.app.run_action(action, node)
            )


def _is_ours(binding: Binding, kind: type[DOMNode]) -> bool:
    """Whether a class of ours has said so: a text field brings fifty more, which move its cursor."""
    return any(
        ours.action == binding.action
        for cls in kind.__mro__
        if cls.__module__.startswith(OURS)
        for ours in vars(cls).get("BINDINGS", ())
    )


def _keys_of(kind: type[DOMNode], app: App[Any]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for cls in kind.__mro__:
        if cls.__module__.startswith(OURS):
            for binding in vars(cls).get("BINDINGS", ()):
                assert isinstance(binding, Binding)
                if text := binding.tooltip or binding.description:
                    found.setdefault(_display(binding, app), text)
    return list(found.items())


def _display(binding: Binding, app: App[Any]) -> str:
    if binding.key_display:
        return binding.key_display
    return " ".join(app.get_key_display(one) for one in Binding.make_bindings([binding]))
