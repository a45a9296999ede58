"""How a face is drawn from its action units: batches of them, in soft-edged shapes of grey.

Every part of a face is a region between curves, drawn upright on a window of a canvas around it:
lids, lips and brows are functions of x, the outline of the head is one of y. The muscles move the
curves as the Facial Action Coding System (Ekman and Friesen, 1978) describes it: action unit 12
pulls the corners of the mouth up and out, 6 raises cheek and lower lid. The canvas is then turned,
scaled and shifted onto a background.

Shapes: B faces, A action units, S pixels of a side, H and W rows and columns of a window.
Units: half an image is 1 long, x points right and y down; greys go from 0 (black) to 1 (white).
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.synthetic.face_canvas import EXTENT, Canvas, Window, bump, ramp

Traits = SimpleNamespace  # numbers (B, 1, 1) by name; `faces` lists the names and their ranges

ACTION_UNITS = {
    "AU1": "inner brow raiser",
    "AU2": "outer brow raiser",
    "AU4": "brow lowerer",
    "AU5": "upper lid raiser",
    "AU6": "cheek raiser",
    "AU7": "lid tightener",
    "AU9": "nose wrinkler",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller",
    "AU15": "lip corner depressor",
    "AU20": "lip stretcher",
    "AU23": "lip tightener",
    "AU25": "lips part",
    "AU26": "jaw drop",
}
NUMBERS = tuple(int(name.removeprefix("AU")) for name in ACTION_UNITS)


class Units:
    """Intensities by number of action unit.

    Args:
        action_units: ``(B, A, 2)``, left and right in the image.
        axis: x of the columns of the canvas ``(T,)``.
    """

    def __init__(self, action_units: Tensor, axis: Tensor) -> None:
        left, right = action_units.permute(2, 1, 0)[..., None, None]
        self.columns = torch.where(axis < 0, left, right)
        self.mean = dict(zip(NUMBERS, 0.5 * (left + right), strict=True))

    def beside(self, window: Window) -> dict[int, Tensor]:
        """The units of the side that each column of a window lies on, ``(B, 1, W)``."""
        return dict(zip(NUMBERS, self.columns[..., window.columns], strict=True))


def draw_faces(
    action_units: Tensor,
    identity: Traits,
    pose: Traits,
    light: Traits,
    backdrop: Tensor,
    size: int,
) -> Tensor:
    """Draws faces, with neither occlusion nor blur nor noise.

    Args:
        action_units: ``(B, A, 2)``, intensities from 0 to 1, left and right in the image.
        identity, pose, light: traits with the names of the tables in `faces`.
        backdrop: ``(B, P, P)``, patches of grey behind the faces.
        size: S.

    Returns:
        Images ``(B, S, S)``; greys can leave the range from 0 to 1 a little.
    """
    canvas = Canvas(backdrop, size)
    units = Units(action_units, canvas.axis)
    _body(canvas, identity)
    _head(canvas, identity, units, light)
    _cheeks(canvas, identity, units, light)
    _eyes(canvas, identity, units, light)
    _brows(canvas, identity, units)
    _forehead(canvas, identity, units)
    _nose(canvas, identity, units, light)
    _beard(canvas, identity, units)
    _mouth(canvas, identity, units)
    _hair(canvas, identity, units)
    _glasses(canvas, identity)
    return _pose(canvas.grey, pose, size)


def _body(canvas: Canvas, who: Traits) -> None:
    """Neck and shoulders, and the hair behind the head."""
    window = canvas.window(EXTENT, 0.4, EXTENT)
    shoulders = window.inside(who.neck + 2.5 * ramp(window.y - 0.8, 0.5).square(), window.far)
    neck = ramp(1.0 - 0.5 * window.x.square() - window.y, 2 * window.pixel)
    window.paint(torch.lerp(who.clothes, 0.7 * who.skin, neck), shoulders)
    window = canvas.window(0.95, -EXTENT, EXTENT)
    y = window.y
    vault = 1 - (y.clamp(max=0) / (0.94 + who.hair_volume)).square()
    width = (who.face_width + who.hair_volume) * vault.clamp_(min=0).sqrt_()
    width = width - 9.0 * ((y > who.hair_length) | (who.bald > 0))
    window.paint(_hair_tone(window, who), window.inside(width, window.far))


def _hair_tone(window: Window, who: Traits) -> Tensor:
    strands = who.hair * torch.sin(who.hair_waves * window.x)
    return who.hair + strands * (0.12 + 0.08 * torch.sin(3 * window.y))


def _width(y: Tensor, who: Traits, units: Units) -> Tensor:
    """Half the width of the head at each height; far below zero above and below the head."""
    height = who.face_height + 0.1 * units.mean[26] * (y > 0)
    room = 1 - (y / height).abs_() ** torch.where(y > 0, who.jaw, 2.3)
    return who.face_width * room.clamp(min=0).sqrt_() - 9.0 * (room < 0)


def _head(canvas: Canvas, who: Traits, units: Units, light: Traits) -> None:
    """The skin, round: the sides, forehead and chin turn away from the light."""
    window = canvas.window(0.85, -1.0, 1.1)
    x, y = window.x, window.y
    width = _width(y, who, units) + 0.07 * bump(y - 0.02, 0.15)
    across, down = x / who.face_width, y / who.face_height
    depth = light.depth
    shade_x = 1 + light.side * across - 0.3 * depth * across.square().square_()
    shade_y = light.above * down + 0.25 * depth * down.square().square_()
    window.paint(who.skin * shade_x - who.skin * shade_y, window.inside(width, window.far))
    window = canvas.window(0.6, -0.8, -0.2)
    window.shade(-0.12 * depth * bump(window.y + 0.5, 0.18) * bump(window.x, 0.4))


def _cheeks(canvas: Canvas, who: Traits, units: Units, light: Traits) -> None:
    """The cheeks, the folds from the nose to the mouth, and crow's feet."""
    window = canvas.window(0.62, -0.1, 0.55)
    x, y, au = window.far - who.eye_gap, window.y, units.beside(window)
    lift = au[6] + 0.3 * au[12]
    top = who.eye_height + 0.3 - 0.07 * lift
    bulge = bump(x - 0.06, 0.17) * (0.1 + 0.13 * lift) * light.depth
    window.shade(-bulge * bump(y - top, 0.12))
    # The bulge throws a crescent of shade along its lower edge.
    crescent = y - (top + 0.17 - 0.9 * (x - 0.03).square())
    window.line(crescent, 0.09, 0.25 * lift * bump(x, 0.16))
    down = ramp(y - who.nose_tip + 0.03, 0.3)
    out = window.far - who.nose_width - 0.03
    fold = who.wrinkles + 0.35 * au[12] + 0.15 * au[6] + 0.35 * au[9] + 0.3 * au[10]
    ends = down.sqrt() * ramp(who.mouth_height - 0.14 * au[12] - 0.02 - y, 0.1)
    window.line(out - (0.13 + 0.1 * au[12]) * down, 0.035, fold.clamp_(max=0.55) * ends)
    window = canvas.window(0.62, -0.28, 0.04)
    x, y = window.far - who.eye_gap - who.eye_width, window.y - who.eye_height - 0.01
    reach = ramp(x - 0.03, 0.02) * ramp(0.17 - x, 0.06) * units.beside(window)[6]
    between = (y / x.clamp(min=0.02)).clamp_(-0.7, 0.7).mul_(2.0)
    reach = reach * (between.abs() < 1.35)
    window.line((between - between.round()) * (0.5 * x), 0.018, 0.5 * reach)


def _eyes(canvas: Canvas, who: Traits, units: Units, light: Traits) -> None:
    """Sockets, balls and lids."""
    window = canvas.window(0.58, -0.42, 0.12)
    au = units.beside(window)
    x, y = window.far - who.eye_gap, window.y - who.eye_height
    window.shade(0.3 * light.depth * bump(x + 0.02, 0.2) * bump(y + 0.03, 0.13))
    raised = 1 + 0.75 * au[5] - 0.4 * au[7] - 0.2 * au[6] - 0.15 * au[4]
    lowered = 1 + 0.1 * au[5] - 0.55 * au[7] - 0.8 * au[6] - 0.3 * au[9]
    t = x / who.eye_width
    arc = (1 - t.square()).clamp_(min=-0.5) * who.eye_open
    tilt = (who.eye_slant + 0.02 * au[1] * (1 - au[2])) * t
    above = y - tilt + 0.068 * raised.clamp_(min=0.25) * arc
    below = tilt + 0.048 * lowered.clamp_(min=-0.1) * arc - y
    opening = window.inside(torch.minimum(above, below))
    window.paint((0.5 + 0.4 * who.skin) * (1.1 - 0.2 * light.depth), opening)
    away = (x - who.gaze * window.x.sign()).square() + (y + 0.01).square()
    away.sqrt_()
    window.paint(who.iris, window.inside(0.062 - away).mul_(opening))
    window.paint(0.1 * who.iris, window.inside(0.028 - away).mul_(opening))
    ends = ramp(1.25 - t.abs_(), 0.25)
    window.line(above, 0.032, 0.85 * ends)
    window.line(below, 0.022, 0.4 * ends)
    window.line(above + 0.045 - 0.02 * au[5], 0.02, 0.35 * ends)  # the crease of the upper lid
    bag = who.wrinkles + 0.3 * au[6] + 0.2 * au[7]
    window.line(below + 0.05 - 0.02 * au[6], 0.03, bag * ends)


def _brows(canvas: Canvas, who: Traits, units: Units) -> None:
    """The brows, bows through an inner, a middle and an outer point."""
    window = canvas.window(0.6, -0.62, -0.08)
    au = units.beside(window)
    start, end = 0.105 - 0.045 * au[4], who.eye_gap + who.eye_width + 0.06
    t = (window.far - start) / (end - start)
    inner = 0.01 - 0.1 * au[1] + 0.1 * au[4] + 0.06 * au[9]
    centre = 0.075 * au[4] - 0.05 * au[1] - 0.07 * au[2] + 0.05 * au[9] - who.brow_arch
    outer = who.brow_slant + 0.02 - 0.09 * au[2] + 0.03 * au[4]
    bow = (1 - t) * ((1 - 2 * t) * inner + 4 * t * centre) + t * (2 * t - 1) * outer
    half = 0.5 * who.brow_thickness * (1 - 0.55 * t.clamp(0, 1))
    cover = window.inside(half - (window.y - (who.brow_height + bow)).abs_())
    cover.mul_(0.85 * ramp(t, 0.1) * ramp(1 - t, 0.15))
    window.paint(torch.minimum(0.8 * who.hair, 0.5 * who.skin), cover)


def _forehead(canvas: Canvas, who: Traits, units: Units) -> None:
    """Long wrinkles of raised brows, upright ones between lowered brows."""
    au = units.mean
    window = canvas.window(0.5, -0.72, -0.44)
    inner = bump(window.x, 0.2)
    raised = who.wrinkles + 0.3 * (au[2] + (au[1] - au[2]) * inner)
    between = (window.y - 0.1 * window.x.square()) * (1 / 0.075) + 0.3 * au[1]
    window.line((between - between.round()) * 0.075, 0.025, raised * bump(window.x, 0.3))
    window = canvas.window(0.12, -0.5, -0.16)
    ends = ramp(window.y + 0.5, 0.08) * ramp(-0.16 - window.y, 0.08)
    window.line(window.far - 0.04, 0.024, 0.55 * au[4] * ends)


def _nose(canvas: Canvas, who: Traits, units: Units, light: Traits) -> None:
    """A light bridge and tip between shaded sides, and nostrils."""
    window = canvas.window(0.26, -0.3, 0.4)
    x, y, far, au = window.x, window.y, window.far, units.mean
    below = y - (who.nose_tip - 0.03 * au[9])
    along = ramp(y - who.eye_height + 0.1, 0.1) * ramp(0.06 - below, 0.06) * light.depth
    ridge = bump(x, 0.05)
    sides = bump(far - 0.7 * who.nose_width, 0.05) * (0.24 + 0.1 * au[9])
    window.shade((sides - 0.2 * ridge) * along)
    shadow = bump(below - 0.09, 0.04) * bump(x, 0.1) - bump(below + 0.01, 0.04) * ridge
    nostrils = bump(below - 0.045, 0.02) * bump(far - 0.5 * who.nose_width, 0.035)
    window.shade(shadow.mul_(0.2).add_(nostrils, alpha=0.65))
    wings = bump(far - who.nose_width * (1 + 0.15 * au[9]), 0.025) * (0.35 + 0.25 * au[9])
    window.shade(wings * bump(below - 0.01, 0.045))
    window = canvas.window(0.15, -0.2, 0.0)
    between = (window.y + 0.5 * window.far) * (1 / 0.06)
    window.line((between - between.round()) * 0.06, 0.022, 0.5 * au[9] * bump(window.x, 0.1))


def _beard(canvas: Canvas, who: Traits, units: Units) -> None:
    window = canvas.window(0.75, 0.2, 1.05)
    y, far = window.y, window.far
    lip = y - 0.5 * (who.nose_tip + who.mouth_height) - 0.01
    cover = ramp(y - 0.64 + 1.2 * far.square(), 0.1) + bump(lip, 0.055) * bump(far, 0.2)
    skin = window.inside(_width(y, who, units), far)
    cover = cover.clamp_(max=1) * skin.mul_(0.8 * who.beard.clamp(min=0))
    grain = 1 + torch.sin(40 * window.x) * (0.2 * torch.sin(37 * y))
    window.paint(torch.minimum(who.hair, 0.6 * who.skin) * grain, cover)


def _mouth(canvas: Canvas, who: Traits, units: Units) -> None:
    """Lips around a dark opening with teeth; a corner is moved by the muscles of its side."""
    window = canvas.window(0.5, 0.25, 0.9)
    y, far, own, au = window.y, window.far, units.beside(window), units.mean
    narrow = 1 - 0.1 * au[23] - 0.16 * au[26] * (1 - au[12]).clamp_(min=0)
    half = who.mouth_width * (narrow + 0.28 * own[12] + 0.26 * own[20])
    corner = who.mouth_height + who.mouth_curve - 0.14 * own[12] + 0.1 * own[15] + 0.02 * own[20]
    gap = 0.035 * au[25] + 0.24 * au[26]
    top = who.mouth_height - 0.02 * au[12] - 0.025 * au[15] - 0.05 * au[10] - 0.1 * gap - 0.006
    bottom = top + gap + 0.012 + 0.025 * au[12] * au[25]
    bend = (far / half).square_()
    arc = (1 - bend).clamp_(min=0)
    above = y - (top + (corner - top) * bend)
    below = bottom + (corner - bottom) * bend - y
    ends = half - far
    fullness = who.lips * (1 - 0.6 * au[23] - 0.25 * au[12] - 0.2 * au[20]).clamp_(min=0.25)
    bow = arc.sqrt() * (0.055 * (1 + 0.3 * au[10])) * (1 - 0.25 * bump(far, 0.05))
    window.shade(bump(below + 0.05 + 0.07 * fullness, 0.04) * (0.2 * bump(far, 0.15)))
    lips = torch.minimum(above + fullness * bow, below + 0.07 * fullness * arc)
    window.paint(who.lip_tone * who.skin, window.inside(torch.minimum(lips, ends)))
    window.shade(bump(below + 0.03 * fullness, 0.02) * (-0.2 * bump(far, 0.1)))
    opening = window.inside(torch.minimum(torch.minimum(above, below), ends))
    window.paint(0.12 * who.skin, opening)
    shown = 0.075 * (0.25 + au[12] + 0.7 * au[10] + 0.7 * au[20]).clamp_(max=1)
    teeth = window.inside(shown - above).mul_(opening).mul_(ramp(gap, 0.03))
    window.paint(0.45 + 0.5 * who.skin, teeth)
    pull = 0.2 + 0.35 * own[12] + 0.3 * own[15] + 0.2 * own[23]
    window.shade(bump(y - corner, 0.035) * (pull * bump(ends, 0.045)))


def _hair(canvas: Canvas, who: Traits, units: Units) -> None:
    """The hair in front, above the hairline and along the temples."""
    window = canvas.window(0.9, -1.1, 0.1)
    y, far = window.y, window.far
    line = who.hairline + 0.35 * (window.x - who.hair_part).square_() - 9.0 * (who.bald > 0)
    line = line + 2.5 * (far - 0.9 * who.face_width).clamp_(min=0)
    width = _width(y, who, units) + 0.4 * window.pixel
    window.paint(_hair_tone(window, who), window.inside(torch.minimum(line - y, width - far)))


def _glasses(canvas: Canvas, who: Traits) -> None:
    """Frames around the eyes; with ``shades`` the lenses are dark."""
    window = canvas.window(0.7, -0.42, 0.15)
    x, y = window.far - who.eye_gap - 0.01, window.y - who.eye_height - 0.01
    away = (x / 0.215).square_().square_() + (y / 0.165).square_().square_()
    distance = 0.17 * (1 - away.sqrt_().sqrt_())
    window.paint(0.2 * who.hair, window.inside(distance) * who.shades.clamp(min=0))
    shown = 0.8 * ((who.glasses > 0) | (who.shades > 0))
    window.line(distance, 0.03, shown)
    window.line(y + 0.03, 0.025, shown * (x.abs() > 0.21))


def _pose(faces: Tensor, pose: Traits, size: int) -> Tensor:
    """Turns, moves and scales faces ``(B, T, T)`` to images ``(B, S, S)``."""
    x = (torch.arange(size) + 0.5) * (2 / size) - 1
    y = x.unsqueeze(1)
    # Places in the plane are complex numbers: to multiply them turns and scales.
    turn = torch.polar(1 / (EXTENT * pose.scale), -pose.roll)
    places = turn * x + turn * (1j * y - torch.complex(pose.shift_x, pose.shift_y))
    # A turned head moves its middle, nearer to the viewer than its outline, which stays.
    near = (1 - 1.4 * (x.square() + y.square())).clamp_(min=0)
    places -= torch.complex(pose.yaw, pose.pitch) * near
    grid = torch.view_as_real(places)
    faces = faces.unsqueeze(1)
    return F.grid_sample(faces, grid, padding_mode="border", align_corners=False).squeeze(1)
