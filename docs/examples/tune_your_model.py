"""Searches for what makes this network train well with a batch of 256."""

import keras
import keras_tuner

import keras_lbreg as lbreg

data = lbreg.data.load_dataset("digits")


def build_model():
    model = keras.Sequential(
        [
            keras.Input(data.x_train.shape[1:]),
            keras.layers.Conv2D(32, 3, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


hypermodel = lbreg.tuning.LargeBatchHyperModel(
    build_model,
    batch_sizes=[256],
    techniques=["lr_scaling", "ghost_batch_norm", "dreg"],
    # How it is trained with its usual batch of 16.
    regime=lbreg.Regime(16, 0.02, epochs=5, milestones={4: 0.002}),
)
tuner = keras_tuner.RandomSearch(
    hypermodel,
    "val_accuracy",
    max_trials=3,
    executions_per_trial=2,
    seed=1,
    directory="search",
)
tuner.search(
    data.x_train,
    data.y_train,
    validation_data=(data.x_val, data.y_val),
    verbose=0,
)

for trial in lbreg.tuning.read_trials(tuner.project_dir, "val_accuracy"):
    accuracy = trial.stat
    print(f"trial {trial.trial_id}: {accuracy.mean:.4f} ± {accuracy.std:.4f}")
print(tuner.get_best_hyperparameters()[0].values)
model = hypermodel.export(tuner.get_best_models()[0])
model.save("tuned.keras")
