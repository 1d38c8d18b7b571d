"""PPO: a mistake seeded in each step, a bandit's known optimum, and what it reports."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import ppo_checks
import pytest
import tiny
import torch
from small_run import METHOD_OPTIONS, OPTIONS, Reports, copied, reward_model, rows_for, run
from test_mutations import mutated

from engine import actors, adapters, advantages, experience, job, loop, models, phases, rollouts
from engine.batches import Tree
from engine.examples import prompt_of
from engine.job import Stopped
from engine.methods import ppo
from engine.spec import Adapter, Spec
from engine.template import template_for

MUTATIONS: list[tuple[ModuleType, str, str, str, Callable[[Any], None]]] = [
    (rollouts, "_Group", "columns >= self.width -", "columns >= 0 *", ppo_checks.left_padding),  # step 1
    (
        rollouts,
        "_Group",
        "self.lengths[:, None] + t",
        "0 * self.lengths[:, None] + self.width + t",
        ppo_checks.left_padding,
    ),
    (rollouts, "_pick", "logits / temperature", "logits", ppo_checks.pick),  # 2
    (ppo, "judge", "torch.where(ended, ", "torch.where(~ended, ", ppo_checks.judge),  # 3
    (ppo, "judge", "-options.missing_end_penalty", "options.missing_end_penalty", ppo_checks.judge),
    (ppo, "judge", " - control.reward_mean", "", ppo_checks.judge),  # 4
    (ppo, "judge", " / control.reward_std", "", ppo_checks.judge),
    (ppo, "reference_scores", "[ended]", "", ppo_checks.reference_scores),
    (ppo, "reference_scores", "float(scores.mean())", "head.mean", ppo_checks.reference_scores),
    (ppo, "reference_scores", "float(scores.std())", "head.std", ppo_checks.reference_scores),
    (ppo, "judge", "actors.log_probs)", "actors.reference_log_probs)", ppo_checks.judge),  # 5
    (
        ppo,
        "judge",
        "token_rewards(scores, old - reference",
        "token_rewards(scores, reference - old",
        ppo_checks.judge,
    ),
    (advantages, "token_rewards", "- 1] += scores", "- 2] += scores", ppo_checks.token_rewards),  # 6
    (advantages, "gae", "+ gamma * later_value", "", ppo_checks.gae),  # 7
    (advantages, "gae", "gamma * gae_lambda * later", "gamma * later", ppo_checks.gae),
    (ppo, "judge", "returns=advantages + values", "returns=advantages", ppo_checks.judge),
    (ppo, "judge", "advantages=whiten(advantages)", "advantages=advantages", ppo_checks.judge),  # 8
    (advantages, "whiten", "(values - mean)", "values", ppo_checks.whiten),
    (phases, "schedule", "options.ppo_epochs", "1", ppo_checks.schedule),  # 9
    (
        phases,
        "Control",
        "kl / self.options.target_kl - 1",
        "1 - kl / self.options.target_kl",
        ppo_checks.meet,
    ),
    (phases, "Control", "self.factor / 1.5", "self.factor * 1.5", ppo_checks.adapt),  # 12
]


@pytest.mark.parametrize(("module", "name", "right", "wrong", "check"), MUTATIONS)
def test_a_mistake_in_a_step_is_caught(
    module: ModuleType, name: str, right: str, wrong: str, check: Callable[[Any], None]
) -> None:
    check(module)
    with pytest.raises((AssertionError, IndexError)):
        check(mutated(module, name, right, wrong))


def test_adam_s_epsilon_is_1e_5(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 10, and a mistake in it."""
    trainers: list[Any] = []
    reward_model(model)

    class Trainer(loop.Trainer):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            trainers.append(self)

    monkeypatch.setattr(loop, "Trainer", Trainer)
    run(tmp_path / "right", model, "ppo", should_stop=lambda: "stop")
    wrong = replace(ppo.METHOD, train=mutated(ppo, "train", "epsilon=1e-5", "epsilon=1e-8").train)
    monkeypatch.setattr(job, "method_named", lambda name: wrong)
    run(tmp_path / "wrong", model, "ppo", should_stop=lambda: "stop")
    assert [trainer.optimizer.param_groups[0]["eps"] for trainer in trainers] == [1e-5, 1e-8]


def after(steps: int, reports: Reports, how: Stopped) -> Callable[[], Stopped]:
    """A `should_stop` that says so once so many steps are reported."""
    return lambda: how if len(reports.of("step")) == steps else ""


def test_scores_are_measured_by_the_starting_model_s_own(model: Path, tmp_path: Path) -> None:
    """The first phase's replies come from that model too: their mean is 0 but for chance."""
    first = []
    for moved in (0.0, 100.0):  # whatever the reward model's own normalisation is
        reports = Reports()
        reward = copied(model, tmp_path / str(moved), {"mean": moved, "std": 1 + moved / 100})
        options = OPTIONS | METHOD_OPTIONS["ppo"] | {"samples": 16, "missing_end_penalty": 0.0}
        base = replace(models.load(str(model)), end_tokens=tuple(range(2, 80)))  # so that most replies end
        spec = Spec(method="ppo", base=str(model), reward=str(reward), options=options)
        folder = tmp_path / f"run {moved}"
        job.train(base, spec, rows_for("ppo"), folder, emit=reports, should_stop=after(1, reports, "stop"))
        shown = reports.of("step")[0]["metrics"]
        assert shown["ended"] > 0.5
        assert not [data for data in reports.of("warning") if "too few" in data["message"]]
        first.append(shown["reward"])
    assert first[0] == first[1]
    assert abs(first[0]) < 0.2


@pytest.mark.parametrize(
    ("tokens", "ended", "says"),
    [
        ([2, 4, 6, 8], [True, False, False, False], ["Only 64 of 256", "replies with an end (64)"]),  # all 2
        ([2, 4, 6, 8], [True, True, False, False], []),
        ([2, 4, 6, 8], [False] * 4, ["Only 0 of 256 replies", "replies with an end (0)"]),
        ([2, 2, 2, 2], [True] * 4, ["replies with an end (256)"]),
        ([2, 4] + [6] * 254, [True] * 15 + [False] * 241, ["Only 15 of 256", "replies with an end (15)"]),
        ([2, 4] + [6] * 254, [True] * 16 + [False] * 240, ["Only 16 of 256"]),
    ],
)
def test_a_starting_model_that_measures_little_is_told(
    tokens: list[int], ended: list[bool], says: list[str]
) -> None:
    mean, std, said = ppo_checks.measured(ppo, tokens, ended)
    assert [part in message for part, message in zip(says, said, strict=True)] == [True] * len(says)
    fallen_back = any("too few or too much alike" in message for message in said)
    assert ((mean, std) == (0.25, 0.5)) == fallen_back


def test_lambda_and_gamma_reach_the_advantages() -> None:
    first, _ = ppo_checks.judged(ppo)
    for changes in ({"gamma": 0.5}, {"gae_lambda": 0.2}):
        second, _ = ppo_checks.judged(ppo, **changes)
        assert not torch.allclose(first.advantages, second.advantages, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("adapter", [Adapter(), Adapter(dropout=0.5)])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_ratios_are_1_on_the_first_minibatch(
    adapter: Adapter, temperature: float, model: Path, tmp_path: Path
) -> None:
    """Whatever the micro-batches; and KL from the reference is 0 until the first step, also with a parent."""
    parent = run(tmp_path / "parent", model, "sft")
    for parent_folder in (None, str(parent.folder)):
        reports = Reports()
        options = {"rollout_batch": 4, "batch_size": 4, "ppo_epochs": 2, "temperature": temperature}
        folder = tmp_path / ("child" if parent_folder else "fresh")
        run(folder, model, "ppo", reports=reports, options=options, adapter=adapter, parent=parent_folder)
        steps = [step["metrics"] for step in reports.of("step")]
        assert len(steps) == 12
        for number, shown in enumerate(steps):
            if number % 2 == 0:
                assert shown["clip_fraction"] == 0
                assert shown["kl_step"] == pytest.approx(0, abs=1e-9)
            else:
                assert shown["kl_step"] > 1e-6
        assert steps[0]["kl"] == pytest.approx(0, abs=1e-5)
        assert abs(steps[-1]["kl3"]) > 1e-4
        warned = any("without dropout" in data["message"] for data in reports.of("warning"))
        assert warned == (adapter.dropout > 0 and parent_folder is None)


def test_the_value_function_starts_at_0_and_is_trained_but_not_saved(model: Path, tmp_path: Path) -> None:
    reports = Reports()
    run(tmp_path, model, "ppo", reports=reports)
    (saved,) = sorted((tmp_path / "checkpoints").glob("step-000004"))
    from safetensors.torch import load_file

    tensors = load_file(saved / "tensors.safetensors")
    assert tensors["keep/values"].abs().max() > 0  # of the second phase
    assert tensors["trained/value/head"].abs().max() > 0
    reward = load_file(reward_model(model) / adapters.WEIGHTS)
    value = {name: tensors[f"trained/value/{name}"] for name in reward}
    assert any(not torch.equal(value[name], reward[name]) for name in reward)
    kept = load_file(tmp_path / "adapter" / adapters.WEIGHTS)
    assert set(kept) == {name.removeprefix("trained/") for name in tensors if name.startswith("trained/base")}


def test_metrics_of_a_step_and_gold(model: Path, tmp_path: Path) -> None:
    reports, asked = Reports(), []

    def gold(prompt: Sequence[Any], reply: str) -> float:
        asked.append((prompt[-1].content, reply))
        return len(reply) / 100

    spec = Spec(
        method="ppo",
        base=str(model),
        reward=str(reward_model(model)),
        options={
            "rollout_batch": 6,
            "batch_size": 6,
            "ppo_epochs": 1,
            "max_new_tokens": 6,
            "trust_reward": True,
        },
    )
    job.run(spec, rows_for("ppo"), tmp_path, emit=reports, should_stop=lambda: "", gold=gold)
    steps = reports.of("step")
    named = {"clip_fraction", "value_loss", "kl_step", *experience.SHOWN}
    assert [set(step["metrics"]) for step in steps] == [named] * 2
    assert len(asked) == 24
    prompts = [prompt_of(row).prompt[-1].content for row in rows_for("ppo")]
    assert sorted(prompt for prompt, _ in asked) == sorted(prompts * 2)
    first = sum(len(reply) / 100 for _, reply in asked[:12]) / 12
    assert steps[0]["metrics"]["gold"] == pytest.approx(first, abs=1e-6)
    assert all("<|end|>" not in reply for _, reply in asked)


ARMS = [7, 8]  # the only two tokens that the bandit's base can write


@pytest.fixture(scope="module")
def bandit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that writes one of two tokens, the first with a probability of about a fifth."""
    from transformers import PhiConfig, PhiForCausalLM

    tokenizer, folder = tiny.make_tokenizer(), tmp_path_factory.mktemp("bandit") / "tiny"
    torch.manual_seed(0)
    model = PhiForCausalLM(
        PhiConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=128,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
            initializer_range=0.1,  # so wide that hidden states of a fixed length can mean any odds
        )
    )
    with torch.no_grad():
        model.lm_head.weight[ARMS[1]] = -model.lm_head.weight[ARMS[0]]
        model.lm_head.bias.fill_(-1e4)
        model.lm_head.bias[ARMS] = 0.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_a_two_armed_bandit_reaches_its_optimum(
    beta: float, bandit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replies of one token, of which the first earns 1 and the second 0: then π* ∝ π_ref exp(r/β)."""
    deviation: list[float] = []

    def reference_scores(*arguments: Any) -> tuple[float, float]:
        mean, std = measured(*arguments)
        deviation.append(std)
        return mean, std

    measured = ppo.reference_scores
    monkeypatch.setattr(ppo, "reference_scores", reference_scores)

    def scores(self: actors.Actors, trees: Sequence[Tree]) -> torch.Tensor:
        return torch.tensor([float(branch.ids[0] == ARMS[0]) for tree in trees for branch in tree.branches])

    monkeypatch.setattr(actors.Actors, "scores", scores)
    base = replace(models.load(str(bandit)), end_tokens=tuple(ARMS))
    prompt = rows_for("ppo")[0]
    options = {
        "max_new_tokens": 1,
        "samples": 32,
        "rollout_batch": 2,
        "batch_size": 2,
        "ppo_epochs": 1,
        "epochs": 60,
        "learning_rate": 2e-3,
        "kl_coefficient": beta,
        "target_kl": 0.0,
        "trust_reward": True,
    }
    spec = Spec(method="ppo", base=str(bandit), reward=str(reward_model(bandit)), options=options)
    before = first_arm(base)
    job.train(base, spec, [prompt, prompt], tmp_path, emit=Reports(), should_stop=lambda: "")
    adapters.train(base)
    odds = before / (1 - before) * math.exp(1 / deviation[0] / beta)  # rewards are normalised
    assert first_arm(base) == pytest.approx(odds / (1 + odds), abs=1e-3)
    assert abs(first_arm(base) - before) > 0.05


def first_arm(base: models.Base) -> float:
    """How likely the first arm is."""
    template = template_for(base.tokenizer, end_tokens=base.end_tokens)
    prompt = template.prompt(prompt_of(rows_for("ppo")[0]).prompt)
    with torch.no_grad():
        logits = base.model(torch.tensor([prompt])).logits[0, -1]
    return float(logits.softmax(-1)[ARMS[0]])


@pytest.mark.parametrize("kind", ["bf16", "nf4", "full"])
def test_it_runs_on_every_precision_and_full(kind: str, model: Path, tmp_path: Path) -> None:
    reports = Reports()
    how: dict[str, Any] = {"adapter": Adapter(kind="full")} if kind == "full" else {"precision": kind}
    run(tmp_path, model, "ppo", reports=reports, **how)
    steps = [step["metrics"] for step in reports.of("step")]
    assert len(steps) == 6
    assert abs(steps[0]["kl"]) < 1e-3
    assert steps[-1]["kl3"] > 1e-4
