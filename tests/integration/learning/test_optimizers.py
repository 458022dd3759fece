"""The optimizers give the same results as torch's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from steelyard.learning.recipes.base import Options
from steelyard.learning.recipes.optimizers import clipped, optimizer

STEPS = 20


def options(**changes: Any) -> Options:
    base: dict[str, Any] = {
        "local_epochs": 1,
        "batch_size": 8,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "schedule": "constant",
        "momentum": 0.9,
        "weight_decay": 0.01,
        "clip_norm": 0.0,
        "max_rows": 0,
        "seed": 1,
    }
    return Options(**{**base, **changes})


def gradients() -> Iterator[list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    for _ in range(STEPS):
        yield [torch.randn(3, 4, generator=generator), torch.randn(5, generator=generator)]


def ours(chosen: Options) -> list[torch.Tensor]:
    tensors = [torch.ones(3, 4), torch.ones(5)]
    update = optimizer(tensors, chosen)
    for number, gradient in enumerate(gradients()):
        update(gradient, number / STEPS)
    return tensors


def theirs(build: Any, rates: list[float]) -> list[torch.Tensor]:
    tensors = [torch.nn.Parameter(torch.ones(3, 4)), torch.nn.Parameter(torch.ones(5))]
    torchs = build(tensors)
    for gradient, rate in zip(gradients(), rates, strict=True):
        torchs.param_groups[0]["lr"] = rate
        for tensor, value in zip(tensors, gradient, strict=True):
            tensor.grad = value
        torchs.step()
    return [tensor.detach() for tensor in tensors]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_torchs_sgd_with_nesterovs_momentum(momentum: float) -> None:
    expected = theirs(
        lambda p: torch.optim.SGD(p, 0.1, momentum=momentum, weight_decay=0.01, nesterov=momentum > 0),
        [0.1] * STEPS,
    )
    for got, want in zip(ours(options(momentum=momentum)), expected, strict=True):
        torch.testing.assert_close(got, want)


def test_adam_is_torchs_adamw() -> None:
    expected = theirs(lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.01), [0.1] * STEPS)
    for got, want in zip(ours(options(optimizer="adam")), expected, strict=True):
        torch.testing.assert_close(got, want)


def test_a_linear_schedule_falls_to_zero_over_the_round() -> None:
    rates = [0.1 * (1 - number / STEPS) for number in range(STEPS)]
    expected = theirs(
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01, nesterov=True), rates
    )
    for got, want in zip(ours(options(schedule="linear")), expected, strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("norm", [0.5, 2.0, 1000.0])
def test_gradients_are_clipped_as_torch_clips_them(norm: float) -> None:
    for gradient in gradients():
        parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradient]
        for parameter, value in zip(parameters, gradient, strict=True):
            parameter.grad = value.clone()
        torch.nn.utils.clip_grad_norm_(parameters, norm)
        for got, parameter in zip(clipped(gradient, norm), parameters, strict=True):
            torch.testing.assert_close(got, parameter.grad, rtol=1e-5, atol=1e-6)


def test_a_norm_of_zero_clips_nothing() -> None:
    gradient = next(gradients())
    assert clipped(gradient, 0.0) is gradient
