"""Ghost batch normalization: one layer's forward and backward pass.

Against Keras's layer, a loop of Keras's layer over the ghosts, and PyTorch's
layer with its own loop (Composer's algorithm), where PyTorch is installed.
Moving statistics are updated; the result is the gradient.
"""

import functools
import importlib.util
import itertools

from benchmarks.harness import Case, Step

# Shape, ghost batch size.
SHAPES = [
    ((1024, 16, 16, 64), 128),
    ((512, 7, 7, 512), 64),
    ((4096, 512), 128),
    ((1024, 256), 64),
    # No multiple: the last ghost is larger.
    ((1000, 256), 64),
]
GHOSTS = (16, 32, 64, 128, 256, 512)
BATCHES = (256, 512, 1024, 2048, 4096, 8192)
IMAGE, VECTOR = (8, 8, 64), (512,)
# A loop over more is unrolled into a graph that takes minutes to compile.
MOST_CHUNKS = 32


def cases(backend, quick):
    modes = ["graph", "xla"] if backend == "tensorflow" else ["jit"]
    if quick:
        small = {"shape": (64, 4, 4, 8), "ghosts": 16}
        more = [{}, {"axis": 1}, {"dtype": "bfloat16"}, {"shape": (70, 32)}]
        return [
            make_case(mode=mode, **small | settings)
            for settings in more
            for mode in modes
        ]
    grid = [
        {"shape": shape, "ghosts": ghosts, "mode": mode} | more
        for shape, ghosts in SHAPES
        for mode in modes
        for more in (
            {},
            {"static": False},
            {"dtype": "bfloat16"},
            {"axis": 1},
        )
        if backend == "tensorflow" or "static" not in more
        if len(shape) == 4 or "axis" not in more
    ]
    for mode, sample in itertools.product(modes, (IMAGE, VECTOR)):
        grid += [
            {"shape": (4096, *sample), "ghosts": ghosts, "mode": mode}
            for ghosts in GHOSTS
        ]
        grid += [
            {"shape": (batch, *sample), "ghosts": 128, "mode": mode}
            for batch in BATCHES
        ]
    made = [make_case(**settings) for settings in grid]
    return list({case.name: case for case in made}.values())


def make_case(shape, ghosts, mode, static=True, dtype="float32", axis=-1):
    if axis == 1:
        shape = (shape[0], shape[-1], *shape[1:-1])
    settings = {
        "shape": shape,
        "ghosts": ghosts,
        "mode": mode,
        "static": static,
        "dtype": dtype,
        "axis": axis,
    }
    names = ["keras", "ghost"]
    count, rest = divmod(shape[0], ghosts)
    if not rest and count <= MOST_CHUNKS:
        names.append("chunks")
    if importlib.util.find_spec("torch") and mode != "xla" and static:
        names.append("torch")
        if not rest:
            names.append("torch chunks")
    name = "x".join(map(str, shape)) + f" ghosts of {ghosts} {mode} {dtype}"
    name += " channels first" * (axis == 1) + " dynamic" * (not static)
    makers = {"torch": torch_step, "torch chunks": torch_step}
    variants = {
        name: functools.partial(makers.get(name, keras_step), name, **settings)
        for name in names
    }
    return Case(name, variants, settings)


def keras_step(name, shape, ghosts, mode, static, dtype, axis):
    import keras

    import keras_lbreg as lbreg

    class Chunks(keras.layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            parts = keras.ops.split(inputs, shape[0] // ghosts)
            normalize = super().call
            return keras.ops.concatenate(
                [normalize(part, training, mask) for part in parts]
            )

    make = {
        "keras": keras.layers.BatchNormalization,
        "ghost": functools.partial(
            lbreg.GhostBatchNormalization, ghost_batch_size=ghosts
        ),
        "chunks": Chunks,
    }[name]
    mixed = dtype if dtype == "float32" else f"mixed_{dtype}"
    layer = make(axis=axis, dtype=mixed)
    layer.build((None, *shape[1:]))
    x, dy = (
        keras.random.normal(shape, seed=seed, dtype=dtype) for seed in (0, 1)
    )
    make_step = jax_step if mode == "jit" else tensorflow_step
    return Step(make_step(layer, x, dy, mode, static))


def tensorflow_step(layer, x, dy, mode, static):
    import tensorflow as tf

    shape = x.shape if static else (None, *x.shape[1:])
    spec = tf.TensorSpec(shape, x.dtype)

    @tf.function(input_signature=[spec, spec], jit_compile=mode == "xla")
    def step(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        sources = [x, layer.gamma.value, layer.beta.value]
        gradients = tape.gradient(y, sources, output_gradients=dy)
        return gradients[0][(0,) * len(x.shape)], y, gradients

    # A GPU goes on by itself until a value is asked for.
    return lambda: step(x, dy)[0].numpy()


def jax_step(layer, x, dy, mode, static):
    import jax

    variables = layer.trainable_variables, layer.non_trainable_variables
    trainable, frozen = ([v.value for v in group] for group in variables)

    @jax.jit
    def step(x, dy, trainable, frozen):
        def forward(trainable, x):
            return layer.stateless_call(trainable, frozen, x, training=True)

        y, backward, updated = jax.vjp(forward, trainable, x, has_aux=True)
        return y, backward(dy), updated

    return lambda: jax.block_until_ready(step(x, dy, trainable, frozen))


def torch_step(name, shape, ghosts, mode, static, dtype, axis):
    import torch

    x, dy = (torch.randn(*shape, dtype=getattr(torch, dtype)) for _ in range(2))
    if axis == -1 and len(shape) == 4:
        # The strides of channels last, the axes in PyTorch's order.
        x, dy = x.permute(0, 3, 1, 2), dy.permute(0, 3, 1, 2)
    kind = torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d
    norm = kind(x.shape[1])
    x.requires_grad_()

    def run():
        parts = x.chunk(shape[0] // ghosts) if "chunks" in name else [x]
        y = torch.cat([norm(part) for part in parts])
        norm.zero_grad()
        return torch.autograd.grad(y, [x, norm.weight, norm.bias], dy)

    return Step(run)
