"""What `tuner people` does: who may come to the page, and the links that let them in."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.store import Store, audit, members, people, sessions, sharing
from tuner_app.store.rows import Member, MemberRole


def show(store: Store, *, as_json: bool) -> None:
    """Everybody who may come to the page, or might."""
    members.get(store, people.ME)
    rows = [_shown(store, member) for member in members.listed(store)]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("name", "role", "today", "a day", "state"):
        table.add_column(name, justify="right" if name in ("today", "a day") else "left")
    for row in rows:
        limit = "" if row["daily_limit"] is None else f"{row['daily_limit']:,}"
        state = f"shut out since {row['revoked'][:10]}" if row["revoked"] else ""
        table.add_row(Text(one_line(row["name"])), row["role"], f"{row['today']:,}", limit, state)
    Console(highlight=False).print(table)


def act(
    store: Store,
    action: str,
    name: str,
    *,
    role: MemberRole | None,
    limit: int | None,
    hours: float,
    as_json: bool,
) -> None:
    """Add, change, invite, revoke or restore a person; `limit` 0 takes a daily limit away, None leaves it."""
    link = ""
    with store.write():
        match action:
            case "add":
                members.add(store, name, role or "annotator", daily_limit=limit or None)
            case "change":
                _change(store, members.get(store, name), role, limit)
            case "revoke":
                members.revoke(store, name)
            case "restore":
                members.restore(store, name)
        if action in ("add", "invite", "restore"):
            link = f"{_page(store)}/join#{sessions.invite(store, name, hours=hours)}"
        audit.note(store, f"people {action}", person=people.ME, detail=name)
        row = _shown(store, members.get(store, name))
    if as_json:
        click.echo(json.dumps({**row, **({"link": link} if link else {})}, ensure_ascii=False, indent=2))
        return
    click.echo(_said(row))
    if link:
        click.echo(
            f"This link lets them in once, within {hours:g} hours, while `tuner page` runs:\n\n  {link}\n"
        )


def _change(store: Store, member: Member, role: MemberRole | None, limit: int | None) -> None:
    if role is None and limit is None:
        raise UserError("Change what?", kept="Nothing was changed.", do="Give --role, --limit or both.")
    daily = member.daily_limit if limit is None else limit or None
    members.change(store, member.name, role=role or member.role, daily_limit=daily)


def _page(store: Store) -> str:
    """Where the page was when it ran last, "http://127.0.0.1:7077" before that."""
    started = audit.latest(store, audit.PAGE_STARTED)
    return started.detail if started else "http://127.0.0.1:7077"


def _shown(store: Store, member: Member) -> dict[str, Any]:
    shown = {key: value for key, value in vars(member).items() if key != "person_id"}
    return {**shown, "today": sharing.today(store, member.name).given}


def _said(row: dict[str, Any]) -> str:
    name = one_line(row["name"])
    if row["revoked"]:
        return f"{name} is shut out: sessions and links have ended. All their labels are kept."
    limit = f", {row['daily_limit']:,} labels a day" if row["daily_limit"] else ""
    return f"{name}: {row['role']}{limit}."
