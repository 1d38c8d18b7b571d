"""The form of a new run: what, on which data, from where, how; checked, then started."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import UserError
from engine.findings import Findings
from engine.spec import PRECISIONS, Adapter, method_named, methods
from tuner_app import launch, offers, prospects, report, settings
from tuner_app.checking import Checking
from tuner_app.launch import WHERE_FROM, Plan
from tuner_app.page.studio import access
from tuner_app.page.studio.access import may
from tuner_app.page.studio.components import QUIET, button, choice, field, page
from tuner_app.page.studio.markup import Safe, joined, said, text
from tuner_app.page.studio.option_fields import OptionField, given, option_fields
from tuner_app.page.studio.words import Words
from tuner_app.page.studio.words import said as label
from tuner_app.paths import Home
from tuner_app.store import Selection, Store, audit
from tuner_app.store.rows import Member, Run
from tuner_app.words import PLURALS
from tuner_app.workers import supervisor

if TYPE_CHECKING:
    from tuner_app.page.database import Database

FIRST = "sft"
ROWS = 3  # of the check's marked rows are shown
STAGES = {"loading": "runs_loading", "data": "runs_reading"}
MARKS: Mapping[report.Kind, str] = {
    "mark": "b",
    "trained": 'mark class="one"',
    "trained too": 'mark class="two"',
    "read": "span",
    "read too": 'span class="two"',
}


def add(database: "Database", home: Home, tab: gr.Tab, running: gr.Dropdown) -> None:
    """The form; a run that it starts becomes the value of `running`."""
    with gr.Row():
        method = choice("runs_method", [*methods()], FIRST, elem_id="new-method")
        data = field("runs_data", "all", info=label("runs_data_info"), elem_id="new-data")
        name = field("runs_name", placeholder=label("runs_next_free"), elem_id="new-name")
    summary = page(elem_id="new-summary")
    with gr.Row():
        base = choice("runs_base", allow_custom_value=True)
        parent = choice("runs_parent", [("—", "")], "", allow_custom_value=True)
        reward = choice("runs_reward", [("—", "")], "", allow_custom_value=True, visible=False)
        precision = choice("runs_precision", [*PRECISIONS], "auto")
    with gr.Accordion(label("runs_adapter"), open=False), gr.Row(elem_classes="t-grid"):
        adapter = [_control(one) for one in option_fields(Adapter)]
        seed = gr.Number(0, label=label("runs_seed"), precision=0, minimum=0)
    options = gr.Accordion(label("runs_options"), open=False)
    with gr.Row():
        check = button("runs_check", elem_id="new-check")
        start = button("runs_start", variant="primary", elem_id="new-start")
    found = page(elem_id="new-found")
    plain = [method, data, name, base, parent, reward, precision, seed, *adapter]

    async def offered(
        member: Member, words: Words, method: str, base: str | None, parent: str | None, reward: str | None
    ) -> list[Any]:
        bases, parents, rewards, chosen = await database.read(_offered, home, method, base or "")
        needed = method_named(method).needs_reward
        return [
            gr.update(choices=[(shown, one) for one, shown in bases.items()], value=chosen),
            gr.update(
                choices=[("—", ""), *((shown, one) for one, shown in parents.items())],
                value=parent if parent in parents else "",
            ),
            gr.update(
                choices=[(shown, one) for one, shown in rewards.items()] or [("—", "")],
                value=reward if reward in rewards else next(iter(rewards), ""),
                visible=needed,
            ),
        ]

    async def surveyed(member: Member, words: Words, method: str, data: str) -> str:
        kind = method_named(method).kind
        try:
            prospect = await database.beside(prospects.prospect, kind, Selection.parse(data))
        except UserError as error:
            return joined([said(str(error), "wrong")])
        none = f"✗ {PLURALS[kind]}: 0. {WHERE_FROM[kind]}."
        return joined([said(str(prospect) if prospect.found.examples else none, "quiet")])

    for event in (tab.select, method.change, base.change):
        event(
            may("admin", offered),
            [method, base, parent, reward],
            [base, parent, reward],
            queue=False,
            **QUIET,
        )
    for event in (tab.select, method.change, data.change):
        event(may("admin", surveyed), [method, data], summary, trigger_mode="always_last", **QUIET)

    async def checked(member: Member, words: Words, *values: Any) -> AsyncIterator[Safe]:
        try:
            async with aclosing(_check(database, home, words, plan_of(*values))) as told:
                async for line in told:
                    yield line
        except UserError as error:  # said here, where it can be mended
            yield joined([said(str(error), "wrong")])

    async def started(member: Member, words: Words, *values: Any) -> list[Any]:
        try:
            run = await database.apart(_start, home, plan_of(*values), member)
        except UserError as error:
            return [joined([said(str(error), "wrong")]), gr.skip()]
        told = joined([said(words("runs_begun", run=run.name), "good")])
        return [told, gr.update(value=run.name)]

    with options:

        @gr.render(  # type: ignore[untyped-decorator]
            inputs=[method], triggers=[tab.select, method.change], show_progress="hidden"
        )
        def option_form(method: str, request: gr.Request) -> None:
            if access.member_of(request).role != "admin":
                return  # what a browser does not show can be asked for all the same
            found_fields = option_fields(method_named(method).options)
            with gr.Row(elem_classes="t-grid"):
                controls = [_control(one, method) for one in found_fields]
            private: dict[str, Any] = {"api_visibility": "private"}
            check.click(may("admin", checked), [*plain, *controls], found, **private)
            start.click(may("admin", started), [*plain, *controls], [found, running], **private)


async def _check(database: "Database", home: Home, words: Words, plan: Plan) -> AsyncGenerator[Safe, None]:
    """How far a check is, and at last what it has found."""
    stages: asyncio.Queue[str | Findings | Exception] = asyncio.Queue()
    checking = await database.apart(_checking, home, plan)
    loop = asyncio.get_running_loop()

    def on_event(kind: str, _: Mapping[str, Any]) -> None:
        loop.call_soon_threadsafe(stages.put_nowait, words(STAGES.get(kind, "runs_trying")))

    async def end() -> None:
        try:
            await stages.put(await asyncio.to_thread(checking.findings, on_event))
        except Exception as error:
            await stages.put(error)

    ending = asyncio.create_task(end())
    try:
        while True:
            told = await stages.get()
            if isinstance(told, Exception):
                raise told
            yield joined([said(f"{told} …", "quiet")]) if isinstance(told, str) else findings(told)
            if isinstance(told, Findings):
                return
    finally:
        checking.stop()
        await ending


def plan_of(
    method: str,
    data: str,
    name: str,
    base: str,
    parent: str,
    reward: str,
    precision: str,
    seed: float,
    *values: Any,
) -> Plan:
    """The plan that a form's values make: those of the adapter, then those of the method's options."""
    many = len(option_fields(Adapter))
    chosen = method_named(method)
    return Plan(
        method=chosen.name,
        base=base or "",
        parent=parent or "",
        reward=(reward or "") if chosen.needs_reward else "",
        name=name.strip(),
        selection=Selection.parse(data),
        adapter=Adapter(**given(Adapter, values[:many], "adapter setting")),
        precision=precision,
        options=given(chosen.options, values[many:], f"{chosen.name} option"),
        seed=int(seed or 0),
    )


def findings(found: Findings) -> Safe:
    """What a check found, in words, and the first rows with their loss masks."""
    parts = [said(line, "wrong" if line.startswith("! ") else "") for line in report.lines(found)]
    parts.append(said(report.LEGEND, "quiet"))
    for title, row in list(zip(found.titles, found.rows, strict=True))[:ROWS]:
        parts.append(Safe(f'<p class="t-name">{text(title)}</p>'))
        for part in row:
            tokens = "".join(_token(words, kind) for words, kind in report.marked(part))
            parts.append(Safe(f'<div class="t-text"><b>{text(part.name)}:</b> {tokens}</div>'))
    return joined(parts)


def _token(words: str, kind: report.Kind) -> str:
    tag = MARKS[kind]
    return f"<{tag}>{text(words)}</{tag.split()[0]}>"


def _control(one: OptionField, method: str = "") -> Any:
    """The field's control. What was typed stays when the form is drawn anew, for another method too, where
    that has a field of this name; what is chosen is the method's own."""
    usual: dict[str, Any] = {"label": one.label, "info": one.help, "min_width": 220}
    is_typed = not one.choices and not isinstance(one.default, bool)
    if method:
        usual["key"] = one.name if is_typed else f"{method} {one.name}"
    if is_typed:
        return gr.Textbox("", placeholder=one.usual, **usual)
    if one.choices:
        return gr.Dropdown(list(one.choices), value=one.default, **usual)
    return gr.Checkbox(one.default, **usual)


def _offered(
    store: Store, home: Home, method: str, base: str
) -> tuple[dict[str, str], dict[str, str], dict[str, str], str]:
    """Bases, adapters to go on from, reward models, and the base that is chosen."""
    kept = settings.load(home)
    known = offers.bases_to_train(store, kept.base)
    chosen = base if base in known else offers.named(known, kept.base)
    parents, rewards = offers.to_go_on_from(store, method_named(method), chosen)
    return known, parents, rewards, chosen


def _checking(store: Store, home: Home, plan: Plan) -> Checking:
    _require_known(store, home, plan)
    return Checking(store, home, plan)


def _start(store: Store, home: Home, plan: Plan, member: Member) -> Run:
    _require_known(store, home, plan)
    run = launch.prepare(store, home, plan)
    supervisor.start_run(home, store, run)
    audit.note(store, "start run", person=member.name, detail=f"{run.name}: {run.method}, {plan.selection}")
    return run


def _require_known(store: Store, home: Home, plan: Plan) -> None:
    """A UserError for a base that the form does not offer: a browser names no folder of this machine, and has
    it fetch nothing."""
    known = offers.bases_to_train(store, settings.load(home).base)
    if plan.base and plan.base not in known:
        raise UserError(
            f"“{plan.base}” is none of the bases here.",
            kept="Nothing was started.",
            do=f"Choose one of: {', '.join(known)}. Others are added at the terminal.",
        )
