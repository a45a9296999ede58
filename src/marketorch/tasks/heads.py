"""Heads: from what a model gives to losses, calibrated answers and their distributions.

Parts that any task holds, whatever it reads: classes of which an example has one or several, and
numbers with a distribution. A model may give several members, ``(B, M, K)``: each is trained with a
loss of its own, and `blend` mixes them to predict.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, distributions, nn

from marketorch.data.cuts import UNLABELLED

OUTPUTS = {"normal": 2, "lognormal": 2, "zero_lognormal": 3}  # of a model, by distribution
PULL = 1e-4  # to equal weights and no bias: keeps them finite where a sample can be separated


class ClassHead(nn.Module):
    """Classes of an example, one or several, with weights of members and biases that calibrate.

    Args:
        num_classes: K.
        members: M, of the logits ``(B, M, K)``.
        several: an example may have any of the classes; labels are then ``(B, K)`` of 0 and 1, and
            negative where they are not known.
        label_smoothing: share of the target spread over all classes, or over yes and no.

    Example:
        >>> head = ClassHead(3, members=2)
        >>> head.probabilities(torch.randn(8, 2, 3)).shape  # (8, 3)
    """

    mix: Tensor
    bias: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        members: int = 1,
        several: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.several, self.label_smoothing = several, label_smoothing
        self.register_buffer("mix", torch.full((members,), 1 / members))
        self.register_buffer("bias", torch.zeros(num_classes))

    def loss(
        self, logits: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The sum over labelled examples of the mean loss of the members, and their number.

        Args:
            logits: ``(B, M, K)``.
            labels: ``(B,)``, or ``(B, K)`` of `several`.
            class_weights: what an example of each class weighs ``(K,)``.
        """
        members = logits.shape[1]
        if self.several:
            known = labels >= 0
            targets = labels.clamp_min(0).float().lerp(torch.tensor(0.5), self.label_smoothing)
            losses = F.binary_cross_entropy_with_logits(
                logits, targets[:, None].expand_as(logits), reduction="none", weight=class_weights
            )
            return (losses.mean(1) * known).sum(), known.any(1).sum()
        loss = F.cross_entropy(
            logits.flatten(0, 1),
            labels.repeat_interleave(members),
            weight=class_weights,
            ignore_index=UNLABELLED,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return loss / members, (labels != UNLABELLED).sum()

    def blend(self, logits: Tensor) -> Tensor:
        """Weighted sum ``(B, K)`` of the members' logits ``(B, M, K)``, and the class biases."""
        return torch.einsum("bmk,m->bk", logits, self.mix) + self.bias

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities ``(B, K)`` of logits ``(B, M, K)``."""
        mixed = self.blend(logits)
        return mixed.sigmoid() if self.several else mixed.softmax(1)

    def calibrate(self, logits: Tensor, labels: Tensor) -> None:
        """Finds the mix and the biases that give the labels of a split the least log-loss.

        Bias-corrected temperature scaling (Alexandari et al. 2020), a weight a member. It starts
        from equal weights, whatever they are now.

        Args:
            logits: of the members on the validation split ``(N, M, K)``.
            labels: ``(N,)``, or ``(N, K)`` of `several`.
        """
        known = (labels >= 0).all(1) if self.several else labels != UNLABELLED
        logits, labels = logits[known].detach().double(), labels[known]
        weights = logits.new_full((logits.shape[1],), 1 / logits.shape[1])
        logarithm, bias = weights.log(), logits.new_zeros(logits.shape[2])
        start = logarithm.clone()
        free = [logarithm.requires_grad_(), bias.requires_grad_()]
        optimizer = torch.optim.LBFGS(free, max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            mixed = torch.einsum("bmk,m->bk", logits, logarithm.exp()) + bias
            pull = (logarithm - start).square().sum() + bias.square().sum()
            if self.several:
                loss = F.binary_cross_entropy_with_logits(mixed, labels.double())
            else:
                loss = F.cross_entropy(mixed, labels)
            loss = loss + PULL * pull
            loss.backward()
            return loss

        optimizer.step(closure)
        self.mix = logarithm.detach().exp().to(self.mix)
        self.bias = bias.detach().to(self.bias)


class NumberHead(nn.Module):
    """A number of an example, as a distribution.

    ``normal`` is for what may be negative, ``lognormal`` for what is above 0, ``zero_lognormal``
    for what is often exactly 0 (Wang, Liu & Miao 2019), such as what a customer will spend. A model
    gives `num_outputs` numbers for each member; the density of members is that of their mixture.
    Targets that are not known are NaN.

    Args:
        distribution: one of those three.

    Example:
        >>> head = NumberHead("zero_lognormal")
        >>> head.mean(torch.randn(8, 1, head.num_outputs)).shape  # (8,)
    """

    center: Tensor
    scale: Tensor
    widen: Tensor

    def __init__(self, distribution: str = "normal") -> None:
        super().__init__()
        if distribution not in OUTPUTS:
            names = ", ".join(OUTPUTS)
            raise ValueError(f"distribution is '{distribution}'; expected one of {names}.")
        self.distribution, self.num_outputs = distribution, OUTPUTS[distribution]
        self.register_buffer("center", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("widen", torch.ones(()))

    def fit(self, targets: Tensor) -> None:
        """Measures the scale of the training targets ``(N,)``, so that outputs begin near it."""
        own = self._inner(targets[self._inside(targets)]).double()
        if len(own):
            self.center = own.mean().to(self.center)
            self.scale = own.std(correction=0).clamp_min(1e-6).to(self.scale)

    def loss(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The sum over known targets ``(B,)`` of the mean negative log-likelihood of the members.

        Args:
            outputs: ``(B, M, num_outputs)``.
        """
        known = targets.isfinite()
        losses = -self._log_density(outputs, targets.nan_to_num()).mean(1)
        return losses.where(known, torch.zeros_like(losses)).sum(), known.sum()

    def log_likelihood(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of targets ``(B,)`` under the mixture of the members ``(B,)``."""
        each = self._log_density(outputs, targets)
        return each.logsumexp(1) - torch.tensor(float(each.shape[1])).log()

    def mean(self, outputs: Tensor) -> Tensor:
        """The expected number ``(B,)``."""
        location, deviation = self._place(outputs)
        if self.distribution == "normal":
            return location.mean(1)
        each = (location + deviation.square() / 2).exp()
        return (each * self._chance(outputs)).mean(1)

    def quantiles(self, outputs: Tensor, levels: Sequence[float]) -> Tensor:
        """Numbers ``(B, L)`` that are not exceeded with so much probability, found by halving."""
        location, deviation = self._place(outputs)
        low, high = (location - 8 * deviation).amin(1), (location + 8 * deviation).amax(1)
        wanted = torch.tensor(levels, dtype=location.dtype, device=location.device)
        low, high = (end[:, None].expand(-1, len(levels)).clone() for end in (low, high))
        for _ in range(60):
            middle = (low + high) / 2
            below = self._below(outputs, middle) < wanted
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        if self.distribution == "normal":
            return high
        nothing = (1 - self._chance(outputs)).mean(1)[:, None] >= wanted
        return high.exp().masked_fill(nothing, 0.0)

    def calibrate(self, outputs: Tensor, targets: Tensor) -> None:
        """Widens or narrows the distribution to the greatest likelihood of a split's targets."""
        known = targets.isfinite()
        outputs, targets = outputs[known].detach().double(), targets[known].double()
        factors = torch.logspace(-1, 1, 81, dtype=torch.float64)
        self.widen = torch.ones_like(self.widen)
        likelihoods = []
        for factor in factors.tolist():
            self.widen = torch.full_like(self.widen, factor)
            likelihoods.append(float(self.log_likelihood(outputs, targets).mean()))
        best = max(range(len(likelihoods)), key=likelihoods.__getitem__)
        self.widen = torch.full_like(self.widen, float(factors[best]))

    # -- parts --------------------------------------------------------------------------------

    def _inner(self, targets: Tensor) -> Tensor:
        """Where the density is normal: the number, or its logarithm."""
        return targets if self.distribution == "normal" else targets.log()

    def _inside(self, targets: Tensor) -> Tensor:
        return targets.isfinite() if self.distribution == "normal" else targets > 0

    def _place(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Location and deviation of each member ``(B, M)``, of the number or its logarithm."""
        deviation = F.softplus(outputs[..., 1] + 0.5413) + 1e-3  # 1 where the output is 0
        location = outputs[..., 0] * self.scale + self.center
        return location, deviation * self.scale * self.widen

    def _chance(self, outputs: Tensor) -> Tensor:
        """The probability ``(B, M)`` that the number is not 0."""
        if self.distribution == "zero_lognormal":
            return outputs[..., 2].sigmoid()
        return torch.ones_like(outputs[..., 0])

    def _log_density(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of each member ``(B, M)``."""
        location, deviation = self._place(outputs)
        inside = self._inside(targets)
        inner = self._inner(targets.where(inside, torch.ones_like(targets)))[:, None]
        density: Tensor = distributions.Normal(location, deviation).log_prob(inner)
        if self.distribution == "normal":
            return density
        density = density - inner  # of the number, not of its logarithm
        if self.distribution == "lognormal":
            return density.where(inside[:, None], torch.full_like(density, -torch.inf))
        chance = outputs[..., 2]
        return torch.where(inside[:, None], density + F.logsigmoid(chance), F.logsigmoid(-chance))

    def _below(self, outputs: Tensor, inner: Tensor) -> Tensor:
        """The probability ``(B, L)`` to be at or below some places ``(B, L)`` of `_inner`."""
        location, deviation = self._place(outputs)
        normal = distributions.Normal(location[..., None], deviation[..., None])
        share: Tensor = normal.cdf(inner[:, None])
        chance = self._chance(outputs)[..., None]
        return (1 - chance + chance * share).mean(1)
