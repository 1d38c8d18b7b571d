"""What every tab of the studio works with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner_app.page.answering import Answering
from tuner_app.page.studio.answers import Answers
from tuner_app.paths import Home

if TYPE_CHECKING:
    from tuner_app.page.database import Database


@dataclass(frozen=True)
class Studio:
    """The home, the way to its database, and the answers that are being written: in chats, of batches."""

    home: Home
    database: "Database"
    answers: Answers
    answering: Answering
