"""Every method on every public file that it can learn from, through the command line, as a person would.

    python tests/bench/real_data.py --data DIR [--base builtin] [--rows 96] [--only METHOD …] [--files PART …]

DIR holds the files named in `FILES`. Each is imported into a home that is thrown away; then it is trained on,
one epoch of its last rows. Prints two Markdown tables: a line for each run as it ends (what was used, what
was left out and why, losses, what a reward model was right on of the pairs held out, seconds of the whole
command), and what was imported. PPO is led by the reward model of the same file, of hh-rlhf's pairs where
it has none, and told to go on with it whatever it is worth.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS, RATED, TOLD = ("reward", "dpo", "ppo"), ("kto", "ppo"), ("sft", "ppo")
# file: the methods that it feeds, and what `tuner import` has to be told
FILES: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "pref/hh_rlhf_harmless_open.jsonl": (PAIRS, []),
    "pref/ukp_convarg1_strict": (PAIRS, ["--columns", "prompt=debate,a=a1,b=a2,winner=label"]),
    "pref/pandalm_testset-v1.json": (
        PAIRS,
        ["--columns", "instruction=instruction,input=input,a=response1,b=response2,winner=annotator1"],
    ),
    "pref/medicalgpt_dpo_zh_500.jsonl": (PAIRS, []),
    "llamafactory/dpo_en_demo.json": (PAIRS, []),
    "llamafactory/dpo_zh_demo.json": (PAIRS, []),
    "pref/diasafety_train.json": (RATED, ["--columns", "prompt=context,completion=response,label=label"]),
    "pref/truthfulqa_human_truth_labels_open.jsonl": (RATED, []),
    "llamafactory/kto_en_demo.json": (RATED, []),
    "llamafactory/alpaca_en_demo.json": (TOLD, []),
    "llamafactory/alpaca_zh_demo.json": (TOLD, []),
    "llamafactory/glaive_toolcall_en_demo.json": (TOLD, []),
    "llamafactory/identity.json": (TOLD, []),
    "sft/fastchat_dummy_conversation.json": (TOLD, []),
    "sft/gpteacher_roleplay.json": (TOLD, []),
    "sft/gsm8k_train.jsonl": (TOLD, ["--columns", "prompt=question,completion=answer"]),
    "sft/sharegpt_zh_1K.jsonl": (TOLD, []),
    "medical/huatuo_llama_data.json": (TOLD, []),
    "medical/icliniq_qas.json": (TOLD, ["--columns", "prompt=question_text,completion=answer"]),
    "medical/medicalgpt_sft_1K.jsonl": (TOLD, []),
    "medical/mts_dialog_train.csv": (TOLD, ["--columns", "prompt=dialogue,completion=section_text"]),
    "medical/toyhom_sample_gb18030.csv": (
        TOLD,
        ["--encoding", "gb18030", "--columns", "prompt=ask,completion=answer"],
    ),
}
FIRST = "pref/hh_rlhf_harmless_open.jsonl"  # whose reward model leads PPO where a file has no pairs
PROMPTS = 16  # of PPO: two phases of as many replies
OPTIONS = {
    "ppo": ["--rollout-batch", "8", "--samples", "2", "--max-new-tokens", "32", "--trust-reward", "yes"]
}


def main() -> None:
    """Import, train, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", default="builtin")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--only", nargs="*", help="methods")
    parser.add_argument("--files", nargs="*", help="parts of names of files")
    args = parser.parse_args()

    print("| file | method | rows | loss, first and last | held out | s |\n|---|---|---|---|---|---|")
    taken: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as home:
        for name, (methods, told) in FILES.items():
            if name != FIRST and args.files and not any(part in name for part in args.files):
                continue
            taken[name] = imported(home, args.data / name, told)
            for method in methods:
                if not args.only or method in args.only or (name, method) == (FIRST, "reward"):
                    print(f"| {name} | {trained(home, method, name, args)} |", flush=True)
    print("\n| file | rows that were taken, and why others were not |\n|---|---|")
    for name, text in taken.items():
        print(f"| {name} | {text} |")


def tuner(home: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of ours, in wide lines."""
    command = [sys.executable, "-c", "from tuner_app.cli import main; main()", "--home", home, *arguments]
    environment = os.environ | {"COLUMNS": "1000", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def imported(home: str, file: Path, told: list[str]) -> str:
    """Import a file; how many rows were taken, and the reasons why others were not."""
    if file.is_dir():
        file = debates(file, Path(home))
    done = tuner(home, "import", str(file), *told, "--json")
    if done.returncode:
        return f"refused: {done.stderr.strip().splitlines()[0]}"
    (found,) = json.loads(done.stdout)
    reasons: dict[str, int] = {}
    for row in found["refused"]:
        reason = re.sub("“.*?”", "…", row["reason"])
        reasons[reason] = reasons.get(reason, 0) + 1
    refused = "; ".join(f"{count} refused: {reason}" for reason, count in reasons.items())
    again = f"; {found['known']} there already" if found["known"] else ""
    return f"{found['rows']}{again}{'; ' if refused else ''}{refused}"


def debates(folder: Path, home: Path) -> Path:
    """The first ten pairs of every file of the folder as one table, with what was debated in front."""
    lines = ["debate\tlabel\ta1\ta2"]
    for file in sorted(folder.iterdir()):
        debate = re.sub("[-_]+", " ", file.stem)
        rows = file.read_text(encoding="utf-8").splitlines()[1:11]
        lines += ["\t".join([debate, *row.split("\t")[1:]]) for row in rows]
    table = home / f"{folder.name}.tsv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def trained(home: str, method: str, name: str, args: argparse.Namespace) -> str:
    """Train on a file's last rows; the rest of its line in the table."""
    run = re.sub(r"\W", "-", f"{method}-{Path(name).stem}")
    stem = f"{Path(name).name}{'' if Path(name).suffix else '.tsv'}"
    rows = PROMPTS if method == "ppo" else args.rows
    command = ["train", method, "--base", args.base, "--data", f"source:{stem},last:{rows}", "--epochs", "1"]
    command += ["--name", run, "--json", *OPTIONS.get(method, [])]
    if method == "ppo":
        leader = name if "reward" in FILES[name][0] else FIRST
        command += ["--reward", re.sub(r"\W", "-", f"reward-{Path(leader).stem}")]
    began = time.perf_counter()
    done = tuner(home, *command)
    seconds = time.perf_counter() - began
    if done.returncode:
        return f"{method} | {' '.join(done.stderr.split())} | | | {seconds:.0f}"
    losses = [step["loss"] for step in json.loads(done.stdout)["steps"]]
    rows_used, held_out = said(done.stderr)
    return f"{method} | {rows_used} | {losses[0]:.4g}, {losses[-1]:.4g} | {held_out} | {seconds:.0f}"


def said(text: str) -> tuple[str, str]:
    """What a run said of its rows, with its warnings in short, and what was held out and how it went."""
    rows, held_out = [], []
    for line in map(str.strip, text.splitlines()):
        if " rows, " in line:
            rows.append(line)
        elif line.startswith("! ") and "chat template" not in line:
            rows.append(line.removeprefix("! ").split(". ")[0].removesuffix("."))
        elif "held-out" in line:
            held_out.append(line)
    return "; ".join(rows), "; ".join(held_out)


if __name__ == "__main__":
    main()
