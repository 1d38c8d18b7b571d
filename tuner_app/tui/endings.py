"""The app's end by a signal: what is under way is kept, as when a person quits."""

import asyncio
import os
import signal
import termios
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

GIVE_BACK_SECONDS = 3.0  # after which nothing waits any more for a terminal that is gone


def heed_signals(app: "TunerApp") -> None:
    """Quit when the system asks, and when the terminal's window is closed."""

    async def end() -> None:
        if gone := _terminal_is_gone():
            # Its writer has died with it; the queue before it fills, and would then hold up everything.
            app._driver.write = lambda _: None  # type: ignore[union-attr, method-assign]
        await app.leave()  # half an answer is kept when this returns
        if gone:
            threading.Timer(GIVE_BACK_SECONDS, os._exit, (0,)).start()

    for asked in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(asked, lambda: app.run_worker(end()))


def _terminal_is_gone() -> bool:
    try:
        termios.tcgetattr(0)
    except termios.error:
        return True
    return False
