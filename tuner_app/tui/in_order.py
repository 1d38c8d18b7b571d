"""Keys that come in one burst, as from a slow line, are acted on in the order in which they came."""

from collections import deque

from textual.app import App
from textual.events import Event, Key, Paste
from textual.message import Message
from textual.message_pump import MessagePump

ROUNDS = 2  # what a key's action has posted, a change of focus too, is done by the second time round
LOOK = 0.25  # seconds: how often it is looked whether a key was lost with its widget
LOOKS = 20  # so often at most: then the next key is handed out, whatever keeps the one before


class KeyPassed(Message):
    """Follows a key from the widget that got it up to the app, behind what the key set going."""

    def __init__(self, event: Event, rounds: int = ROUNDS) -> None:
        super().__init__()
        self.event = event
        self.rounds = rounds


class InOrderApp(App[None]):
    """An app that hands out a key when the one before it has been acted on.

    Textual hands all to the widget that has the focus. Letters are taken there at once; any other key has to
    go up to the app, which looks for its binding: of "ab", backspace, "c" in one burst it takes the c back.
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[Event] = deque()  # the first of them is under way
        self._with: MessagePump = self  # who was given that

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            self._typed.append(event)
            if len(self._typed) == 1:
                await self._hand_out()
            elif len(self._typed) == 2:
                self._give_up_later()
        else:
            await super().on_event(event)

    async def _hand_out(self) -> None:
        event = self._typed[0]
        self._with = taker = self._taker()
        await super().on_event(event)
        (taker if taker.is_running else self).post_message(KeyPassed(event))

    def _taker(self) -> MessagePump:
        """Who gets a key."""
        return self.focused or self.screen if self.screen_stack else self  # no screen: at the end

    async def on_key_passed(self, message: KeyPassed) -> None:
        if not self._typed or message.event is not self._typed[0]:
            return  # given up before
        if message.rounds > 1:
            self._taker().post_message(KeyPassed(message.event, message.rounds - 1))
        else:
            await self._next()

    async def _next(self) -> None:
        self._typed.popleft()
        if self._typed:
            await self._hand_out()
        if len(self._typed) > 1:
            self._give_up_later()

    def _give_up_later(self, looks: int = LOOKS) -> None:
        first = self._typed[0]

        async def look() -> None:
            if not self._typed or self._typed[0] is not first:
                return
            if looks and self._with.is_running and self._with.is_attached:
                self._give_up_later(looks - 1)
            else:
                await self._next()

        self.set_timer(LOOK, look)
