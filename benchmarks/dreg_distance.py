"""How far the two kernels of DReg part in 600 steps.

    python benchmarks/dreg_distance.py               # the penalty alone
    python benchmarks/dreg_distance.py --with-loss   # in a small network

prints the tables of docs/methods/dreg.md. Both start from ‖D‖ = .01 ‖W_R‖ with
D = W_R − W_L and train by SGD with momentum .9.

The gradient of the penalty alone is a combination of W_R and W_L, and so is
every step: the pair stays in a plane. In an orthogonal basis of it two
coordinates a kernel are exact, and the ratio ‖D‖/‖W_R‖ does not depend on the
size of the kernel.
"""

import argparse

import numpy as np

STEPS = (30, 100, 300, 600)
MOMENTUM = 0.9
WEIGHTS = (0.1, 0.01, 0.001)
RATES = (0.1, 0.01)
DECAYS = (0.0, 5e-4)
# Half of n_0 of a 3x3 kernel of He's initializer, ‖W‖² = 2 x filters.
SQUARES = {"3x3x64x64": 128.0, "3x3x512x512": 1024.0}


def penalty_alone(
    distance, weight, rate, decay=0.0, first=0.01, steps=STEPS[-1]
):
    """‖W_R − W_L‖ / ‖W_R‖ after each step, and ‖W_R‖ / ‖W_R at first‖.

    `decay` is the factor of a coupled weight decay, decay * W in the gradient.
    """
    right, left = np.array([1.0, 0.0]), np.array([1.0, first])
    start = right @ right + left @ left
    velocities = [np.zeros(2), np.zeros(2)]
    ratios, norms = [], []
    for _ in range(steps):
        difference, size = right - left, right @ right + left @ left
        if distance == "frobenius":
            away, pull = 1.0, 0.0
        else:
            away = start / size
            pull = start * (difference @ difference) / size**2
        gradients = (
            -2 * weight * (away * difference - pull * right) + decay * right,
            2 * weight * (away * difference + pull * left) + decay * left,
        )
        velocities = [
            MOMENTUM * v - rate * g
            for v, g in zip(velocities, gradients, strict=True)
        ]
        right, left = right + velocities[0], left + velocities[1]
        norms.append(np.linalg.norm(right))
        ratios.append(np.linalg.norm(right - left) / norms[-1])
    return np.array(ratios), np.array(norms)


def with_loss(distance, weight, rate, decay=0.0, seed=0):
    """The same in a network on digits: ratios, norms, validation accuracy.

    conv 3x3x1x64, stride 2 - 3x3x64x64 (doubled) - batch norm - top, batches of
    128; `weight` None is the network without DReg.
    """
    import keras

    import keras_lbreg as lbreg

    keras.utils.set_random_seed(seed)
    data = lbreg.data.load_dataset("digits")
    x, y = data.x_train.astype("float32") / 16, data.y_train
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Conv2D(64, 3, 2, "same", activation="relu"),
            layers.Conv2D(
                64,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name="conv",
            ),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    if weight is not None:
        model = lbreg.apply_dreg(
            model, "conv", weight=weight, distance=distance, seed=seed
        )
    optimizer = keras.optimizers.SGD(rate, MOMENTUM)
    if decay:
        optimizer = lbreg.CoupledSGD(rate, MOMENTUM, weight_decay=decay)
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    train, held_out = (x[:-400], y[:-400]), (x[-400:], y[-400:])
    rng = np.random.default_rng(seed)
    ratios, norms = [], []
    for step in range(STEPS[-1]):
        if step % (len(train[0]) // 128) == 0:
            order = rng.permutation(len(train[0]))
        rows, order = order[:128], order[128:]
        model.train_on_batch(train[0][rows], train[1][rows])
        right = kernel = np.array(model.get_layer("conv").kernel)
        if weight is not None:
            kernel = np.array(model.get_layer("conv").kernel_left)
        norms.append(np.linalg.norm(right))
        ratios.append(np.linalg.norm(right - kernel) / norms[-1])
    accuracy = model.evaluate(*held_out, verbose=0)[1]
    return np.array(ratios), np.array(norms) / norms[0], accuracy


def row(name, ratios, norms, *more):
    values = [f"{ratios[step - 1]:.2g}" for step in STEPS]
    return " | ".join(["", *name, *values, f"{norms[-1]:.2g}", *more, ""])


def settings():
    for distance in ("frobenius", "bounded"):
        for decay in DECAYS:
            for rate in RATES:
                for weight in WEIGHTS:
                    yield distance, weight, rate, decay


def table(header, rows):
    columns = ["distance", "lambda", "rate", "decay"]
    columns += [f"{step} steps" for step in STEPS] + header
    print("| " + " | ".join(columns) + " |")
    print("| " + " | ".join(["---"] * len(columns)) + " |")
    for line in rows:
        print(line.strip(" "), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--with-loss", action="store_true")
    if parser.parse_args().with_loss:
        rows = (
            row(
                [s[0], f"{s[1]:g}", f"{s[2]:g}", f"{s[3]:g}"],
                *found[:2],
                f"{found[2]:.3f}",
            )
            for s, found in ((s, with_loss(*s)) for s in settings())
        )
        table(["norm of W_R", "held-out accuracy"], rows)
        for rate in (0.1, 0.2, 0.01, 0.02):
            found = with_loss("bounded", None, rate)
            print(f"without DReg, rate {rate:g}: {found[2]:.3f}", flush=True)
        return
    rows = [
        row([s[0], f"{s[1]:g}", f"{s[2]:g}", f"{s[3]:g}"], *penalty_alone(*s))
        for s in settings()
    ]
    rows += [
        row(
            [f"bare ratio, {name}", "0.1", f"{rate:g}", "0"],
            *penalty_alone("bounded", 0.1 / (2 * square), rate),
        )
        for name, square in SQUARES.items()
        for rate in RATES
    ]
    table(["norm of W_R"], rows)


if __name__ == "__main__":
    main()
