"""SGD and Adam over a list of tensors. Only the training process imports this module.

They are implemented here because torch.optim imports torch's compiler: a second of CPU and 100 MB in every
worker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from steelyard.learning.recipes.base import Options

Update = Callable[[Sequence[torch.Tensor], float], None]
"""Called with the gradients and the fraction of the round that is done, 0 to 1. Changes the tensors."""

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


def optimizer(tensors: Sequence[torch.Tensor], options: Options) -> Update:
    """The optimizer that the options name, with zero state."""
    build = {"sgd": _sgd, "adam": _adam}[options.optimizer]
    return build(tensors, options)


def clipped(gradients: Sequence[torch.Tensor], norm: float) -> Sequence[torch.Tensor]:
    """The gradients, scaled so that their joint norm is at most `norm`; 0 = unlimited."""
    if norm == 0:
        return gradients
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    factor = torch.clamp(norm / (length + _EPSILON), max=1.0)
    return [gradient * factor for gradient in gradients]


def _sgd(tensors: Sequence[torch.Tensor], options: Options) -> Update:
    """Nesterov momentum as in torch.optim.SGD; plain SGD if momentum is 0."""
    velocities = [torch.zeros_like(tensor) for tensor in tensors]

    def update(gradients: Sequence[torch.Tensor], progress: float) -> None:
        rate = _rate(options, progress)
        with torch.no_grad():
            for tensor, gradient, velocity in zip(tensors, gradients, velocities, strict=True):
                gradient = gradient.add(tensor, alpha=options.weight_decay)
                velocity.mul_(options.momentum).add_(gradient)
                tensor.sub_(gradient.add_(velocity, alpha=options.momentum), alpha=rate)

    return update


def _adam(tensors: Sequence[torch.Tensor], options: Options) -> Update:
    """Adam with decoupled weight decay (AdamW); options.momentum is not used."""
    first = [torch.zeros_like(tensor) for tensor in tensors]
    second = [torch.zeros_like(tensor) for tensor in tensors]
    done = 0

    def update(gradients: Sequence[torch.Tensor], progress: float) -> None:
        nonlocal done
        done += 1
        rate = _rate(options, progress)
        size = rate / (1 - _BETAS[0] ** done)
        with torch.no_grad():
            for tensor, gradient, m, v in zip(tensors, gradients, first, second, strict=True):
                m.lerp_(gradient, 1 - _BETAS[0])
                v.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
                tensor.mul_(1 - rate * options.weight_decay)
                tensor.addcdiv_(m, (v / (1 - _BETAS[1] ** done)).sqrt_().add_(_EPSILON), value=-size)

    return update


def _rate(options: Options, progress: float) -> float:
    factors = {
        "constant": 1.0,
        "linear": 1 - progress,
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
    }
    return options.learning_rate * factors[options.schedule]
