"""Synthetic images, their normalisation, and their random augmentation in each epoch.

None of this is in docs/arithmetic.md; it follows naschain-train/src/batches.rs and drop_path.rs.
"""

import math

import numpy as np
from streams import Stream


def synthetic(count, channels, height, width):
    """Pixels and labels of the self-test's data set."""
    stream = Stream(1, "simulation", 0, 0)
    pixels = [stream.below(256) for _ in range(count * channels * height * width)]
    pixels = np.array(pixels, np.uint8).reshape(count, channels, height, width)
    return pixels, np.arange(count, dtype=np.int32) % 10


def normalisation(pixels):
    """For each channel, the normalised value of each of the 256 pixel values."""
    tables = []
    for channel in range(pixels.shape[1]):
        values = pixels[:, channel].astype(np.int64)
        mean = int(values.sum()) / values.size
        variance = int((values * values).sum()) / values.size - mean * mean
        deviation = math.sqrt(max(variance, 0.0))
        tables.append(np.array([(v - mean) / deviation for v in range(256)], np.float32))
    return tables


def augmented(image, tables, recipe, epoch, index):
    """Image number `index` with the random augmentation of `epoch`, as float32."""
    stream = Stream(recipe.seed, "augmentation", epoch, index)
    _, height, width = image.shape
    padding, side = recipe.crop_padding, recipe.cutout
    shift_y = shift_x = 0
    if padding > 0:
        shift_y = stream.below(2 * padding + 1) - padding
        shift_x = stream.below(2 * padding + 1) - padding
    mirrored = recipe.horizontal_flip and stream.below(2) == 1
    around = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    top, left = padding + shift_y, padding + shift_x
    cropped = around[:, top : top + height, left : left + width]
    if mirrored:
        cropped = cropped[:, :, ::-1]
    numbers = np.stack([table[plane] for table, plane in zip(tables, cropped)])
    if side > 0:
        y = stream.below(height) - side // 2
        x = stream.below(width) - side // 2
        numbers[:, max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)] = 0
    return numbers


def batch(pixels, tables, recipe, epoch, indices):
    images = [augmented(pixels[i], tables, recipe, epoch, i) for i in indices]
    return np.ascontiguousarray(np.stack(images))


def drop_path_factors(paths, recipe, epoch, indices):
    """For each path one factor per image; empty if the probability is 0."""
    probability = recipe.drop_path * (epoch - 1) / recipe.epochs
    if probability == 0:
        return {}
    kept = np.float32(1 / (1 - probability))
    factors = {path: np.full(len(indices), np.nan, np.float32) for path in paths}
    for place, index in enumerate(indices):
        stream = Stream(recipe.seed, "drop-path", epoch, index)
        for path in paths:
            factors[path][place] = 0 if stream.unit_f64() < probability else kept
    return factors
