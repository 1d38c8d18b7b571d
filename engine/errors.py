"""The one error that a person is meant to read."""


class UserError(Exception):
    """What happened, what was kept, and what to do next: shown as it is, without a traceback.

    `what` is one sentence that names the thing at fault; `kept` says what is safe (empty when nothing
    was at risk); `do` says what to do now.
    """

    def __init__(self, what: str, *, kept: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.kept = kept
        self.do = do

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.kept, self.do) if part)
