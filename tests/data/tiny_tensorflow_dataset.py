"""Prepared datasets of a few made-up images, written by TensorFlow Datasets."""

import contextlib
import io

import numpy as np


def write_dataset(folder, name, splits, classes, shape, fmt=None, sides=None):
    """Prepare a dataset under `folder`; the network is not asked.

    Sample `i` of all is labelled `i mod classes`; its images are smooth, so
    that resizing is not decided by noise.

    Args:
        folder: The data folder.
        name: Name of the dataset.
        splits: Number of samples by split.
        classes: Number of classes.
        shape: Shape of the images, `(None, None, 3)` where they differ.
        fmt: How they are stored, `"png"` or `"jpeg"`.
        sides: Where they differ, the heights and widths to go round in.

    Returns:
        Images and labels by split, as they were handed over.
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    samples = {}
    number = 0
    for split, count in splits.items():
        samples[split] = []
        for _ in range(count):
            size = shape[:2] if sides is None else sides[number % len(sides)]
            image = smooth_image(number, *size)
            samples[split].append((image, number % classes))
            number += 1

    # A builder is registered by its class's name, which exists already.
    with tfds.core.registered.skip_registration():

        class Builder(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.2.3")

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    description="Made up.",
                    features=tfds.features.FeaturesDict(
                        {
                            "image": tfds.features.Image(
                                shape=shape, encoding_format=fmt
                            ),
                            "label": tfds.features.ClassLabel(
                                num_classes=classes
                            ),
                        }
                    ),
                    supervised_keys=("image", "label"),
                    disable_shuffling=True,
                )

            def _split_generators(self, dl_manager):
                return {
                    split: self._generate_examples(split) for split in splits
                }

            def _generate_examples(self, split):
                for key, (image, label) in enumerate(samples[split]):
                    yield key, {"image": image, "label": label}

        Builder.name = name
        builder = Builder(data_dir=folder)
        # Two files a split: reading has to keep their order.
        config = tfds.download.DownloadConfig(num_shards=2)
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=config)
    return samples


def smooth_image(number, height, width):
    """Waves in the three channels, other ones for every number."""
    y, x = np.mgrid[0:height, 0:width]
    phases = np.array([0.0, 1.0, 2.0]) + number
    waves = np.sin((x + 2 * y)[..., np.newaxis] / 9 + phases)
    return np.uint8(128 + 100 * waves)
