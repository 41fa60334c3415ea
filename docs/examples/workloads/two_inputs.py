"""Regression on a table with two inputs, as `diabetes` of scikit-learn."""

import keras
from sklearn.datasets import load_diabetes

import keras_lbreg as lbreg

x, y = load_diabetes(return_X_y=True)
y = (y - y.mean()) / y.std()
inputs = {"person": x[:, :4], "blood": x[:, 4:]}


def rows(part):
    return {name: values[part] for name, values in inputs.items()}, y[part]


def build_model():
    person = keras.Input((4,), name="person")
    blood = keras.Input((6,), name="blood")
    hidden = keras.layers.Concatenate()(
        [keras.layers.Dense(16, activation="relu")(i) for i in (person, blood)]
    )
    outputs = keras.layers.Dense(1)(hidden)
    model = keras.Model({"person": person, "blood": blood}, outputs)
    model.compile(keras.optimizers.Adam(), "mse")
    return model


workload = lbreg.Workload(
    build_model,
    train_data=rows(slice(0, 320)),
    validation_data=rows(slice(320, None)),
    regime=lbreg.Regime(8, 3e-3, epochs=10),
    name="two_inputs",
    batch_size=160,
)
