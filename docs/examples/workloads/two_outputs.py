"""A network with two outputs and `loss_weights`, on 8x8 digits."""

import keras

import keras_lbreg as lbreg

data = lbreg.data.load_dataset("digits")


def targets(labels):
    return {"digit": labels, "even": (labels % 2 == 0).astype("float32")}


def build_model():
    images = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 16)(images))
    x = keras.layers.Dense(64, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    digit = keras.layers.Dense(10, activation="softmax", name="digit")(x)
    even = keras.layers.Dense(1, activation="sigmoid", name="even")(x)
    model = keras.Model(images, {"digit": digit, "even": even})
    model.compile(
        keras.optimizers.SGD(momentum=0.9),
        {
            "digit": "sparse_categorical_crossentropy",
            "even": "binary_crossentropy",
        },
        loss_weights={"digit": 1.0, "even": 0.5},
        metrics={"digit": "accuracy", "even": "accuracy"},
    )
    return model


workload = lbreg.Workload(
    build_model,
    train_data=(data.x_train, targets(data.y_train)),
    validation_data=(data.x_val, targets(data.y_val)),
    regime=lbreg.Regime(16, 0.02, epochs=5),
    name="two_outputs",
    batch_size=256,
)
