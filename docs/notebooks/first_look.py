"""
# A first look: one model, batch 16 and batch 512

For everyone who trains a Keras model with a small batch and wants a larger one.
It shows the gap on a small network, what narrows it, and how to measure that on
a model of your own. It needs no download, and half a minute on two cores.
"""

import keras

import keras_lbreg as lbreg

"""
## A model that trains well

scikit-learn's 8x8 digits, a convolution with batch normalization, SGD with
momentum. Batch size 16 and a learning rate of 0.02 are good values for it.
"""

data = lbreg.data.load_dataset("digits")
validation = (data.x_val, data.y_val)


def build_model(learning_rate=0.02):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Conv2D(16, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    sgd = keras.optimizers.SGD(learning_rate, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


"""
After training, the model is judged with normalization statistics that are
estimated anew on training data. Its moving averages lag behind where updates
are few, and a large batch makes few: without that step the gap would look wider
than it is.
"""


def train(model, batch_size, epochs=5):
    model.fit(
        data.x_train,
        data.y_train,
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
    )
    lbreg.reestimate_batch_norm(model, data.x_train)
    return model.evaluate(*validation, verbose=0, return_dict=True)["accuracy"]


keras.utils.set_random_seed(0)
results = {"batch 16": train(build_model(), 16)}

"""
## The large batch as it is

Batch 512 makes 10 updates in the 5 epochs in which batch 16 makes 320.
"""

keras.utils.set_random_seed(0)
results["batch 512"] = train(build_model(), 512)

"""
## A larger learning rate

The first thing to change costs nothing: the square-root rule of Hoffer et al.
2017.
"""

rate = lbreg.scale_learning_rate(0.02, base_batch=16, batch=512)
print(f"learning rate {rate:.4f}")

keras.utils.set_random_seed(0)
results["and the scaled rate"] = train(build_model(rate), 512)

"""
## Ghost batches and gradient noise

Ghost batch normalization takes the place of the model's own layer, in one call;
gradient noise is a wrapper around the optimizer. `compile` comes after the
surgery, so the changed model is compiled anew.
"""

keras.utils.set_random_seed(0)
plain = build_model(rate)
model = lbreg.apply_ghost_batch_norm(plain, ghost_batch_size=32)
model.compile(
    lbreg.GradientNoise(keras.optimizers.SGD(rate, momentum=0.9), seed=1),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
results["and ghosts and noise"] = train(model, 512)

for name, accuracy in results.items():
    print(f"{name:22} {accuracy:.3f}")

"""
The trained model without ghosts is a plain Keras model with the same
predictions:
"""

model = lbreg.strip_ghost_batch_norm(model)
print([type(layer).__name__ for layer in model.layers])

"""
## Is it luck?

One seed does not tell. `compare` trains each arm with several seeds, takes the
differences seed by seed, and says which of them are beyond chance. It asks for
a *workload*: the function that builds the compiled model, the data, and how you
train with the small batch. Three arms, two seeds and five epochs keep this
page fast: leave out `arms` and `seeds` for all arms that fit and three seeds.
"""

workload = lbreg.Workload(
    build_model,
    train_data=(data.x_train, data.y_train),
    validation_data=validation,
    regime=lbreg.Regime(16, 0.02, epochs=5),
    batch_size=512,
    name="first_look",
)
comparison = lbreg.compare(
    workload,
    arms=["small_batch", "large_batch", "lr"],
    seeds=2,
    progress=False,
    report=False,
)
print(comparison)

"""
Without `report=False` it writes a page with plots, `comparison.report_path`.
Next: the same [on your model](../index.md), or `lbreg.scale_up(workload)`,
which searches the learning rate and keeps only those techniques that help
([guide](../scaling.md)).
"""
