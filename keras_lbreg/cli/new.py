"""`lbreg new`: a workload to begin with."""

import pathlib
import re

from keras_lbreg.cli import options
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.files import write_file
from keras_lbreg.formatting import make_console

TEMPLATE = '''"""A workload: a model, its data, and how it is trained today.

    lbreg compare {name} --seeds 1 --arms small_batch,large_batch,lr,lr_gbn
    lbreg compare {name}    # all arms with three seeds, which tell more
    lbreg tune {name}       # search for good settings
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_lbreg as lbreg


def build_model():
    """Returns a new, compiled model, Functional or Sequential: yours."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(16, 3, use_bias=False)(inputs)
    # Ghost batch normalization takes the place of this one.
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(32, activation="relu")(x)
    outputs = keras.layers.Dense(10)(x)
    model = keras.Model(inputs, outputs)
    model.compile(
        # The learning rate comes from the regime below.
        optimizer=keras.optimizers.Adam(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # The first metric is what is compared, on the validation data.
        metrics=["accuracy"],
    )
    return model


# Arrays, or structures of arrays for several inputs and outputs; a
# `tf.data.Dataset`; or a function that returns one of these.
images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
order = np.random.default_rng(0).permutation(len(images))
train, validation = order[:1280], order[1280:]

workload = lbreg.Workload(
    build_model,
    train_data=(images[train], labels[train]),
    validation_data=(images[validation], labels[validation]),
    # How you train with a small batch: its size, learning rate and epochs.
    regime=lbreg.Regime(16, 1e-3, epochs=5, decay="cosine"),
    # Results go to the folder runs/{stem}.
    name="{stem}",
    # The large batch that you would like to use.
    batch_size=256,
    # Settings of techniques that suit the model; `lbreg arms` lists all.
    techniques={{"ghost_batch_norm": {{"ghost_batch_size": 16}}}},
)
'''


@report_errors
def new(
    file: options.argument(str, "FILE.py", "File to write.") = "train.py",
    debug: options.Debug = False,
):
    """
    Write a workload to begin with: a Python file that runs as it is.

    Put your model, your data and your learning rate in the place of its own.

    **Examples**

    ```shell
    lbreg new train.py
    lbreg compare train.py --seeds 1 --arms small_batch,large_batch,lr,lr_gbn
    ```
    """
    path = pathlib.Path(file)
    if path.suffix != ".py":
        raise ValueError(
            "Invalid value for argument `FILE.py`. Expected a file name that "
            f"ends in .py. Received: {file!r}"
        )
    if path.exists():
        raise ValueError(
            f"{file} exists, and nothing is written over it. Expected another "
            "name."
        )
    stem = re.sub(r"[^\w.+-]", "_", path.stem)
    write_file(path, TEMPLATE.format(name=path.name, stem=stem))
    make_console().print(
        f"Wrote {file}. Next, in less than a minute:\nlbreg compare {file} "
        "--seeds 1 --arms small_batch,large_batch,lr,lr_gbn",
        soft_wrap=True,
    )
