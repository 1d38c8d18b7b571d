"""People: who may come in, as what and how much, and what was done. For admins."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from engine.errors import UserError
from tuner_app.page.studio.access import may
from tuner_app.page.studio.components import QUIET, button, choice, field, opened, page
from tuner_app.page.studio.markup import Safe, joined, line, short, table
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.words import Words
from tuner_app.page.studio.words import said as label
from tuner_app.store import Store, audit, members, sessions
from tuner_app.store.audit import Entry
from tuner_app.store.members import ROLES
from tuner_app.store.rows import Member, MemberRole
from tuner_app.times import ago

ENTRIES = 50  # of the audit at a time


def add(studio: Studio) -> None:
    """The tab."""
    database = studio.database
    tab, oldest = opened(), gr.State(None)
    listing = page(elem_id="people-list")
    roles = [(label(f"people_{role}"), role) for role in ROLES]
    with gr.Row(elem_classes="t-bar"):
        name = field("people_name", max_length=64, elem_id="people-name")
        role = choice("people_role", roles, "annotator", elem_id="people-role")
        limit = field("people_limit", placeholder=label("people_no_limit"), elem_id="people-limit")
        new = button("people_add", variant="primary", elem_id="people-add")
    told = page(elem_id="people-told")
    link = gr.Textbox(
        label=label("people_link"), info=label("people_link_info"), visible=False, buttons=["copy"],
        interactive=False, elem_id="people-link",
    )  # fmt: skip
    with gr.Row(elem_classes="t-bar"):
        known = choice("people_known", elem_id="people-known", allow_custom_value=True)
        new_role = choice("people_role", roles, "annotator", elem_id="people-new-role")
        new_limit = field("people_limit", placeholder=label("people_no_limit"), elem_id="people-new-limit")
    with gr.Row(elem_classes="t-bar"):
        change = button("people_change", elem_id="people-change")
        invite = button("people_invite", elem_id="people-invite")
        revoke = button("people_revoke", variant="stop", elem_id="people-revoke")
        restore = button("people_restore", visible=False, elem_id="people-restore")
    with gr.Accordion(label("people_audit"), open=False):
        entries = page(elem_id="people-audit")
        older = button("people_older")
    form = [known, new_role, new_limit, revoke, restore]

    async def look(member: Member, words: Words, name: str | None) -> list[Any]:
        found = await database.read(members.listed)
        one = next((one for one in found if one.name == name), None)
        logged = await database.read(audit.listed, limit=ENTRIES)
        return [
            people_table(found, words),
            gr.update(choices=[one.name for one in found], value=one.name if one else None),
            *_of(one),
            audit_table(logged, words),
            logged[-1].id if logged else None,
        ]

    async def pick(member: Member, words: Words, name: str | None) -> list[Any]:
        return _of(await database.read(members.find, name or ""))

    async def go_back(member: Member, words: Words, before: int | None) -> list[Any]:
        logged = await database.read(audit.listed, before=before, limit=ENTRIES)
        return [audit_table(logged, words), logged[-1].id if logged else None]

    async def make(
        member: Member, words: Words, name: str, role: MemberRole, limit: str, asked: gr.Request
    ) -> list[Any]:
        secret = await database.write(added, member, name.strip(), role, limit_of(limit), _address(asked))
        return [_good(words("people_added", name=name.strip())), *_linked(asked, secret), name.strip(), ""]

    async def again(member: Member, words: Words, name: str | None, asked: gr.Request) -> list[Any]:
        secret = await database.write(invited, member, name or "", _address(asked))
        return [_good(words("people_invited", name=name)), *_linked(asked, secret)]

    def does(done: Callable[..., None], key: str) -> Any:
        async def act(
            member: Member, words: Words, name: str | None, role: MemberRole, limit: str, asked: gr.Request
        ) -> list[Any]:
            await database.write(done, member, name or "", role, limit, _address(asked))
            return [_good(words(key, name=name)), gr.update(value="", visible=False)]

        return may("admin", act)

    looking: dict[str, Any] = {
        "fn": may("admin", look),
        "inputs": known,
        "outputs": [listing, *form, entries, oldest],
        "queue": False,
        **QUIET,
    }
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    tab.select(**looking)
    known.input(may("admin", pick), known, form[1:], queue=False, **QUIET)
    older.click(may("admin", go_back), oldest, [entries, oldest], **private)
    for event in (new.click, name.submit):
        event(may("admin", make), [name, role, limit], [told, link, known, name], **private).success(
            **looking
        )
    invite.click(may("admin", again), known, [told, link], **private).success(**looking)
    for press, done, key in (
        (change, changed, "people_changed"),
        (revoke, revoked, "people_revoked"),
        (restore, restored, "people_restored"),
    ):
        press.click(does(done, key), [known, new_role, new_limit], [told, link], **private).success(**looking)


def people_table(found: Sequence[Member], words: Words) -> Safe:
    """Everybody, a line each."""
    of = words.of_program
    rows = [
        (
            short(one.name, 64),
            words(f"people_{one.role}"),
            words("people_no_limit") if one.daily_limit is None else f"{one.daily_limit:,}",
            words("people_out", when=of(ago(one.revoked))) if one.revoked else words("people_in"),
            of(ago(one.created)),
        )
        for one in found
    ]
    head = [words(f"people_{name}") for name in ("name", "role", "limit", "state", "since")]
    return joined([table(head, rows, caption=words("people_list"))])


def audit_table(found: Sequence[Entry], words: Words) -> Safe:
    """What was done, the newest first."""
    rows = [
        (
            one.created[:19].replace("T", " "),
            short(one.person or "–", 64),
            words.of_program(one.action),
            short(_detail(one.detail, words), 200),
            one.address,
        )
        for one in found
    ]
    head = [words(f"people_{name}") for name in ("when", "who", "what", "detail", "address")]
    return joined([table(head, rows, caption=words("people_audit"), empty=words("people_nothing"))])


def _detail(detail: str, words: Words) -> str:
    """A detail in words; one that is a name stays a name, whatever it means in English."""
    return words.of_program(detail) if ": " in detail else detail


def limit_of(text: str) -> int | None:
    """A limit as a person types it; None for none."""
    text = text.strip()
    if text and not text.isdecimal():
        raise UserError(f"The limit is a number of labels a day, not “{text}”.", do="Or leave it empty.")
    return int(text) if text else None


def added(store: Store, by: Member, name: str, role: MemberRole, limit: int | None, address: str) -> str:
    """A new member; the secret of the link that lets them in."""
    members.add(store, name, role, daily_limit=limit)
    audit.note(store, "add member", person=by.name, detail=f"{name}: {role}", address=address)
    return sessions.invite(store, name)


def invited(store: Store, by: Member, name: str, address: str) -> str:
    """The secret of a new link for a member."""
    secret = sessions.invite(store, name)
    audit.note(store, "invite", person=by.name, detail=name, address=address)
    return secret


def changed(store: Store, by: Member, name: str, role: MemberRole, limit: str, address: str) -> None:
    """Give a member this role and this limit."""
    members.change(store, name, role=role, daily_limit=limit_of(limit))
    audit.note(store, "change member", person=by.name, detail=f"{name}: {role}, {limit}", address=address)


def revoked(store: Store, by: Member, name: str, role: MemberRole, limit: str, address: str) -> None:
    """Shut a member out, but for oneself."""
    if name == by.name:
        raise UserError("You would shut yourself out.", kept="Nothing was changed.", do="Ask another admin.")
    members.revoke(store, name)
    audit.note(store, "revoke", person=by.name, detail=name, address=address)


def restored(store: Store, by: Member, name: str, role: MemberRole, limit: str, address: str) -> None:
    """Let a member in again."""
    members.restore(store, name)
    audit.note(store, "restore", person=by.name, detail=name, address=address)


def _of(one: Member | None) -> list[Any]:
    """What the form has of a member: role, limit, and which of the buttons."""
    out = bool(one and one.revoked)
    return [
        one.role if one else "annotator",
        "" if one is None or one.daily_limit is None else str(one.daily_limit),
        gr.update(visible=not out),
        gr.update(visible=out),
    ]


def _linked(asked: gr.Request, secret: str) -> list[Any]:
    origin = asked.headers.get("origin", "")
    return [gr.update(value=f"{origin}/join#{secret}", visible=True)]


def _address(asked: gr.Request) -> str:
    return asked.client.host if asked.client else ""


def _good(told: str) -> Safe:
    return line(told, "good")
