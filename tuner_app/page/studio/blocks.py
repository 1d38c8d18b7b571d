"""Gradio's blocks, which say in one line what goes wrong, where Gradio prints a traceback on the server."""

from traceback import walk_tb
from typing import Any

import gradio as gr

from tuner_app import faults
from tuner_app.clean import one_line
from tuner_app.page.studio.words import Words
from tuner_app.paths import Home

LINE = 200  # characters of what is printed about it


class Blocks(gr.Blocks):
    """Says in one line what goes wrong, and to the person that it did."""

    def __init__(self, home: Home, **how: Any) -> None:
        super().__init__(**how)
        self._home = home

    async def process_api(
        self,
        block_fn: Any,
        inputs: list[Any],
        state: Any = None,
        request: Any = None,
        *more: Any,
        **named: Any,
    ) -> dict[str, Any]:
        """What Gradio gives; a gr.Error that it prints nothing of where that is none."""
        try:
            return await super().process_api(block_fn, inputs, state, request, *more, **named)
        except Exception as error:
            if isinstance(error, gr.Error) and not error.print_exception:
                raise
            words = Words.of(request.headers if request else {})
            print(faults.keep(self._home, error) if _is_ours(error) else _refused(error), flush=True)
            raise gr.Error(words("not_taken"), title=words("wrong"), print_exception=False) from error


def _refused(error: Exception) -> str:
    """One line about what was sent; a stranger writes no file."""
    return one_line(f"The studio was sent what it cannot take: {type(error).__name__}: {error}", LINE)


def _is_ours(error: Exception) -> bool:
    """Whether a listener has failed, and not Gradio before it came to that."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return any(name.startswith("tuner_app.") for name in names if name != __name__)
