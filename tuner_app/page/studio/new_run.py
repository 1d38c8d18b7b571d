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
from tuner_app.page.studio.access import may
from tuner_app.page.studio.components import QUIET, button, choice, field, page
from tuner_app.page.studio.markup import Safe, joined, line, said, text
from tuner_app.page.studio.option_fields import OptionField, given, option_fields
from tuner_app.page.studio.words import Words, said_by_program
from tuner_app.page.studio.words import said as label
from tuner_app.paths import Home
from tuner_app.store import Selection, Store, audit
from tuner_app.store.rows import Member
from tuner_app.store.run_rows import Run
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
        adapter = [control(one) for one in option_fields(Adapter)]
        seed = gr.Number(0, label=label("runs_seed"), precision=0, minimum=0)
    every = every_option()
    with gr.Accordion(label("runs_options"), open=False), gr.Row(elem_classes="t-grid"):
        first = {one.name for one in option_fields(method_named(FIRST).options)}
        options = [control(one, visible=one.name in first) for one in every]
    with gr.Row():
        check = button("runs_check", elem_id="new-check")
        start = button("runs_start", variant="primary", elem_id="new-start")
    found = page(elem_id="new-found")
    plain = [method, data, name, base, parent, reward, precision, seed, *adapter, *options]

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
            return line(words.of_error(error), "wrong")
        none = f"✗ {PLURALS[kind]}: 0. {WHERE_FROM[kind]}."
        told = words.of_program(str(prospect) if prospect.found.examples else none)
        return line(told, "quiet")

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
                async for shown in told:
                    yield shown
        except UserError as error:  # said here, where it can be mended
            yield line(words.of_error(error), "wrong")

    async def started(member: Member, words: Words, *values: Any) -> list[Any]:
        try:
            run = await database.apart(_start, home, plan_of(*values), member)
        except UserError as error:
            return [line(words.of_error(error), "wrong"), gr.skip()]
        told = line(words("runs_begun", run=run.name), "good")
        return [told, gr.update(value=run.name)]

    async def adapted(member: Member, words: Words, method: str) -> list[Any]:
        own = {one.name: one for one in option_fields(method_named(method).options)}
        return [_of_method(own.get(one.name), words) for one in every]

    private: dict[str, Any] = {"api_visibility": "private"}
    method.change(may("admin", adapted), method, options, queue=False, **QUIET)
    check.click(may("admin", checked), plain, found, **private)
    start.click(may("admin", started), plain, [found, running], **private)


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
            yield line(f"{told} …", "quiet") if isinstance(told, str) else findings(told, words)
            if isinstance(told, Findings):
                return
    finally:
        checking.stop()
        await ending


def texts() -> list[str]:
    """What the program says of all options, for `words.of_browser`."""
    of: list[type[Any]] = [Adapter, *(method_named(name).options for name in methods())]
    return sorted({text for one in of for field in option_fields(one) for text in (field.label, field.help)})


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
    """The plan that a form's values make: those of the adapter, then those of `every_option`."""
    many = len(option_fields(Adapter))
    chosen = method_named(method)
    options = dict(zip((one.name for one in every_option()), values[many:], strict=True))
    return Plan(
        method=chosen.name,
        base=base or "",
        parent=parent or "",
        reward=(reward or "") if chosen.needs_reward else "",
        name=name.strip(),
        selection=Selection.parse(data),
        adapter=Adapter(**given(Adapter, values[:many], "adapter setting")),
        precision=precision,
        options=given(
            chosen.options,
            [options[one.name] for one in option_fields(chosen.options)],
            f"{chosen.name} option",
        ),
        seed=int(seed or 0),
    )


def findings(found: Findings, words: Words) -> Safe:
    """What a check found, in words, and the first rows with their loss masks."""
    of = words.of_program
    parts = [said(of(line), "wrong" if line.startswith("! ") else "") for line in report.lines(found)]
    parts.append(said(of(report.LEGEND), "quiet"))
    for title, row in list(zip(found.titles, found.rows, strict=True))[:ROWS]:
        parts.append(Safe(f'<p class="t-name">{text(of(title))}</p>'))
        for part in row:
            tokens = "".join(_token(*stretch) for stretch in report.marked(part))
            parts.append(Safe(f'<div class="t-text"><b>{text(of(part.name))}:</b> {tokens}</div>'))
    return joined(parts)


def _token(tokens: str, kind: report.Kind) -> str:
    tag = MARKS[kind]
    return f"<{tag}>{text(tokens)}</{tag.split()[0]}>"


def every_option() -> list[OptionField]:
    """The options of all methods, each name once: what is typed for one method is there for another too."""
    found = [one for name in methods() for one in option_fields(method_named(name).options)]
    by_name = {one.name: one for one in reversed(found)}  # the first of each name
    return sorted(by_name.values(), key=lambda one: (not one.common, found.index(one)))


def control(one: OptionField, *, visible: bool = True) -> Any:
    """The field's control."""
    usual: dict[str, Any] = {
        "label": said_by_program(one.label),
        "info": said_by_program(one.help),
        "elem_id": f"new-{one.name}",
        "min_width": 220,
        "visible": visible,
    }
    if one.choices:
        return gr.Dropdown(list(one.choices), value=one.default, **usual)
    if isinstance(one.default, bool):
        return gr.Checkbox(one.default, **usual)
    return gr.Textbox("", placeholder=one.usual, **usual)


def _of_method(one: OptionField | None, words: Words) -> Any:
    """A control as it is for a method whose option is `one`; None where the method has none of the name."""
    if one is None:
        return gr.update(visible=False)
    shown: dict[str, Any] = {"visible": True, "info": words.of_program(one.help)}
    typed = not one.choices and not isinstance(one.default, bool)
    return gr.update(**shown, placeholder=one.usual) if typed else gr.update(**shown)


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
