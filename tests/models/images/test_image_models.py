"""Image models: shapes, sides other than those trained on, sceptics against written-out maths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from marketorch.data.images.dataset import DecodedImages
from marketorch.errors import ConfigError
from marketorch.models.images.compact_cnn import CompactCNN
from marketorch.models.images.linear_pixels import LinearPixels, hog
from marketorch.models.images.torchvision_classifier import TorchvisionClassifier
from marketorch.models.images.torchvision_weights import read as read_weights


@pytest.mark.parametrize("side", [32, 44, 48, 63, 112])
@pytest.mark.parametrize("stride", [1, 2])
def test_compact_cnn_reads_any_side(side: int, stride: int) -> None:
    model = CompactCNN(num_classes=5, num_channels=3, width=4, depth=(1, 1, 1), stem_stride=stride)
    assert model(torch.randn(2, 3, side, side)).shape == (2, 5)


def test_width_and_depth_are_what_they_say() -> None:
    def size(**options: object) -> int:
        model = CompactCNN(num_classes=7, **options)  # type: ignore[arg-type]
        return sum(p.numel() for p in model.parameters())

    assert size(width=16) * 3.5 < size(width=32) < size(width=16) * 4.2
    assert size(depth=(1, 1, 1, 1)) < size(depth=(1, 1, 1, 2))


def test_a_block_begins_as_its_shortcut_and_skips_only_in_training() -> None:
    torch.manual_seed(0)
    model = CompactCNN(num_classes=3, width=4, depth=(2,), skip=0.9, dropout=0.0)
    block = model.blocks[1]
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(block.eval()(x), x)
    torch.nn.init.normal_(block.conv2.weight)
    assert not torch.allclose(block(x), x)
    block.train()
    skipped = [torch.equal(block(x)[0], x[0]) for _ in range(40)]
    assert 25 <= sum(skipped) < 40


def test_hog_of_stripes_points_across_them() -> None:
    stripes = torch.zeros(1, 24, 24)
    stripes[:, :, ::4] = 1.0
    stripes[:, :, 1::4] = 1.0
    blocks = hog(stripes, cell=6, bins=9).reshape(9, 4, -1)  # bins, cells of a block, blocks
    assert blocks.sum((1, 2)).argmax() == 0
    turned = hog(stripes.mT, cell=6, bins=8).reshape(8, 4, -1)
    assert turned.sum((1, 2)).argmax() == 4
    brighter = hog(0.5 * stripes, cell=6)
    torch.testing.assert_close(brighter, hog(stripes, cell=6), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("features", ["pixels", "hog"])
def test_linear_sceptics_tell_halves_apart(features: str) -> None:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.normal(0, 0.3, (80, 1, 24, 24))).float()
    labels = torch.arange(80) % 2
    images[labels == 1, :, :, :12] += torch.linspace(0, 3, 12)
    model = LinearPixels(num_classes=2, features=features, side=24)
    model.fit(DecodedImages(images, labels))
    assert (model(images).argmax(1) == labels).float().mean() > 0.95
    assert model(torch.nn.functional.interpolate(images, (48, 48))).shape == (80, 2)


def test_a_class_without_images_is_never_the_answer() -> None:
    images, labels = torch.randn(30, 1, 12, 12), torch.arange(30) % 2
    model = LinearPixels(num_classes=3, side=12)
    model.fit(DecodedImages(images, labels))
    assert model(images).argmax(1).max() < 2


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "vit_b_32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_torchvision_classifier_fits_classes_and_channels(name: str, channels: int) -> None:
    if name == "vit_b_32" and channels == 1:
        pytest.skip("one large model is enough")
    model = TorchvisionClassifier(num_classes=5, num_channels=channels, name=name).eval()
    side = 224 if name.startswith("vit") else 64
    with torch.no_grad():
        assert model(torch.randn(1, channels, side, side)).shape == (1, 5)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_from_a_file_are_torchvisions_but_for_the_head(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(0)
    source, file = resnet18(num_classes=11), tmp_path / f"own{suffix}"
    state = {name: value.contiguous() for name, value in source.state_dict().items()}
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    model = TorchvisionClassifier(num_classes=4, name="resnet18", weights=str(file)).eval()
    x = torch.randn(2, 3, 64, 64)
    source.fc = torch.nn.Identity()
    model.network.fc = torch.nn.Identity()
    torch.testing.assert_close(model(x), source.eval()(x))


def test_grey_images_are_read_as_their_colours_were() -> None:
    torch.manual_seed(0)
    colour = TorchvisionClassifier(num_classes=2, num_channels=3)
    torch.manual_seed(0)
    grey = TorchvisionClassifier(num_classes=2, num_channels=1)
    x = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(grey.network.conv1(x), colour.network.conv1(x.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet81"}, "Did you mean 'resnet18'"),
        ({"weights": "IMAGENET1K_V3"}, "resnet18 has IMAGENET1K_V1"),
        ({"weights": "nowhere.pt"}, "nowhere.pt does not exist"),
    ],
)
def test_wrong_names_are_said(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TorchvisionClassifier(num_classes=2, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors"])
def test_a_damaged_file_of_weights_is_refused(tmp_path: Path, name: str) -> None:
    for content in (b"", b"\0" * 40, b"PK\3\4" + bytes(60), b"not weights"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=rf"model\.weights: .*{name} is damaged, or no file"):
            read_weights(str(tmp_path / name))


@pytest.mark.parametrize("state", [[1], 3, {"model": None}, {"a": "x"}])
def test_a_file_of_something_else_is_refused(tmp_path: Path, state: object) -> None:
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"w\.pt holds a \w+, not tensors"):
        read_weights(str(tmp_path / "w.pt"))
