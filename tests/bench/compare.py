"""Run our bench and a peer's script in turn, several times, and print medians and ratios.

    python tests/bench/compare.py dpo --peer peer_trl.py --model DIR --data FILE --pairs 128 --times 3

In turn, because a machine's speed drifts: only figures of one such run compare. The peer is run with its
defaults and with `--tuned`; both sides print one line of JSON with `seconds`, `peak_rss_gb` and `losses`.
Beside wall seconds it shows those of the processor, import and loading included, which other work on the
machine touches less.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def measure(command: list[str], folder: str) -> dict[str, Any]:
    """Run a command in `folder`; the JSON of its last line, and the processor's seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return figures | {"cpu_seconds": used}


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method")
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--only", choices=["defaults", "tuned"], help="leave out the peer's other settings")
    args = parser.parse_args()

    common = [args.method, "--model", str(args.model.resolve()), "--data", str(args.data.resolve())]
    common += ["--pairs", str(args.pairs)] + ["--bf16"] * args.bf16
    peer = [sys.executable, str(args.peer.resolve()), *common]
    commands = {"ours": [sys.executable, "-m", "engine.bench", *common]}
    if args.only != "tuned":
        commands["defaults"] = peer
    if args.only != "defaults":
        commands["tuned"] = [*peer, "--tuned"]

    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(args.times):
            for name, command in commands.items():
                runs[name].append(measure(command, root if name == "ours" else scratch))
                last = runs[name][-1]
                print(
                    f"{number + 1} {name:<8} {last['seconds']:8.2f} s {last['peak_rss_gb']:.2f} GB",
                    flush=True,
                )

    def median(name: str, field: str) -> float:
        return float(statistics.median(run[field] for run in runs[name]))

    fields = ("seconds", "cpu_seconds", "peak_rss_gb")
    print("\n" + " ".join(f"{head:>12}" for head in ("", *fields)))
    for name in commands:
        print(f"{name:>12} " + " ".join(f"{median(name, field):12.2f}" for field in fields))
    # KTO's baseline is the whole batch's, the peer's its micro-batch's: only the first steps compare
    steps = 1 if args.method == "kto" else None
    losses = runs["ours"][0]["losses"][:steps]
    for name in list(commands)[1:]:
        ratios = [median(name, field) / median("ours", field) for field in fields[:2]]
        apart = max(abs(a / b - 1) for a, b in zip(losses, runs[name][0]["losses"][:steps], strict=True))
        print(
            f"against {name}: {ratios[0]:.2f} times faster ({ratios[1]:.2f} by processor time), "
            f"{median('ours', 'peak_rss_gb') / median(name, 'peak_rss_gb'):.2f} of its memory, "
            f"losses apart by at most {apart:.1e} (relative)"
        )
    print(f"fraction of this machine's peak: {median('ours', 'fraction_of_peak'):.2f}", end=", ")
    print(f"of torch's own product's: {median('ours', 'fraction_of_torch_peak'):.2f}")


if __name__ == "__main__":
    main()
