"""The base's tokenizer: byte-level BPE, so that any text has tokens, made from the world's own text."""

from collections.abc import Iterator
from itertools import chain

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from assets.base import FOLDER
from assets.world import dialogues
from engine.examples import Message

VOCABULARY = 1536
CONTEXT = 512
PAD, BOS, END = "<|pad|>", "<|begin|>", "<|end|>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}


def make_tokenizer(seed: int, n: int = 20_000) -> PreTrainedTokenizerFast:
    """A tokenizer made from `n` training dialogues; every digit is a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BOS, END, *ROLES.values()],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((m.content for m in chain.from_iterable(dialogues(seed, n))), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        additional_special_tokens=list(ROLES.values()),
        chat_template=(FOLDER / "chat_template.jinja").read_text(),
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def encode(
    tokenizer: PreTrainedTokenizerFast, texts: list[tuple[Message, ...]]
) -> Iterator[tuple[list[int], list[int]]]:
    """For each dialogue, its token ids and a mask of those that the assistant says.

    The same as `apply_chat_template` with `return_assistant_tokens_mask`, which is too slow for so many.
    """
    contents = tokenizer.backend_tokenizer.encode_batch([m.content for text in texts for m in text])
    pieces = iter(contents)
    roles = {role: tokenizer.convert_tokens_to_ids(token) for role, token in ROLES.items()}
    for text in texts:
        ids, mask = [tokenizer.bos_token_id], [0]
        for message in text:
            said = [*next(pieces).ids, tokenizer.eos_token_id]
            ids += [roles[message.role], *said]
            mask += [0, *[int(message.role == "assistant")] * len(said)]
        yield ids, mask
