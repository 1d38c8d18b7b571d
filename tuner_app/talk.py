"""Chat in a plain terminal, and the chat worker in the foreground."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import replace

import click
from rich.console import Console

from engine.errors import UserError
from tuner_app import settings
from tuner_app.clean import one_line, visible
from tuner_app.client import ChatClient
from tuner_app.conversing.link import ModelLink
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store, asked, chats, models
from tuner_app.workers import supervisor

POLL_SECONDS = 0.25
error_console = Console(stderr=True, highlight=False)


def serve(home: Home, base: str, port: int) -> int:
    """Run the chat worker in the foreground until Ctrl+C."""
    command = [sys.executable, "-m", "tuner_app.workers.chat", "--home", str(home.folder), "--base", base]
    process = subprocess.Popen([*command, "--port", str(port)])
    try:
        while process.poll() is None:
            endpoint = supervisor.chat_endpoint(home)
            if endpoint and endpoint.pid == process.pid:
                click.echo(f"{endpoint.url}/v1  key {endpoint.key}  (Ctrl+C stops)")
                break
            time.sleep(POLL_SECONDS)
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return 0


def connect(home: Home, by: Settings) -> tuple[ChatClient, Settings]:
    """A client of the server in the settings, or of our own chat worker, started when need be; and who
    answers there."""
    link = ModelLink(home, lambda state, detail: None)
    with error_console.status("Loading the model…"):
        client = asyncio.run(link.client(by))
    return client, link.named(by)


def chat(
    home: Home,
    store: Store,
    prompt: str | None,
    *,
    model: str,
    base: str,
    system: str,
    decoding: settings.Decoding,
    as_json: bool,
) -> None:
    """Answer `prompt`, or chat until the end of input; the conversation is kept in the store."""
    saved = settings.load(home)
    by = _answering(store, saved, model, base)
    client, by = connect(home, by)
    talk = _Talk(store, client, by, system, decoding)
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read().strip()
        if not prompt:
            raise UserError("There is no prompt: what was piped in is empty.")
    if prompt is not None:
        asyncio.run(talk.turn(prompt, as_json=as_json))
        return
    click.echo(f"Chatting with {by.adapter or 'the base'}; an empty line or Ctrl+D ends it.")
    while line := _ask():
        asyncio.run(talk.turn(line, as_json=as_json))


def _ask() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        click.echo()
        return ""


def _answering(store: Store, saved: Settings, model: str, base: str) -> Settings:
    """The settings with who is to answer: of this machine what is named, else as they say."""
    adapter = "" if model == "base" else model or ("" if base else saved.adapter)
    if saved.chat_url and not base and not (model and models.adapter(store, model)):
        return replace(saved, adapter=adapter)
    own = _base_of(store, adapter)  # asked in any case: an adapter that cannot chat is refused
    return replace(saved, base=base or own or saved.base, adapter=adapter, chat_url="")


def _base_of(store: Store, adapter: str) -> str:
    """Where the base of the adapter called `adapter` comes from; "" without an adapter."""
    if not adapter:
        return ""
    found = models.adapter(store, adapter)
    if found is None:
        names = ", ".join(row.name for row in models.adapters(store) if not row.is_reward) or "none yet"
        raise UserError(f"There is no adapter “{adapter}”.", do=f"Adapters: {names}.")
    if found.is_reward:
        raise UserError(
            f"{adapter} is a reward model: it scores answers and gives none.",
            do=f"Let it lead PPO (tuner train ppo --reward {adapter}), or chat with another model.",
        )
    return next(row.source for row in models.bases(store) if row.id == found.base_id)


class _Talk:
    """One conversation in a plain terminal."""

    def __init__(
        self,
        store: Store,
        client: ChatClient,
        by: Settings,
        system: str,
        decoding: settings.Decoding,
    ) -> None:
        self.store, self.client, self.by = store, client, by
        self.decoding = decoding
        self.conversation = chats.start(store, system=system)

    async def turn(self, prompt: str, *, as_json: bool) -> None:
        """Ask, show the answer as it comes, and keep both."""
        here = chats.get(self.store, self.conversation.id)
        if not here.title:
            chats.rename(self.store, here.id, one_line(prompt))
        question = chats.add(self.store, here.id, role="user", content=prompt, parent_id=here.tip_id)
        sent = asked.prompt(self.store, question, asked.now(here))
        decoding, model = self.decoding.to_json(), self.by.adapter or "base"
        parts, finish, seed = list[str](), "", self.decoding.draw()
        async for delta in self.client.stream(sent.wire, model=model, **decoding | {"seed": seed}):
            parts.append(delta.text)
            finish = delta.finish or finish
            if not as_json:
                click.echo(visible(delta.text), nl=False)
        answer = "".join(parts)
        chats.add(
            self.store,
            self.conversation.id,
            role="assistant",
            content=answer,
            parent_id=question.id,
            model=self.by.base,
            adapter=self.by.adapter,
            decoding=decoding | {asked.KEY: sent.asked.to_json()},
            seed=seed,
            finish=finish,
        )
        if as_json:
            shown = {"model": model, "prompt": prompt, "answer": answer, "finish": finish}
            click.echo(json.dumps(shown, ensure_ascii=False))
        else:
            click.echo("" if finish != "length" else " … (cut at --max-tokens)")
