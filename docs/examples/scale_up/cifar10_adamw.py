"""A small convolutional network on CIFAR-10 at 16x16 with AdamW and cosine."""

import keras

import keras_lbreg as lbreg

data = lbreg.load_dataset("cifar10")


def halved(images):
    """The means of squares of 2x2 pixels."""
    means = images.reshape(-1, 16, 2, 16, 2, 3).mean((2, 4), dtype="float32")
    return means.round().astype("uint8")


def build_model():
    layers = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255)]
    for width in (16, 32, 64):
        layers += [
            keras.layers.Conv2D(width, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.AdamW(2e-3, weight_decay=0.01)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


workload = lbreg.Workload(
    build_model,
    train_data=(halved(data.x_train), data.y_train),
    validation_data=(halved(data.x_val), data.y_val),
    regime=lbreg.Regime(64, 2e-3, epochs=8, decay="cosine"),
    augmentation=lbreg.data.Augmentation(pad=2, flip=True),
    name="cifar10_adamw",
    batch_size=2048,
)
