"""Hoffer et al.'s F1, five layers of 512 units, on MNIST with SGD."""

import keras

import keras_lbreg as lbreg

data = lbreg.load_dataset("mnist")


def build_model():
    layers = [
        keras.Input((28, 28, 1)),
        keras.layers.Rescaling(1 / 127.5, offset=-1),
        keras.layers.Flatten(),
    ]
    for _ in range(5):
        layers += [
            keras.layers.Dense(512, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


workload = lbreg.Workload(
    build_model,
    train_data=(data.x_train, data.y_train),
    validation_data=(data.x_val, data.y_val),
    regime=lbreg.Regime(128, 0.1, epochs=10, milestones={6: 0.01, 8: 0.001}),
    name="mnist_f1",
    batch_size=4096,
)
