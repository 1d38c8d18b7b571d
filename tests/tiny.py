"""A model small enough for tests: a random 2-layer Llama with its tokenizer, saved as a real model folder."""

import json
from pathlib import Path

TEXT = [
    "The quick brown fox jumps over the lazy dog.",
    "What colour is a lemon? A lemon is yellow.",
    "Two and three is five. Hello! How are you today?",
    "Grüße aus Köln, 日本語 und ein Lächeln 🙂.",
    "my name is Ada and I like apples, tell me a short story please",
] * 4

SPECIAL = ["<pad>", "<s>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'assistant' %}"
    "<|assistant|>{% generation %}{{ message.content }}<|end|>{% endgeneration %}"
    "{% else %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def save_model(
    folder: Path,
    *,
    seed: int = 0,
    context: int = 128,
    template: bool = True,
    layers: int = 2,
    tied: bool = False,
) -> Path:
    """Write the model to `folder`: hidden 64, grouped-query attention, byte-level BPE."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(context, template)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=-(-len(tokenizer) // 32) * 32,  # a multiple of 32, as 4-bit products want
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=tied,
        initializer_range=0.2,  # wide, so that greedy answers vary instead of repeating one token
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(context: int = 128, template: bool = True):  # type: ignore[no-untyped-def]
    """A byte-level BPE tokenizer trained on `TEXT`, with a chat template that marks assistant tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="<|end|>",
        pad_token="<pad>",
        model_max_length=context,
        chat_template=TEMPLATE if template else None,
    )


def break_config(folder: Path, **changes: object) -> None:
    """Change fields of the folder's config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
