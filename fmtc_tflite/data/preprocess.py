"""From pixels to the tensor that a model's input expects.

Exact by definition, since accuracy depends on it: a central crop is a float box handed to `PIL.Image.crop` (which
rounds it), a resize is PIL's antialiased `BILINEAR`, and each 8-bit pixel then goes through a table of 256 values.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fmtc_tflite.errors import CalibrationError, UsageError

MODES = ("raw", "tf", "torch")

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_RAW_RANGES = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0))
_RANGE_TOLERANCE = 0.05  # of the range's width: calibrated ranges are never exact
_IMAGE_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by the number of channels
_LEAST_CHANNELS_FIRST_SIDE = 16  # [1, 4, 1, 16] is no image of four channels
_MODE_HELP = "--preprocessing raw (pixels as they are), tf (x/127.5 - 1) or torch ((x/255 - mean)/std)"


@dataclass(frozen=True)
class InputSpec:
    """What one input of a model expects.

    Attributes:
      name: Name of the input's tensor.
      shape: Static shape, batch first.
      dtype: Type of the tensor.
      scale: Quantization scale. Of a float input: that of the QUANTIZE op that reads it, None without one.
      zero_point: Zero point that goes with `scale`. Of a float input: on the uint8 grid, whatever QUANTIZE's type.
      aliases: Other names by which data may call this input (those of the model's signatures).
      is_transposed: The model moves the second axis to the end, as it does with images in PyTorch's layout.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float | None = None
    zero_point: int | None = None
    aliases: tuple[str, ...] = ()
    is_transposed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))

    @property
    def item_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch dimension."""
        return self.shape[1:]

    @property
    def is_float(self) -> bool:
        return self.dtype.kind == "f"

    @property
    def is_8_bit(self) -> bool:
        return self.dtype in (np.int8, np.uint8)

    @property
    def is_channels_first(self) -> bool:
        """Whether the input is an image [N, channels, H, W], as PyTorch has it.

        Where the shape alone leaves it open, it is taken for [N, H, W, channels].
        """
        if len(self.shape) != 4 or self.shape[1] not in _IMAGE_MODES:
            return False
        if self.is_transposed:
            return True
        return self.shape[3] not in _IMAGE_MODES and min(self.shape[2:]) >= _LEAST_CHANNELS_FIRST_SIDE

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """Height, width and channels if the input is an image in either layout, of 8 bits or float; else None."""
        if len(self.shape) != 4 or not (self.is_float or self.is_8_bit):
            return None
        if self.is_channels_first:
            channels, height, width = self.shape[1:]
            return height, width, channels
        return self.shape[1:] if self.shape[3] in _IMAGE_MODES else None

    @property
    def takes_pixels(self) -> bool:
        """Whether the input has the shape and type of an image: [N, H, W, 1, 3 or 4], or with the channels first."""
        return self.image_shape is not None

    @property
    def quantization(self) -> tuple[float, int] | None:
        """Scale and zero point, or None if the input has none."""
        if self.scale is None or self.zero_point is None or not self.scale > 0:
            return None
        return self.scale, self.zero_point

    @property
    def real_range(self) -> tuple[float, float] | None:
        """The real values of the 8-bit grid's ends, or None if the quantization is unknown."""
        if self.quantization is None:
            return None
        scale, zero_point = self.quantization
        lowest = -128 if self.dtype == np.int8 else 0
        return (lowest - zero_point) * scale, (lowest + 255 - zero_point) * scale

    @property
    def takes_real_values(self) -> bool:
        """Whether real values can be brought to the input's type: it is quantized, with one scale."""
        return not self.is_float and self.dtype.kind in "iu" and self.quantization is not None

    def layouts(self) -> tuple[tuple[int, ...], ...]:
        """Shapes that a sample may have: the input's own, and of an image the other layout and without a channel."""
        own = self.item_shape
        if self.image_shape is None:
            return (own, own[:2]) if len(own) == 3 and own[2] == 1 else (own,)
        height, width, channels = self.image_shape
        plane = ((height, width),) if channels == 1 else ()
        return (*dict.fromkeys((own, (height, width, channels), (channels, height, width))), *plane)

    def laid_out(self, item: np.ndarray) -> np.ndarray:
        """A sample of one of the `layouts` in the input's own."""
        if self.image_shape is not None and item.shape != self.item_shape:
            height, width, channels = self.image_shape
            if item.shape == (height, width, channels):
                item = np.moveaxis(item, 2, 0)
            elif item.shape == (channels, height, width):
                item = np.moveaxis(item, 0, 2)
        return item.reshape(self.item_shape)

    def __str__(self) -> str:
        return f"input '{self.name}' ({self.dtype.name} {list(self.shape)})"


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become a model's input; None stands for "not given".

    Attributes:
      mode: `raw`: q = pixel for uint8 and pixel - 128 for int8 inputs, whatever the scale; float inputs get the real
        value of that q if a QUANTIZE reads them, otherwise the pixel itself. `tf`: x/127.5 - 1. `torch`:
        (x/255 - mean)/std with ImageNet's mean and deviation, three channels. Both are then quantized with the
        input's scale and zero point. None: `raw`, provided the input's range is about [0,255], [0,1] or [-1,1].
      resize: (H, W) that pixels are resized to; must be the model's. Image files are always resized to the
        model's size, arrays only if this is given.
      central_crop: Side of the central square that is kept, as a fraction (0, 1] of the shorter side.
    """

    mode: str | None = None
    resize: tuple[int, int] | None = None
    central_crop: float | None = None

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in MODES:
            raise UsageError(f"--preprocessing: got '{self.mode}', expected one of {', '.join(MODES)}")
        if self.central_crop is not None and not 0 < self.central_crop <= 1:
            raise UsageError(f"--central_crop: got {self.central_crop}, expected a fraction in (0, 1]; e.g. 0.875")
        if self.resize is not None and (len(self.resize) != 2 or min(self.resize) < 1):
            raise UsageError(f"--resize: got {self.resize}, expected two positive numbers, height and width")

    @property
    def moves_pixels(self) -> bool:
        """Whether a crop or a resize was asked for."""
        return self.resize is not None or self.central_crop is not None

    def check(self, spec: InputSpec) -> None:
        """Raises UsageError if pixels cannot be turned into this input with these settings."""
        pixel_table(self._mode_for(spec), spec)
        if self.moves_pixels and not spec.takes_pixels:
            raise UsageError(f"--resize and --central_crop: {spec} is no image; drop the flags")
        if self.resize is not None and spec.image_shape is not None and tuple(self.resize) != spec.image_shape[:2]:
            height, width, _ = spec.image_shape
            raise UsageError(
                f"--resize: got {self.resize[0]}x{self.resize[1]}, but {spec} needs {height}x{width}; "
                "drop the flag or give that size"
            )

    def apply(self, image: Image.Image | np.ndarray, spec: InputSpec) -> np.ndarray:
        """Turns one image into one item of an input.

        Args:
          image: A PIL image of any 8-bit mode and size, or uint8 pixels [H, W, C] or [C, H, W] ([H, W] for one
            channel). An array that already has the input's height and width is neither cropped nor resized unless
            asked for.
          spec: The input.

        Returns:
          Array of the input's item shape, [H, W, C] or [C, H, W], and dtype.

        Raises:
          CalibrationError: pixels of another type, or of another size without --resize.
          UsageError: settings that do not fit the input.
        """
        table = pixel_table(self._mode_for(spec), spec)
        if isinstance(image, Image.Image):
            pixels = np.asarray(self._crop_and_resize(_converted(image, spec), spec))
        else:
            pixels = self._array_pixels(image, spec)
        if table.shape[1] == 1:
            values = table[:, 0][pixels]
        else:
            values = table[pixels.reshape(spec.image_shape or ()), np.arange(table.shape[1])]
        if spec.image_shape is not None and spec.is_channels_first:
            values = np.moveaxis(values.reshape(spec.image_shape), 2, 0)
        return values.reshape(spec.item_shape)

    def apply_to_labels(self, label_map: Image.Image, size: tuple[int, int]) -> np.ndarray:
        """A label map cropped as its image and brought to (H, W) by nearest neighbour: integers [H, W].

        Raises:
          CalibrationError: an image with more than one channel.
        """
        if label_map.mode not in ("1", "L", "P", "I", "I;16"):
            raise CalibrationError(f"got a label map of mode {label_map.mode}, expected one channel of class numbers")
        height, width = size
        if self.central_crop is not None:
            label_map = label_map.crop(self._crop_box(label_map))
        return np.asarray(label_map.resize((width, height), Image.Resampling.NEAREST), dtype=np.int64)

    def _mode_for(self, spec: InputSpec) -> str:
        if self.mode is not None:
            return self.mode
        if spec.real_range is None:
            if spec.is_float:
                raise UsageError(f"{spec}: the range of its values is unknown; give {_MODE_HELP}")
            return "raw"
        if not any(_about_equal(spec.real_range, known) for known in _RAW_RANGES):
            low, high = spec.real_range
            raise UsageError(
                f"{spec}: its real range is [{low:.4g}, {high:.4g}], expected about [0, 255], [0, 1] or [-1, 1]; "
                f"say how pixels become that: give {_MODE_HELP}"
            )
        return "raw"

    def _array_pixels(self, pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
        """Pixels of an array in the shape [H, W, C], whatever the layouts; of an input that is no image as they are."""
        if pixels.dtype != np.uint8:
            raise CalibrationError(f"{spec}: got pixels of type {pixels.dtype}, expected uint8")
        same_size = pixels.shape in spec.layouts()
        if same_size and self.central_crop is None:
            return _channels_last(pixels, spec)
        if not same_size and self.resize is None:
            raise CalibrationError(
                f"{spec}: got pixels of shape {list(pixels.shape)}, expected {list(spec.item_shape)}; "
                "give --resize HxW to have arrays resized"
            )
        pixels = _channels_last(pixels, spec)
        if spec.image_shape is None or pixels.ndim != 3 or pixels.shape[2] != spec.image_shape[2]:
            raise CalibrationError(f"{spec}: cannot crop or resize an array of shape {list(pixels.shape)} to it")
        if pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        return np.asarray(self._crop_and_resize(Image.fromarray(np.ascontiguousarray(pixels)), spec))

    def _crop_and_resize(self, image: Image.Image, spec: InputSpec) -> Image.Image:
        if self.central_crop is not None:
            image = image.crop(self._crop_box(image))
        assert spec.image_shape is not None
        height, width = self.resize or spec.image_shape[:2]
        return image.resize((width, height), Image.Resampling.BILINEAR)

    def _crop_box(self, image: Image.Image) -> tuple[float, float, float, float]:
        width, height = image.size
        side = (self.central_crop or 1.0) * min(width, height)
        return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


@functools.lru_cache(maxsize=32)
def pixel_table(mode: str, spec: InputSpec) -> np.ndarray:
    """The input's value for each 8-bit pixel value.

    Args:
      mode: `raw`, `tf` or `torch`.
      spec: The input; rank 4 for `torch`.

    Returns:
      Read-only array [256, channels], or [256, 1] if all channels are alike, of the input's dtype.

    Raises:
      UsageError: `torch` for other than three channels; `tf` or `torch` for an input without quantization; any mode
        for an input that is neither float nor of 8 bits.
    """
    if not (spec.is_float or spec.is_8_bit):
        raise UsageError(f"{spec}: pixels fit int8, uint8 and float inputs only; give arrays of its own type")
    pixels = np.arange(256, dtype=np.float64)[:, None]
    if mode == "raw":
        table = _raw_table(pixels, spec)
    elif mode == "tf":
        table = quantize_real(pixels / 127.5 - 1.0, spec)
    else:
        if spec.image_shape is None or spec.image_shape[2] != 3:
            raise UsageError(f"--preprocessing torch: needs three channels, got {spec}; use raw or tf")
        table = quantize_real((pixels / 255.0 - np.array(_IMAGENET_MEAN)) / np.array(_IMAGENET_STD), spec)
    table = table.astype(spec.dtype)
    table.setflags(write=False)
    return table


def _raw_table(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    if spec.is_float and spec.quantization is not None:
        scale, zero_point = spec.quantization
        return (pixels - zero_point) * scale
    return pixels - 128 if spec.dtype == np.int8 else pixels


def quantize_real(real: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Real values on the input's grid, rounding halves away from zero as TFLite's QUANTIZE does (given float32)."""
    if spec.is_float:
        return real
    if spec.quantization is None:
        raise UsageError(f"{spec}: has no quantization to apply --preprocessing tf or torch with; use raw")
    scale, zero_point = spec.quantization
    scaled = real / scale
    rounded = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)
    limits = np.iinfo(spec.dtype)
    return np.clip(rounded + zero_point, limits.min, limits.max)


def _converted(image: Image.Image, spec: InputSpec) -> Image.Image:
    if spec.image_shape is None:
        raise CalibrationError(f"{spec}: is no image; give arrays of its shape in a .npz file")
    if image.mode.startswith("I") or image.mode == "F":
        raise CalibrationError(f"got an image of mode {image.mode}, expected 8 bits a channel; convert it first")
    return image.convert(_IMAGE_MODES[spec.image_shape[2]])


def _channels_last(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """An image's array as [H, W, C]; that of an input that is no image as it is."""
    if spec.image_shape is None:
        return pixels
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if pixels.ndim != 3:
        return pixels
    channel_axis = 0 if spec.is_channels_first else 2
    if pixels.shape in spec.layouts():
        is_own = pixels.shape == spec.item_shape
    else:  # of another size
        is_own = pixels.shape[channel_axis] == spec.image_shape[2]
    is_first = spec.is_channels_first == is_own
    return np.moveaxis(pixels, 0, 2) if is_first else pixels


def _about_equal(actual: tuple[float, float], known: tuple[float, float]) -> bool:
    tolerance = _RANGE_TOLERANCE * (known[1] - known[0])
    return abs(actual[0] - known[0]) <= tolerance and abs(actual[1] - known[1]) <= tolerance
