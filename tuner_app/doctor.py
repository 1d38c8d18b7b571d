"""What this machine can do: the facts that decide how chat and training will run here."""

import json
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click
import psutil

from engine.errors import UserError
from tuner_app import fit, paths
from tuner_app.paths import Home

GIB = 1 << 30


def run(home: Home, *, as_json: bool) -> int:
    """Print the machine's facts and what is wrong; returns 1 when something is."""
    facts = examine(home)
    problems = facts.pop("problems")
    if as_json:
        click.echo(json.dumps({**facts, "problems": problems}, ensure_ascii=False, indent=2))
    else:
        for name, value in facts.items():
            click.echo(f"{name:<23} {value}")
        for problem in problems:
            click.secho(f"! {problem}", fg="yellow")
        if not problems:
            click.echo("Nothing is wrong.")
    return 1 if problems else 0


def examine(home: Home) -> dict[str, Any]:
    """Facts by name, and `problems`: a sentence for each thing that does not work."""
    problems: list[str] = []
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / GIB:.1f} GiB, {_free_memory():.1f} GiB free",
        "accelerator": _accelerator(problems),
        "packages": ", ".join(
            f"{name} {_version(name)}" for name in ("torch", "transformers", "peft", "bitsandbytes", "trl")
        ),
        "flash-attn": _version("flash-attn"),
        "sqlite": _sqlite(problems),
        "home": str(home.folder),
        "disk": f"{_free_disk(home):.1f} GiB free",
        "built-in base": str(paths.builtin_base()),
        "database": _database(home, problems),
        **{f"fits, {use}": most for use, most in fit.sizes().items()},
    }
    if not (paths.builtin_base() / "model.safetensors").exists():
        problems.append(
            f"The built-in base is missing from {paths.builtin_base()}: install the package again."
        )
    if _free_disk(home) < 1:
        problems.append("Less than 1 GiB of disk is free where the home lies.")
    return {**facts, "problems": problems}


def _processor() -> str:
    flags = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        pass  # not Linux: the flags stay unknown
    bf16 = ", bf16 products" if "avx512_bf16" in flags or "amx_bf16" in flags else ""
    return (
        f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores{bf16}"
    )


def _free_memory() -> float:
    return float(psutil.virtual_memory().available) / GIB


def _free_disk(home: Home) -> float:
    folder = next(path for path in (home.folder, *home.folder.parents) if path.exists())
    return shutil.disk_usage(folder).free / GIB


def _accelerator(problems: list[str]) -> str:
    try:
        import torch
    except Exception as error:
        problems.append(f"torch cannot be imported: {error}")
        return "unknown"
    if not torch.cuda.is_available():
        return "none: everything runs on the processor"
    card = torch.cuda.get_device_properties(0)
    return f"{card.name}, {card.total_memory / GIB:.0f} GiB"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _sqlite(problems: list[str]) -> str:
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        import sqlite3 as dbapi2  # type: ignore[no-redef,unused-ignore]

        problems.append("pysqlite3 is missing: the database falls back to a slower rollback journal.")
    return str(dbapi2.sqlite_version)


def _database(home: Home, problems: list[str]) -> str:
    if not home.database.exists():
        return "none yet"
    from tuner_app.store import Store

    try:
        store = Store.open(home.database)
        found = [str(row[0]) for row in store.query("PRAGMA integrity_check")]
        store.close()
    except UserError as error:
        problems.append(str(error))
        return "unusable"
    problems.extend(f"The database is damaged: {line}" for line in found if line != "ok")
    return f"{home.database.stat().st_size / 1e6:.1f} MB"
