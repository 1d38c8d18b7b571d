"""Who may do what in the studio: every listener is told who asks, and refuses whoever may not."""

import html
import inspect
from collections.abc import AsyncIterator, Callable
from functools import wraps
from typing import Any

import gradio as gr

from engine.errors import UserError
from tuner_app.page.database import NotNowError
from tuner_app.page.studio.words import Words
from tuner_app.store import Store, members
from tuner_app.store.members import ROLES
from tuner_app.store.rows import Member, MemberRole

Handler = Callable[..., Any]


def member_of(request: gr.Request) -> Member:
    """Whom the page's middleware has let in."""
    assert request.request is not None
    member = request.request.state.member
    assert isinstance(member, Member)
    return member


def require_still(store: Store, member: Member) -> None:
    """A UserError when a member may no longer look on."""
    now = members.find(store, member.name)
    if now is None or now.revoked:
        raise UserError("You are no longer among the people of this page.")


def may(role: MemberRole, handler: Handler) -> Handler:
    """`handler(member, words, *values)` as a listener, for members of this role or a higher one.

    `handler` is an `async def` that returns or yields what its outputs get. What it raises as a UserError is
    shown to the person.
    """

    def begin(request: gr.Request) -> tuple[Member, Words]:
        member, words = member_of(request), Words.of(request.headers)
        if ROLES.index(member.role) < ROLES.index(role):
            raise gr.Error(words("not_yours"), title=words("wrong"), print_exception=False)
        return member, words

    if inspect.isasyncgenfunction(handler):

        @wraps(handler)
        async def listener(request: gr.Request, *values: Any) -> AsyncIterator[Any]:
            who = begin(request)
            try:
                async for shown in handler(*who, *values):
                    yield shown
            except (UserError, NotNowError) as error:
                raise _shown(who[1], error) from error

    else:

        @wraps(handler)
        async def listener(request: gr.Request, *values: Any) -> Any:
            who = begin(request)
            try:
                return await handler(*who, *values)
            except (UserError, NotNowError) as error:
                raise _shown(who[1], error) from error

    listener.role = role  # type: ignore[attr-defined]  # a test asks every listener for it
    return _as_gradio_reads_it(listener, handler)


def or_told(handler: Handler, told: Callable[..., Any]) -> Handler:
    """`handler`, but where it raises what a person can act on, what `told(member, words, error, *values)`
    gives: an error that Gradio shows stands in front of what the person was about."""

    @wraps(handler)
    async def guarded(member: Member, words: Words, *values: Any) -> Any:
        try:
            return await handler(member, words, *values)
        except (UserError, NotNowError) as error:
            return await told(member, words, error, *values)

    return guarded


def _as_gradio_reads_it(listener: Handler, handler: Handler) -> Handler:
    """Gradio finds out by name and annotation what a listener wants: the request first, then the values."""
    _, _, *values = inspect.signature(handler).parameters.values()
    request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
    hints = inspect.get_annotations(handler, eval_str=True)
    del listener.__wrapped__  # type: ignore[attr-defined]
    listener.__signature__ = inspect.Signature([request, *values])  # type: ignore[attr-defined]
    listener.__annotations__ = {"request": gr.Request} | {
        value.name: hints[value.name] for value in values if value.name in hints
    }
    return listener


def _shown(words: Words, error: UserError | NotNowError) -> gr.Error:
    text = html.escape(words.of_error(error)).replace("\n", "<br>")
    return gr.Error(text, title=words("wrong"), print_exception=False)
