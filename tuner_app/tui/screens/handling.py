"""What is done with rows of the data: tags, removing, restoring, editing, and undo of each step."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from engine.errors import UserError
from tuner_app.store import Store, edits, example_tags, table_rows
from tuner_app.store.table import LABEL, Filter
from tuner_app.tui import writes
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.question import QuestionScreen
from tuner_app.tui.widgets.row_table import RowTable
from tuner_app.tui.writes import Back, Write

PART = 2000  # rows that one transaction changes: a label waits no longer than for one of them


@dataclass(frozen=True)
class Step:
    """What one key did, and what leads back from it, the last first."""

    what: str
    backs: tuple[Back, ...]


class HandlingScreen(TunerScreen):
    """A screen with a table of examples or labels that can be changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "edit", tooltip="edit the example: its texts, its thumb"),
        Binding("t", "tag", "tag", tooltip="put a tag on the marked rows, or take one off"),
        Binding("d,delete", "remove", "remove", key_display="d", tooltip="take the marked rows out of use"),
        Binding("r", "restore", "restore", tooltip="take what was removed back into use"),
        Binding("f", "keep_first", "keep first", tooltip="of rows that repeat, remove all but the first"),
        Binding("h", "history", "history", tooltip="who changed the example, when and how"),
        Binding("u", "undo", "undo", tooltip="undo the last step; on a label of yours: take it back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._steps: list[Step] = []
        self._under_way = False
        self._stopped = False

    # What the table's screen has.

    @property
    def table(self) -> RowTable:
        """The table on the screen."""
        return self.query_one(RowTable)

    @property
    @abstractmethod
    def wanted(self) -> Filter:
        """What the table shows."""

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether all that the filter finds is in the table."""

    @abstractmethod
    def look(self, *, stay: bool = False) -> None:
        """Look for the filter's rows again; with `stay` the cursor keeps its place."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "edit" | "history":
                return self.wanted.view != LABEL
            case "remove":
                return self.wanted.view != LABEL and not self.wanted.removed
            case "restore":
                return self.wanted.removed
            case "keep_first":
                return self.wanted.repeats not in (None, "exact")
            case "undo":
                return bool(self._steps) or self.wanted.view == LABEL
        return super().check_action(action, parameters)

    # --- steps

    def chosen(self) -> Sequence[int]:
        """The marked rows, or the one under the cursor; none, and why, where that cannot be said yet."""
        if self._under_way:
            self.notice.fail("The step before is still under way: Esc stops it.")
            return ()
        if self.table.marked and not self.complete:
            self.notice.fail("The filter is still looking: wait until it has found all rows.")
            return ()
        return self.table.chosen()

    @work(description="carry_out")  # else Textual writes out all ids
    async def carry_out(self, what: str, ids: Sequence[int], write: Write) -> None:
        """Write in parts, so that nobody's label waits for all of them; the step can be undone as one."""
        if not ids:
            return
        self._under_way, self._stopped = True, False
        backs: list[Back] = []
        changed, failure = 0, None
        try:
            for start in range(0, len(ids), PART):
                if self._stopped:
                    break
                if start:
                    await self.tuner.database.beside(Store.rest)
                    self.notice.wait(f"{what}: {start:,} of {len(ids):,} rows. Esc stops.")
                count, back = await self.tuner.database(write, list(ids[start : start + PART]))
                changed += count
                backs += [back] if back else []
        except UserError as error:
            failure = error
        finally:
            self._under_way = False
        if backs:
            self._steps.append(Step(what, tuple(reversed(backs))))
        if changed or not failure:  # else the marks are kept for another try
            self.look(stay=True)
        self.refresh_bindings()
        if failure:
            done = f"{rows(changed)} done before; u undoes them. " if changed else ""
            self.notice.fail(UserError(failure.what, kept=f"{done}{failure.kept}", do=failure.do))
        elif changed:
            stopped = " Stopped." if self._stopped else ""
            self.notice.say(f"{what}: {rows(changed)}.{stopped}{' u undoes it.' if backs else ''}")
        else:
            self.notice.say(f"{what}: nothing to do.")

    def stop_handling(self) -> bool:
        """Stop the step under way after the part that is being written; whether there was one."""
        self._stopped = True
        return self._under_way

    def action_undo(self) -> None:
        if self.wanted.view == LABEL:
            self.carry_out("Label taken back", self.chosen(), writes.take_back)
        elif self._steps and not self._under_way:
            self._undo(self._steps.pop())

    @work
    async def _undo(self, step: Step) -> None:
        self._under_way = True
        try:
            for number, back in enumerate(step.backs):
                if number:
                    await self.tuner.database.beside(Store.rest)
                    self.notice.wait(f"Undoing: {step.what}, part {number + 1} of {len(step.backs)} …")
                await self.tuner.database(back)
        except UserError as error:
            self._steps.append(step)
            self.notice.fail(error)
            return
        finally:
            self._under_way = False
            self.refresh_bindings()
        self.look(stay=True)
        self.notice.say(f"Undone: {step.what}.")

    # --- keys

    def action_remove(self) -> None:
        self.carry_out("Removed from use", self.chosen(), writes.edited(edits.remove))

    def action_restore(self) -> None:
        self.carry_out("Restored", self.chosen(), writes.edited(edits.restore))

    def action_keep_first(self) -> None:
        if self.complete and not self._under_way:
            what = "Removed all but the first"
            self.carry_out(what, self.table.repeated(), writes.edited(edits.remove))

    @work
    async def action_tag(self) -> None:
        ids = self.chosen()
        if not ids:
            return
        try:
            known = await self.tuner.database(example_tags.known)
        except UserError as error:
            self.notice.fail(error)
            return
        answer = await self.app.push_screen_wait(
            QuestionScreen(
                f"Tag {rows(len(ids))}", hint="A word; -word takes it off. Enter, or Esc.", known=known
            )
        )
        word = answer.removeprefix("-").strip()
        if word:
            off = answer.startswith("-")
            write = writes.tag_labels if self.wanted.view == LABEL else writes.tag_examples
            self.carry_out(f"Tag “{word}” {'off' if off else 'on'}", ids, partial(write, tag=word, off=off))

    @work
    async def action_edit(self) -> None:
        from tuner_app.tui.screens.example import ExampleScreen

        id = self.table.current
        if id is None or self._under_way:
            return
        try:
            entry = await self.tuner.database(table_rows.example, id)
            assert entry.example
            edited = await self.app.push_screen_wait(ExampleScreen(entry.example))
            if edited is None or edited == entry.example:
                return
            new, change = await self.tuner.database(edits.change, id, edited)
        except UserError as error:
            self.notice.fail(error)
            return
        self._edited_into(id, new, change)

    @work
    async def action_history(self) -> None:
        from tuner_app.tui.screens.history import HistoryScreen

        id = self.table.current
        if id is None or self._under_way:
            return
        try:
            past = await self.tuner.database(edits.history, id)
            if not past:
                self.notice.say("Nobody has changed this example.")
                return
            back = await self.app.push_screen_wait(HistoryScreen(past))
            if back is None:
                return
            new, change = await self.tuner.database(edits.change, id, back)
        except UserError as error:
            self.notice.fail(error)
            return
        self._edited_into(id, new, change)

    def _edited_into(self, id: int, new: int, change: edits.Change) -> None:
        if not change.examples:
            self.notice.say("That is how it is already.")
            return
        self._steps.append(Step("the edit", (partial(edits.undo, done=change),)))
        self.table.replace(id, new)
        self.notice.say("Saved. What it was stays in its history (h). u undoes it.")
        self.refresh_bindings()


def rows(count: int) -> str:
    """“1 row”, “1,200 rows”."""
    return f"{count:,} row{'' if count == 1 else 's'}"
