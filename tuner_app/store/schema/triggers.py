"""Triggers that several versions have."""


def append_only(table: str) -> tuple[str, ...]:
    """Triggers that let nobody change or delete a row of `table`."""
    return tuple(
        f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        for verb in ("update", "delete")
    )
