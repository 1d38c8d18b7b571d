"""Parquet, in pieces of a few hundred rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import UserError
from tuner_app.formats.records import Record
from tuner_app.formats.source import FILE_LIMIT, seekable, too_large

MAGIC = b"PAR1"
_ROWS = 256


def records(path: Path) -> Iterator[Record]:
    """The rows, numbered from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with seekable(path) as file:
        try:
            table = pq.ParquetFile(file)
            groups = (table.metadata.row_group(number) for number in range(table.num_row_groups))
            if sum(group.total_byte_size for group in groups) > FILE_LIMIT:
                raise too_large(path)
            number = 0
            for batch in table.iter_batches(batch_size=_ROWS):
                for fields in batch.to_pylist():
                    number += 1
                    yield Record(number, fields)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path} is damaged or no Parquet: {reason}.", do="Fetch it again.") from None


def write(file: Any, rows: list[dict[str, Any]]) -> None:
    """One table of all rows; a field that a row does not have is null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), file)
