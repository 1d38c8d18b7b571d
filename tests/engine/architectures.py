"""Random models of many architectures, and trees for them: what tests of layouts and log-probs share."""

from typing import Any

import torch
import transformers

from engine.batches import Branch, Tree

VOCABULARY = 96
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,  # wide, so that a wrong mask or position shows
    "pad_token_id": 0,
}
# Those that take every layout, with what they need beyond SIZES.
EVERY: dict[str, dict[str, Any]] = {
    "Llama": {"tie_word_embeddings": True},
    "Qwen2": {},
    "Qwen3": {},
    "GPT2": {},
    "Glm": {},
    "Glm4": {},
    "Gemma": {},
    "Gemma2": {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 8},
    "Gemma3Text": {"query_pre_attn_scalar": 8, "sliding_window": 32},
    "Cohere": {"logit_scale": 0.25},
    "Granite": {"logits_scaling": 4.0},
    "Phi3": {},
}
# Those whose attention reaches back less far than the trees below are long.
WINDOWED: dict[str, dict[str, Any]] = {
    "Mistral": {"sliding_window": 8},
    "Gemma2": {"sliding_window": 8, "query_pre_attn_scalar": 8},
    "Gemma3Text": {"sliding_window": 8, "query_pre_attn_scalar": 8},
}
# Those that count positions themselves (ALiBi, a state): padded rows are all that they take.
COUNTING: dict[str, dict[str, Any]] = {"Bloom": {"n_head": 4}, "Mamba": {"state_size": 4}}
# Those that mix experts, whose weights are fused into one tensor.
MIXING: dict[str, dict[str, Any]] = {
    "Mixtral": {"num_local_experts": 2},
    "Qwen2Moe": {"num_experts": 4, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 32},
}


def model_named(name: str, **changes: Any) -> Any:
    """A random model, the same each time; `changes` replace what the tables above say of it."""
    torch.manual_seed(1)
    options = SIZES | {**EVERY, **COUNTING, **MIXING}.get(name, {}) | changes
    config = getattr(transformers, f"{name}Config")(**options)
    return transformers.AutoModelForCausalLM.from_config(config).requires_grad_(False).eval()


def random_trees() -> list[Tree]:
    """Trees of unlike lengths and of one to three branches, one with untrained tokens, 14 tokens deep."""
    generator = torch.Generator().manual_seed(2)

    def tokens(count: int) -> list[int]:
        return torch.randint(2, 90, (count,), generator=generator).tolist()

    return [
        Tree(tokens(9), [Branch.reply(tokens(5)), Branch.reply(tokens(4))]),
        Tree(tokens(3), [Branch.reply(tokens(2)), Branch(tokens(4), [True, False, False, True])]),
        Tree(tokens(6), [Branch.reply(tokens(1)), Branch.reply(tokens(8)), Branch.reply(tokens(3))]),
        Tree(tokens(7), [Branch.reply(tokens(6))]),
    ]


def by_hand(model: Any, trees: list[Tree]) -> torch.Tensor:
    """Each branch's sum, from the model's own logits of one unpadded row."""
    sums = []
    for tree in trees:
        for branch in tree.branches:
            ids = torch.tensor([tree.prompt + branch.ids])
            with torch.no_grad():
                table = model(input_ids=ids).logits.float().log_softmax(-1)[0]
            start = len(tree.prompt)
            sums.append(
                sum(table[start + i - 1, token] for i, token in enumerate(branch.ids) if branch.trained[i])
            )
    return torch.stack(sums)  # type: ignore[arg-type]
