"""The rows of a long table by their ids: which are marked, and which belong together. Pure."""

from array import array


class Rows:
    """`ids` in their order. A million marks cost nothing: kept are those that differ from the others."""

    def __init__(self) -> None:
        self.ids = array("q")
        self._groups: array[int] | None = None
        self._all = False
        self._turned: set[int] = set()  # the marked, or the unmarked where all are marked

    def extend(self, ids: "array[int]", groups: "array[int] | None" = None) -> None:
        """Add rows at the end; `groups` numbers those that belong together."""
        self.ids.extend(ids)
        self._groups = groups if len(ids) == len(self.ids) else None

    def replace(self, old: int, new: int) -> None:
        """Have another row in the place of one."""
        self.ids[self.ids.index(old)] = new
        self._turned.discard(old)

    @property
    def marked(self) -> int:
        """How many rows are marked."""
        return len(self.ids) - len(self._turned) if self._all else len(self._turned)

    @property
    def all_marked(self) -> bool:
        """Whether every row is marked, and would be if it came now."""
        return self._all and not self._turned

    def is_marked(self, id: int) -> bool:
        """Whether this row is."""
        return (id in self._turned) != self._all

    def turn(self, id: int) -> None:
        """Mark a row, or take its mark off."""
        self._turned ^= {id}

    def mark_all(self, marked: bool) -> None:
        """Mark all rows, or none."""
        self._all, self._turned = marked, set()

    def marked_ids(self) -> "array[int]":
        """The marked rows, in their order."""
        return self.ids if self.all_marked else array("q", filter(self.is_marked, self.ids))

    def repeated(self, at: int) -> "array[int]":
        """All but the first of those that belong together: of the marked, or of those around row `at`."""
        if self._groups is None:
            return array("q")
        here = None if self.marked else self._groups[at]
        seen: set[int] = set()
        found = array("q")
        for id, group in zip(self.ids, self._groups, strict=True):
            if group == here if here is not None else self.is_marked(id):
                if group in seen:
                    found.append(id)
                seen.add(group)
        return found

    def bracket(self, row: int) -> str:
        """The side of a bracket around rows that belong together."""
        if self._groups is None or row >= len(self._groups):
            return " "
        number = self._groups[row]
        before = row > 0 and self._groups[row - 1] == number
        after = row + 1 < len(self._groups) and self._groups[row + 1] == number
        return {(False, True): "┌", (True, True): "│", (True, False): "└"}.get((before, after), " ")
