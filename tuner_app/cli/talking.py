"""Commands that let models answer: the demo, the server, the page, the chat."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from engine.spec import build
from tuner_app import settings
from tuner_app.cli.shared import given, json_option, open_store, options_of, pass_home
from tuner_app.paths import Home


@click.command()
@click.option(
    "--seed", default=0, show_default=True, help="seed of the prompts, the sampling and the training"
)
@click.option(
    "--keep", type=click.Path(path_type=Path), help="make the home here [default: a temporary folder]"
)
@json_option
def demo(seed: int, keep: Path | None, as_json: bool) -> None:
    """The whole loop without a person, on the built-in base; prints what changed."""
    from tuner_app import demo

    sys.exit(demo.run(seed=seed, folder=keep, as_json=as_json))


@click.command()
@click.option("--base", default="", help="builtin, a folder or a hub name [default: the settings' base]")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="port on 127.0.0.1 [default: a free one]"
)
@pass_home
def serve(home: Home, base: str, port: int) -> None:
    """The OpenAI-compatible server alone, on this machine's loopback; prints its address and key."""
    from tuner_app import talk

    open_store(home).close()
    sys.exit(talk.serve(home, base or settings.load(home).base, port))


@click.command()
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="where to listen")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="port [default: 7077, or the next free one]"
)
@click.option("--tls-cert", "cert", type=click.Path(path_type=Path), help="certificate chain, for TLS")
@click.option("--tls-key", "key", type=click.Path(path_type=Path), help="the certificate's key")
@click.option("--proxy", default="", metavar="NAME", help="host name of a TLS proxy before the page")
@click.option("--proxy-address", default="127.0.0.1", show_default=True, help="where that proxy comes from")
@click.option("--name", "names", multiple=True, help="one more host name by which people reach the page")
@click.option("--open", is_flag=True, help="open it in this machine's browser")
@pass_home
def page(home: Home, /, **values: Any) -> None:
    """Chat and labelling in a browser; prints a link for the person at this machine.

    Others reach it with --listen, once they are added (tuner people add NAME).
    """
    store = open_store(home)
    from tuner_app.page import serve

    sys.exit(serve.run(home, store, serve.Options(**values)))


@click.command()
@click.argument("prompt", required=False)
@click.option("--model", default="", help="base, or the run whose adapter answers [default: the settings']")
@click.option("--base", default="", help="builtin, a folder or a hub name [default: the settings' base]")
@click.option("--system", default="", help="system prompt")
@partial(options_of, settings.Decoding)
@json_option
@pass_home
def chat(home: Home, /, prompt: str | None, **values: Any) -> None:
    """One answer to PROMPT (or to what is piped in), streamed; without PROMPT, a plain chat."""
    from tuner_app import talk

    saved = settings.load(home).decoding.to_json()
    decoding = build(settings.Decoding, saved | given(settings.Decoding, values), "decoding option")
    who = {name: values[name] for name in ("model", "base", "system")}
    talk.chat(home, open_store(home), prompt, decoding=decoding, as_json=values["as_json"], **who)


COMMANDS = (
    demo,
    serve,
    page,
    chat,
)
