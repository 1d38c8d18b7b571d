"""The rows of a form that say on what a run is to work: its seed, its processes and its machines."""

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Select

from engine.errors import UserError
from tuner_app import machines
from tuner_app.machines import Machines
from tuner_app.tui.widgets.form import Row, choice_row, text_row


class RunRows(Vertical):
    """All of them have the class `-rare`; a wrong value is told of as soon as it is typed."""

    DEFAULT_CSS = "RunRows { height: auto; }"

    def __init__(self, seed: int, where: Machines) -> None:
        super().__init__()
        self._seed, self._where = seed, where

    def compose(self) -> ComposeResult:
        yes_no = {"no": "no", "yes": "yes"}
        many, shard = str(self._where.processes), "yes" if self._where.shard else "no"
        file = "a TOML file that says which ones share the work"
        rows = (
            text_row("seed", str(self._seed), "the same seed and data give the same adapter", id="seed"),
            text_row("processes", many, "that share the work, one for each GPU", id="processes"),
            choice_row("shard", yes_no, shard, "cut the base up among them: each holds its part", id="shard"),
            text_row("machines", "", file, id="machines", placeholder="this one alone"),
        )
        for row in rows:
            yield row.add_class("-rare")

    def seed(self) -> int:
        """A UserError where it is no seed."""
        if not self._input("#seed").isdecimal():
            raise UserError("The seed is a whole number, not below 0.")
        return int(self._input("#seed"))

    def machines(self, method: str) -> Machines:
        """The machines that share the work of a run by this method; a UserError where they cannot."""
        processes, file = self._input("#processes"), self._input("#machines")
        if not processes.isdecimal():
            raise UserError(f"The number of processes is a whole number, not “{processes}”.")
        shard = self.query_one("#shard", Select).value == "yes"
        where = machines.asked(int(processes), Path(file).expanduser() if file else None, shard=shard)
        if where.rank:
            raise UserError(
                f"{file} makes this machine number {where.rank}, which works for the first one.",
                do=f"Type there: tuner train {method} --machines {file}",
            )
        return where

    def _input(self, control: str) -> str:
        return self.query_one(control, Input).value.strip()

    @on(Input.Changed, "#seed, #processes, #machines")
    @on(Select.Changed, "#shard")
    def _number_changed(self, event: Input.Changed | Select.Changed) -> None:
        row = event.control.query_ancestor(Row)
        try:
            _ = self.seed() if event.control.id == "seed" else self.machines("METHOD")
        except UserError as error:
            row.wrong(str(error))
        else:
            row.right()
