"""Natural-like inputs made from nothing, for conversions without calibration data.

Images follow the "dead leaves" model (A. B. Lee, D. Mumford, J. Huang, "Occlusion models for natural images", 2001):
shapes with power-law sizes that occlude one another, which gives the edges, the scale invariance and the
1/f spectrum of photographs; textures of 1/f noise lie on them, and colours vary mostly in brightness. Other inputs
get smooth noise over their range. Everything is seeded: sample i depends on the seed, i and the input's shape alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fmtc_tflite.data.dataset import Dataset, Items, Reader
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing

_MIN_IMAGE_SIDE = 16  # below it, an input of rank 4 is more likely a spectrogram than a picture
_MOST_IMAGE_SIDE = 768  # larger images would take gigabytes and minutes, and show kernels nothing new
_SHAPES = 80
_RADII = (0.04, 0.6)  # of the longer side
_DEVIATIONS_PER_RANGE = 6  # smooth noise: three standard deviations to either end of the range

# Principal axes of natural RGB colours (about brightness, blue-yellow and green-magenta) and deviations along them.
_COLOUR_AXES = np.array([[1, 1, 1], [1, 0, -1], [-0.5, 1, -0.5]]) / np.sqrt([[1.0], [2.0], [1.5]])
_COLOUR_DEVIATIONS = np.array([0.23, 0.07, 0.025])


class SyntheticDataset(Dataset):
    """Synthetic samples with the interface of every `Dataset`; pixels are fed `raw`."""

    DEFAULT_SAMPLES = 16

    def __init__(
        self,
        input_specs: Sequence[InputSpec],
        num_samples: int = DEFAULT_SAMPLES,
        seed: int = 0,
        is_streamed: bool = False,
    ) -> None:
        reader = _SyntheticReader(input_specs, num_samples, seed)
        super().__init__(
            reader, input_specs, Preprocessing(mode="raw"), np.arange(num_samples), is_streamed=is_streamed
        )


class _SyntheticReader(Reader):
    kind = "synthetic"

    def __init__(self, input_specs: Sequence[InputSpec], num_samples: int, seed: int) -> None:
        self._input_specs = tuple(input_specs)
        self._num_samples = num_samples
        self._seed = seed

    def __len__(self) -> int:
        return self._num_samples

    def name(self, index: int) -> str:
        return f"synthetic sample {index}"

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        for index in indices:
            rng = np.random.default_rng([self._seed, int(index)])
            yield {spec.name: _synthetic_item(rng, spec) for spec in self._input_specs}


def natural_image(rng: np.random.Generator, height: int, width: int, channels: int = 3) -> np.ndarray:
    """A dead-leaves image: uint8 [height, width, channels], 1 (brightness), 3 (RGB) or 4 (RGB, opaque).

    Beyond 768 pixels, it goes on as in a mirror.
    """
    if max(height, width) > _MOST_IMAGE_SIDE:
        drawn = natural_image(rng, min(height, _MOST_IMAGE_SIDE), min(width, _MOST_IMAGE_SIDE), channels)
        missing = (height - drawn.shape[0], width - drawn.shape[1])
        return np.pad(drawn, ((0, missing[0]), (0, missing[1]), (0, 0)), "symmetric")
    texture = np.stack([power_law_noise(rng, (height, width), 1.4) for _ in range(3)], axis=-1)
    image = _leaf_colour(rng) + 0.6 * _COLOUR_DEVIATIONS * texture
    for _ in range(_SHAPES):
        _draw_leaf(rng, image, texture)
    rgb = image @ _COLOUR_AXES
    rgb += rng.normal(0.0, 0.006, rgb.shape)  # the sensor's noise
    contrast, brightness = rng.uniform(0.7, 1.2), rng.uniform(0.35, 0.55)
    rgb = (rgb - rgb.mean()) * contrast + brightness
    pixels = np.clip(np.round(rgb * 255), 0, 255).astype(np.uint8)
    if channels == 1:
        return np.round(pixels @ (0.299, 0.587, 0.114)).astype(np.uint8)[..., None]
    if channels == 4:
        return np.concatenate([pixels, np.full((height, width, 1), 255, np.uint8)], axis=-1)
    return pixels


def power_law_noise(rng: np.random.Generator, shape: Sequence[int], exponent: float) -> np.ndarray:
    """Noise whose spectral amplitude falls as 1/f^exponent over all axes: float64, mean 0, deviation 1."""
    axes = [np.fft.fftfreq(size) for size in shape]
    frequency = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij")))
    gain = np.zeros_like(frequency)
    np.power(frequency, -exponent, out=gain, where=frequency > 0)
    noise = np.fft.ifftn(np.fft.fftn(rng.standard_normal(shape)) * gain).real
    deviation = noise.std()
    return noise / deviation if deviation > 0 else noise


def _synthetic_item(rng: np.random.Generator, spec: InputSpec) -> np.ndarray:
    shape = spec.item_shape
    if spec.image_shape is not None and not spec.is_channels_first and min(shape[:2]) >= _MIN_IMAGE_SIDE:
        image = natural_image(rng, *spec.image_shape)
        if spec.is_float and spec.real_range is None:
            return (image / 127.5 - 1.0).astype(spec.dtype)  # the most common range, where the model names none
        return image
    noise = power_law_noise(rng, shape, 1.0) if shape else np.zeros(())
    if spec.is_float:
        low, high = spec.real_range or (-3.0, 3.0)
    elif spec.scale:
        limits = np.iinfo(spec.dtype)
        low, high = limits.min, limits.max
    else:
        return np.zeros(shape, spec.dtype)  # indices or flags, of which 0 is always a valid one
    values = np.clip((low + high) / 2 + noise * (high - low) / _DEVIATIONS_PER_RANGE, low, high)
    return (values if spec.is_float else np.round(values)).astype(spec.dtype)


def _leaf_colour(rng: np.random.Generator) -> np.ndarray:
    return rng.laplace(0.0, _COLOUR_DEVIATIONS / np.sqrt(2))


def _draw_leaf(rng: np.random.Generator, image: np.ndarray, texture: np.ndarray) -> None:
    """Draws one rotated ellipse or rectangle, shaded and textured, over `image` (colour axes, [H, W, 3])."""
    height, width = image.shape[:2]
    low, high = (radius * max(height, width) for radius in _RADII)
    # Density of radii ~ r^-3, the one for which images look alike at all scales.
    radius = (low**-2 - rng.uniform() * (low**-2 - high**-2)) ** -0.5
    centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
    angle, aspect, power = rng.uniform(0, np.pi), rng.uniform(0.4, 1.0), rng.choice([2.0, 8.0])
    softness = rng.choice([0.7, 1.5, 3.0, 6.0])  # width of the edge in pixels: in and out of focus
    colour, tilt = _leaf_colour(rng), rng.normal(0.0, 0.08, 2)
    grain = rng.exponential(0.2)

    reach = 1.5 * radius + softness
    top, bottom = max(0, int(centre_y - reach)), min(height, int(centre_y + reach) + 1)
    left, right = max(0, int(centre_x - reach)), min(width, int(centre_x + reach) + 1)
    y = np.arange(top, bottom)[:, None] - centre_y
    x = np.arange(left, right)[None, :] - centre_x
    along = (np.cos(angle) * x + np.sin(angle) * y) / radius
    across = (np.cos(angle) * y - np.sin(angle) * x) / (radius * aspect)
    distance = (np.abs(along) ** power + np.abs(across) ** power) ** (1 / power)
    cover = np.clip((1 - distance) * radius * aspect / softness + 0.5, 0, 1)[..., None]

    leaf = colour + grain * _COLOUR_DEVIATIONS * texture[top:bottom, left:right]
    leaf[..., 0] += tilt[0] * along + tilt[1] * across
    patch = image[top:bottom, left:right]
    patch += cover * (leaf - patch)
