"""The heads of three papers: their shapes, what they start from, and what of them learns."""

from __future__ import annotations

import pytest
import torch

from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.class_texts import ClassTexts
from sensorloom.training.evaluation.heads import CrosslHead, TransferHead, linear_head
from sensorloom.training.terms.contrast import unit


def texts_of(classes: int, width: int) -> ClassTexts:
    names = tuple(f"class {number}" for number in range(classes))
    vectors = unit(torch.randn(classes, width, generator=torch.Generator().manual_seed(0)))
    return ClassTexts(names, "names", tuple((name,) for name in names), vectors, "planted")


def count(head: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in head.parameters())


def test_the_linear_head_gives_zero_shot_cosines_before_it_learns() -> None:
    """Methods §1.7: weights initialised to the mean text embedding, bias 0; zero-shot is the head before training."""
    texts = texts_of(5, 16)
    feature_BD = unit(torch.randn(7, 16))
    head = linear_head(16, 5, texts)
    cosines = torch.tensor([[float(row @ text) for text in texts.vector_CD] for row in feature_BD])
    assert torch.allclose(head(feature_BD), cosines, atol=1e-6)
    assert all(weight.requires_grad for weight in head.parameters())
    with torch.no_grad():
        head.weight.add_(1.0)
    assert torch.allclose(texts.vector_CD.norm(dim=1), torch.ones(5)), (
        "the texts are not the head's own memory"
    )


def test_without_texts_the_linear_head_starts_from_zero() -> None:
    assert not any(weight.any() for weight in linear_head(16, 5).parameters())


def test_the_transfer_head_is_two_layers_into_the_space_of_frozen_texts() -> None:
    """Methods §2.7: Linear 512→512, ReLU, Linear 512→512, logits = head(z) · (frozen normalised class texts)ᵀ."""
    texts = texts_of(8, 512)
    head = TransferHead(512, texts)
    assert count(head) == 2 * (512 * 512 + 512)
    feature_BD = torch.randn(3, 512)
    first, _, second = head.layers
    said_BD = torch.relu(feature_BD @ first.weight.T + first.bias) @ second.weight.T + second.bias
    assert torch.allclose(head(feature_BD), said_BD @ texts.vector_CD.T, atol=1e-5)
    assert {name for name, _ in head.named_buffers()} == {"vector_CE"}


def test_the_transfer_head_takes_features_of_any_width() -> None:
    assert TransferHead(96, texts_of(8, 64))(torch.randn(3, 96)).shape == (3, 8)


def test_crossl_classifies_by_a_small_network() -> None:
    """Methods §3: concat of M×96 → Dense 128 ReLU → Dropout .1 → softmax."""
    head = CrosslHead(6 * 96, 12)
    assert count(head) == 576 * 128 + 128 + 128 * 12 + 12
    assert [type(layer).__name__ for layer in head] == ["Linear", "ReLU", "Dropout", "Linear"]
    assert head[2].p == 0.1


def test_texts_of_another_space_are_refused_with_both_widths() -> None:
    with pytest.raises(
        RunError, match="embeds windows in 32 numbers and planted texts in 16: they are not of one"
    ):
        linear_head(32, 5, texts_of(5, 16))
