"""What is wrong with a command line, in our words: what, where, and what now."""

import re

import click

from engine.errors import UserError


def explained(error: click.UsageError) -> UserError:
    """The same, as the program says all that a person can mend."""
    where = error.ctx.command_path if error.ctx else "tuner"
    shape = f"Type it like this: {error.ctx.get_usage().split(maxsplit=1)[1]}" if error.ctx else ""
    all_options = f"All that it takes: {where} --help"
    if isinstance(error, click.NoSuchOption):
        meant = " or ".join(error.possibilities or ())
        return UserError(
            f"“{where}” has no option {error.option_name}.",
            do=f"Did you mean {meant}? {all_options}" if meant else all_options,
        )
    if isinstance(error, click.BadOptionUsage):
        return UserError(f"{error.option_name} needs a value after it.", do=shape or f"Help: {where} --help")
    if isinstance(error, click.MissingParameter) and error.param:
        return UserError(f"“{where}” needs {_named(error.param)}.", do=shape)
    if isinstance(error, click.BadParameter) and error.param:
        return UserError(f"{_named(error.param)} {_wanted(error)}", do=all_options)
    said = error.format_message()
    return UserError(said if said.endswith((".", "?")) else f"{said}.", do=shape or all_options)


def _named(param: click.Parameter) -> str:
    """What a person types for it."""
    if isinstance(param, click.Option):
        return param.opts[0]
    return (param.metavar or (param.name or "").upper()).strip("[]")


def _wanted(error: click.BadParameter) -> str:
    """“takes a whole number, not “x””; where nothing can be said of its type, what is wrong with it."""
    type, given = error.param.type if error.param else None, re.match(r"'?(.+?)'? is not", error.message)
    if isinstance(type, click.Choice):
        takes = f"one of {', '.join(type.choices)}"
    elif isinstance(type, click.IntRange):
        most = f" to {type.max}" if type.max is not None else " on"
        takes = f"a whole number from {type.min}{most}"
    elif type is click.INT:
        takes = "a whole number"
    else:
        takes = ""
    return f"takes {takes}, not “{given[1]}”." if takes and given else f"is wrong: {error.message}"
