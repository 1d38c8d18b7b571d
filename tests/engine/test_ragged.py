"""Attention over rows of unlike lengths: the values of transformers' sdpa, and who uses it."""

from types import SimpleNamespace

import pytest
import tiny
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from engine import adapters, models, ragged
from engine.spec import Adapter


@pytest.mark.parametrize("groups", [1, 2])
def test_it_is_sdpa_without_the_padding(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    rows, columns = 19, 30
    pads = [(7 * i) % 29 for i in range(rows)]
    query = torch.randn(rows, 2 * groups, 1, 8)
    key, value = torch.randn(2, rows, 2, columns, 8)
    mask = (torch.arange(columns) >= torch.tensor(pads)[:, None])[:, None, None]
    layer = SimpleNamespace(num_key_value_groups=groups, is_causal=True)
    read = []

    def counted(module: object, q: torch.Tensor, k: torch.Tensor, *rest: object, **named: object) -> object:
        read.append((len(q), k.shape[2]))
        return sdpa_attention_forward(module, q, k, *rest, **named)

    expected, _ = sdpa_attention_forward(layer, query, key, value, mask)
    monkeypatch.setattr(ragged, "sdpa_attention_forward", counted)
    found, _ = ragged.ragged(layer, query, key, value, mask)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    parts = [pads[i : i + ragged.ROWS] for i in range(0, rows, ragged.ROWS)]
    assert read == [(len(part), columns - min(part)) for part in parts]


def test_copies_to_draw_from_use_it_and_the_model_does_not(tmp_path: object) -> None:
    base = models.load(str(tiny.save_model(tmp_path / "tiny")))  # type: ignore[operator]
    adapters.add(base, Adapter(), seed=0)
    copy = adapters.merged(base)
    assert copy.config._attn_implementation == "ragged"
    assert base.model.config._attn_implementation == "sdpa"
