"""Faces with a known emotion, drawn from their action units: no files and no network.

A face is an identity, a pose, a light and a scene, all drawn at random, and an expression: muscles
that move as the emotion has them move, more on one side than on the other, from faint to strong,
among stray movements that mean nothing. So single pixels tell little of the emotion, and shapes
tell most of it. Labels have the faults of labels: a share is wrong, and ten annotators disagree
the more, the fainter the expression. Half of the happy faces smile because they were told to:
without the cheek raiser or with little of it, and less evenly (Duchenne's marker; Ekman, Davidson
and Friesen, 1990). Face i is a function of (seed, i) alone, so any range of an endless data set
can be asked for.

Shapes: B faces of a block, A action units, C classes, S pixels of a side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from marketorch.data.synthetic.face_canvas import bump, ramp
from marketorch.data.synthetic.face_drawing import ACTION_UNITS, Traits, draw_faces
from marketorch.engine.loading import derive_seed

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # as in FER2013
HAPPY = CLASSES.index("happy")
EXPRESSIONS: dict[str, tuple[dict[str, float], ...]] = {  # with what each is often taken for
    "angry": (
        {"AU4": 1.0, "AU5": 0.5, "AU7": 0.7, "AU23": 0.9},
        {"AU4": 1.0, "AU5": 0.6, "AU7": 0.6, "AU10": 0.6, "AU25": 0.9, "AU26": 0.4},
    ),
    "disgust": (
        {"AU9": 1.0, "AU10": 0.8, "AU15": 0.6, "AU4": 0.4, "AU7": 0.4},
        {"AU9": 0.9, "AU10": 1.0, "AU25": 0.8, "AU4": 0.4, "AU6": 0.3},
    ),
    "fear": (
        {"AU1": 1.0, "AU2": 0.5, "AU4": 0.6, "AU5": 0.9, "AU20": 0.9, "AU25": 0.8},
        {"AU1": 0.9, "AU2": 0.6, "AU4": 0.7, "AU5": 1.0, "AU20": 0.8, "AU25": 0.8, "AU26": 0.35},
    ),
    "happy": ({"AU12": 0.8}, {"AU12": 0.9, "AU25": 0.9}),
    "sad": (
        {"AU1": 0.9, "AU4": 0.6, "AU15": 0.9},
        {"AU1": 0.8, "AU4": 0.5, "AU15": 0.8, "AU7": 0.3, "AU25": 0.4},
    ),
    "surprise": (
        {"AU1": 0.9, "AU2": 0.9, "AU5": 0.7, "AU25": 0.7, "AU26": 0.9},
        {"AU1": 1.0, "AU2": 1.0, "AU5": 0.8, "AU25": 0.6, "AU26": 0.4},
    ),
    "neutral": ({}, {}),
}
CONFUSIONS = torch.tensor(  # what a face of each class is taken for by those who are wrong
    [
        [0.0, 0.4, 0.1, 0.0, 0.2, 0.0, 0.3],
        [0.6, 0.0, 0.1, 0.0, 0.2, 0.0, 0.1],
        [0.1, 0.1, 0.0, 0.0, 0.2, 0.5, 0.1],
        [0.0, 0.1, 0.0, 0.0, 0.0, 0.2, 0.7],
        [0.1, 0.1, 0.2, 0.0, 0.0, 0.0, 0.6],
        [0.0, 0.0, 0.6, 0.2, 0.0, 0.0, 0.2],
        [0.2, 0.0, 0.0, 0.2, 0.6, 0.0, 0.0],
    ]
)

Ranges = dict[str, tuple[float, float]]  # what is below zero is missing in that share of faces
IDENTITY: Ranges = {
    "skin": (0.36, 0.86),
    "face_width": (0.62, 0.74),
    "face_height": (0.84, 0.94),
    "jaw": (1.9, 3.0),  # from pointed to square
    "eye_gap": (0.255, 0.30),
    "eye_height": (-0.17, -0.11),
    "eye_width": (0.125, 0.155),
    "eye_open": (0.8, 1.15),
    "eye_slant": (-0.018, 0.018),
    "iris": (0.05, 0.45),
    "gaze": (-0.03, 0.03),
    "brow_height": (-0.39, -0.34),
    "brow_slant": (-0.015, 0.02),
    "brow_arch": (0.0, 0.03),
    "brow_thickness": (0.045, 0.085),
    "nose_width": (0.085, 0.125),
    "nose_tip": (0.17, 0.23),
    "mouth_height": (0.45, 0.50),
    "mouth_width": (0.225, 0.275),
    "mouth_curve": (-0.015, 0.015),
    "lips": (0.75, 1.3),
    "lip_tone": (0.55, 0.8),
    "wrinkles": (0.0, 0.12),
    "hair": (0.04, 0.6),
    "hair_volume": (0.02, 0.14),
    "hairline": (-0.78, -0.58),
    "hair_part": (-0.3, 0.3),
    "hair_length": (-0.4, 1.3),
    "hair_waves": (8.0, 25.0),
    "bald": (-9.0, 1.0),
    "beard": (-3.0, 1.0),
    "glasses": (-5.0, 1.0),
    "shades": (-1.0, 0.0),  # the darkness of the lenses, an occlusion
    "neck": (0.3, 0.4),
    "clothes": (0.05, 0.9),
}
POSE: Ranges = {
    "roll": (-0.25, 0.25),  # radians
    "yaw": (-0.14, 0.14),
    "pitch": (-0.05, 0.05),
    "scale": (1.2, 1.45),  # from the brows to the chin fills the image, as in FER2013
    "shift_x": (-0.07, 0.07),
    "shift_y": (-0.06, 0.06),
}
LIGHT: Ranges = {
    "side": (-0.35, 0.35),
    "above": (-0.1, 0.25),
    "depth": (0.7, 1.2),  # of the shadows in the face
    "brightness": (-0.12, 0.12),
    "contrast": (0.7, 1.15),
    "blur": (-0.3, 0.6),
    "noise": (0.005, 0.03),
}
SCENE: Ranges = {
    "backdrop": (0.1, 0.9),
    "clutter": (0.05, 0.35),
    "bar": (0.12, 0.3),  # the width of a bar across the image, or of the fingers of a hand
    "bar_x": (-0.5, 0.5),
    "bar_y": (-0.5, 0.8),
    "bar_angle": (-1.6, 1.6),
    "bar_tone": (0.05, 0.95),
    "fingers": (-1.0, 1.0),
}
BLOCK = 128  # faces that share a random generator and are drawn together: they fit a cache
ANNOTATORS = 10
FAINTEST = 0.4  # the strength of the weakest expressions
STRAY = 0.25  # the strongest movement that means nothing
CLUTTER = 6  # patches along a side of the background
CHEEK, PULLER, PARTED, DROPPED = map(list(ACTION_UNITS).index, ("AU6", "AU12", "AU25", "AU26"))
TEMPLATES = torch.tensor(  # (C, variants, A)
    [[[variant.get(name, 0.0) for name in ACTION_UNITS] for variant in EXPRESSIONS[name_]]
     for name_ in CLASSES]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces and what is said about them.

    Args:
        images: ``(N, 1, S, S)``, uint8, grey.
        labels: ``(N,)``, int64, positions in `CLASSES`, some of them wrong.
        true: ``(N,)``, int64, the labels without the wrong ones.
        smiles: ``(N,)``, int64: 1 for a genuine smile, 0 for a posed one, -1 for none.
        votes: ``(N, C)``, shares of ten annotators.
        label_noise: the share of labels that are wrong.
    """

    images: Tensor
    labels: Tensor
    true: Tensor
    smiles: Tensor
    votes: Tensor
    label_noise: float

    @property
    def best_accuracy(self) -> float:
        """The accuracy against ``labels`` of one who sees every emotion: all noise changes one."""
        return 1.0 - self.label_noise


def generate_faces(
    number: int,
    *,
    seed: int = 0,
    start: int = 0,
    size: int = 48,
    label_noise: float = 0.04,
    occlusion: float = 0.15,
) -> Faces:
    """Draws the faces ``start`` to ``start + number`` of the data set ``seed``.

    Args:
        number, start: disjoint ranges make a train and a test set.
        seed: which data set; another seed gives unrelated faces.
        size: pixels of a side. The same face is drawn finer, under another grain.
        label_noise: the probability that a label is a wrong one.
        occlusion: the probability that a hand, a bar or sunglasses hide a part of the face.

    Raises:
        ValueError: a count is negative, or a probability not in [0, 1).
    """
    if min(number, start) < 0 or size < 8:
        raise ValueError(f"out of range: {number=}, {start=}, {size=}")
    if not (0 <= label_noise < 1 and 0 <= occlusion < 1):
        raise ValueError(f"not in [0, 1): {label_noise=}, {occlusion=}")
    first = start // BLOCK
    last = max((start + number - 1) // BLOCK, first)
    # Whole blocks only: the last bit of a sum may depend on what is computed along with it.
    blocks = [_block(seed, i, size, label_noise, occlusion) for i in range(first, last + 1)]
    begin = start - first * BLOCK
    parts = [torch.cat(part)[begin : begin + number] for part in zip(*blocks, strict=True)]
    images, labels, true, smiles, votes = parts
    return Faces(images, labels, true, smiles, votes, label_noise)


def draw(
    action_units: Mapping[str, float | tuple[float, float]],
    *,
    identity_seed: int = 0,
    size: int = 96,
    backdrop: float = 0.5,
) -> Tensor:
    """Draws one upright face in plain light, uint8 ``(S, S)``.

    Args:
        action_units: intensities by name, such as ``{"AU6": 1, "AU12": (0.4, 1)}``; a pair is
            left and right in the image.
        identity_seed: whose face it is.
        size: pixels of a side.
        backdrop: the grey behind it.
    """
    units = torch.zeros(1, len(ACTION_UNITS), 2)
    for name, intensity in action_units.items():
        units[0, list(ACTION_UNITS).index(name)] = torch.tensor(intensity)
    identity = _traits(Generator().manual_seed(derive_seed(identity_seed)), IDENTITY, 1)
    pose, light = _middle(POSE), _middle(LIGHT)
    pose.scale = torch.full((1, 1, 1), 1.05)  # the whole head
    image = draw_faces(units, identity, pose, light, torch.full((1, 1, 1), backdrop), size)
    return _to_bytes(image[0])


def _traits(rng: Generator, ranges: Ranges, batch: int = BLOCK) -> Traits:
    """Traits ``(B, 1, 1)``, even within their ranges."""
    draws = torch.rand(len(ranges), batch, 1, 1, generator=rng)
    low, high = torch.tensor(list(ranges.values())).T[:, :, None, None, None]
    return Traits(**dict(zip(ranges, low + (high - low) * draws, strict=True)))


def _middle(ranges: Ranges) -> Traits:
    """The plainest traits ``(1, 1, 1)``: the middle of each range."""
    return Traits(**{name: torch.full((1, 1, 1), sum(r) / 2) for name, r in ranges.items()})


def _block(
    seed: int, block: int, size: int, label_noise: float, occlusion: float
) -> tuple[Tensor, ...]:
    """One block of `Faces`: images, labels, true, smiles, votes."""
    rng = Generator().manual_seed(derive_seed(seed, block))
    true = torch.randint(len(CLASSES), (BLOCK,), generator=rng)
    strength = FAINTEST + (1 - FAINTEST) * torch.rand(BLOCK, generator=rng).sqrt()
    units, smiles = _express(rng, true, strength)
    labels, votes = _annotate(rng, true, strength, label_noise)
    who, pose, light = (_traits(rng, ranges) for ranges in (IDENTITY, POSE, LIGHT))
    scene = _traits(rng, SCENE)
    patches = 2 * torch.rand(BLOCK, CLUTTER, CLUTTER, generator=rng) - 1
    # The first third of those who are hidden wears sunglasses.
    hidden, kind = torch.rand(2, BLOCK, generator=rng)
    glasses = ((hidden < occlusion) & (kind < 1 / 3)).view(-1, 1, 1)
    who.shades = torch.where(glasses, 0.92, 0.0)
    images = draw_faces(units, who, pose, light, scene.backdrop + scene.clutter * patches, size)
    rows = ((hidden < occlusion) & (kind >= 1 / 3)).nonzero().squeeze(1)
    images[rows] = _cover(images[rows], Traits(**{k: v[rows] for k, v in vars(scene).items()}))
    return _photograph(rng, images, light).unsqueeze(1), labels, true, smiles, votes


def _express(rng: Generator, true: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
    """Action units ``(B, A, 2)`` for emotions ``(B,)``, and which smiles are genuine ``(B,)``."""
    shape = (len(true), len(ACTION_UNITS))
    variant = torch.randint(2, true.shape, generator=rng)
    level, stray = torch.rand(2, *shape, generator=rng)
    units = TEMPLATES[true, variant] * (0.7 + 0.5 * level) * strength[:, None]
    posed, late, share, talk, jaw = torch.rand(5, len(true), generator=rng)
    happy, posed = true == HAPPY, posed < 0.5
    # A posed smile lacks the cheek raiser, or has some of it.
    late = 0.5 * share * (late < 0.4) + 0.1 * share
    cheek = torch.where(posed, late, 0.6 + 0.5 * share) * units[:, PULLER]
    units[:, CHEEK] += cheek * happy
    units += STRAY * stray**4
    units[:, PARTED] += 0.7 * talk * (talk > 0.85)
    units[:, DROPPED] += 0.25 * jaw * (talk > 0.85)
    uneven = torch.randn(shape, generator=rng) * torch.where(happy & posed, 0.22, 0.1)[:, None]
    uneven = uneven.clamp(-0.5, 0.5)
    units = units[:, :, None] * torch.stack((1 - uneven, 1 + uneven), 2)
    return units.clamp(0, 1.15), torch.where(happy, 1 - posed.long(), -1)


def _annotate(
    rng: Generator, true: Tensor, strength: Tensor, label_noise: float
) -> tuple[Tensor, Tensor]:
    """Labels ``(B,)`` with noise, and the votes ``(B, C)``."""
    confusions = CONFUSIONS[true]
    wrong, choice = torch.rand(2, len(true), generator=rng)
    other = (choice[:, None] >= confusions.cumsum(1)[:, :-1]).sum(1)
    labels = torch.where(wrong < label_noise, other, true)
    right = (0.55 + 0.4 * strength)[:, None]
    chances = right * F.one_hot(true, len(CLASSES)) + (1 - right) * confusions
    draws = torch.rand(len(true), ANNOTATORS, 1, generator=rng)
    votes = (draws >= chances.cumsum(1)[:, None, :-1]).sum(2)
    return labels, F.one_hot(votes, len(CLASSES)).float().mean(1)


def _cover(images: Tensor, scene: Traits) -> Tensor:
    """Lays a bar, or a hand of four fingers, over images ``(B, S, S)``."""
    axis = (torch.arange(images.shape[-1]) + 0.5) * (2 / images.shape[-1]) - 1
    x, y = axis.view(1, 1, -1) - scene.bar_x, axis.view(1, -1, 1) - scene.bar_y
    cos, sin = scene.bar_angle.cos(), scene.bar_angle.sin()
    along, across = cos * x + sin * y, cos * y - sin * x
    hand = scene.fingers > 0
    inside = scene.bar - across.abs()
    inside = torch.where(hand, torch.minimum(inside, along + 0.3), inside)
    fingers = torch.where(hand, 0.35 * bump((across / scene.bar * 2 % 1) - 0.5, 0.15), 0.0)
    tone = scene.bar_tone * (1 - fingers)
    return torch.lerp(images, tone, ramp(inside + 0.02, 0.04))


def _photograph(rng: Generator, images: Tensor, light: Traits) -> Tensor:
    """Blurs, exposes and grains images ``(B, S, S)``."""
    step = max(images.shape[-1] // 64, 1)
    for turned in (images, images.mT):  # (a, b, c) becomes (a + c) / 2 in the share of the blur
        soft = (turned[:, :, : -2 * step] + turned[:, :, 2 * step :]).mul_(0.5)
        turned[:, :, step:-step].lerp_(soft, light.blur.clamp(min=0))
    grain = torch.randn(images.shape, generator=rng)
    images = images.sub_(0.5).mul_(light.contrast).add_(0.5 + light.brightness)
    return _to_bytes(images.addcmul_(grain, light.noise))


def _to_bytes(images: Tensor) -> Tensor:
    return (images * 255).round_().clamp_(0, 255).to(torch.uint8)
