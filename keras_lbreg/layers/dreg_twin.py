"""What the DReg layers have in common: a twin kernel and two paths."""

import keras
from keras import ops

from keras_lbreg.layers.dreg_distance import DRegDistance
from keras_lbreg.layers.dreg_penalty import DISTANCES, dreg_penalty
from keras_lbreg.layers.path_order import (
    path_blocks,
    stack_paths,
    unstack_paths,
)

PATHS = ("split", "both")


class DRegTwin:
    """Mixin that gives a Keras layer with one kernel a second one.

    It stands before the Keras layer among the bases. The layer says how a
    kernel is applied in `apply_kernel(inputs, kernel)`. The kernel of the
    right path is the Keras layer's own `kernel`, that of the left path
    `kernel_left`; they share the bias.
    """

    def __init__(
        self,
        *args,
        weight=0.1,
        distance="relative",
        max_distance=None,
        init_distance=0.01,
        paths="split",
        seed=None,
        **kwargs,
    ):
        if kwargs.get("lora_rank") is not None:
            raise ValueError(
                "Invalid value for argument `lora_rank`. Expected None: LoRA "
                "freezes the kernels that DReg trains. Received: "
                f"lora_rank={kwargs['lora_rank']}. Call `strip_dreg` on the "
                "trained model before enabling LoRA."
            )
        super().__init__(*args, **kwargs)
        if not weight >= 0:
            raise ValueError(
                "Invalid value for argument `weight`. Expected a number that "
                "is at least 0 (it is subtracted: the penalty is "
                f"-weight * distance). Received: weight={weight}"
            )
        if distance not in DISTANCES:
            raise ValueError(
                "Invalid value for argument `distance`. Expected one of "
                f"{DISTANCES}. Received: distance={distance!r}"
            )
        if max_distance is not None and not max_distance > 0:
            raise ValueError(
                "Invalid value for argument `max_distance`. Expected a "
                "positive number, or None for no limit. Received: "
                f"max_distance={max_distance}"
            )
        if not init_distance > 0:
            raise ValueError(
                "Invalid value for argument `init_distance`. Expected a "
                "positive number: between equal kernels the penalty has no "
                f"gradient. Received: init_distance={init_distance}"
            )
        if paths not in PATHS:
            raise ValueError(
                "Invalid value for argument `paths`. Expected one of "
                f"{PATHS}. Received: paths={paths!r}"
            )
        self.weight = weight
        self.distance = distance
        self.max_distance = max_distance
        self.init_distance = init_distance
        self.paths = paths
        self.seed = seed
        self.kernel_left = None
        self.distance_metric = DRegDistance(
            lambda: (self.kernel, self.kernel_left), self.name
        )
        self._penalty = None
        self._stacked = False

    def add_weight(self, *args, **kwargs):
        # In half precision the kernels' small difference would drown in the
        # rounding of each. So they are read as they are, and cast for use.
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    def build(self, input_shape):
        super().build(input_shape)
        right = self.kernel
        self.kernel_left = self.add_weight(
            name="kernel_left",
            shape=right.shape,
            initializer=lambda shape, dtype=None: ops.cast(
                self._perturbed(right), dtype
            ),
            regularizer=right.regularizer,
            constraint=right.constraint,
            dtype=self.dtype,
        )
        self.left_active = self.add_weight(
            name="left_active",
            shape=(),
            initializer="zeros",
            dtype="bool",
            trainable=False,
        )

    def _perturbed(self, right):
        """W_R + ε ‖W_R‖ U, with a random U of norm 1."""
        right = ops.cast(right, "float32")
        direction = keras.initializers.RandomNormal(seed=self.seed)(
            right.shape, dtype="float32"
        )
        size = self.init_distance * ops.norm(ops.reshape(right, (-1,)))
        return right + size * direction / ops.norm(
            ops.reshape(direction, (-1,))
        )

    @property
    def active_path(self):
        """The path used at inference, `"right"` or `"left"`. Settable."""
        return (
            "left" if bool(ops.convert_to_numpy(self.left_active)) else "right"
        )

    @active_path.setter
    def active_path(self, path):
        self.left_active.assign(is_left(path))

    def call(self, inputs, training=None):
        if training:
            self._add_penalty()
            outputs = self._both_paths(inputs)
        else:
            self._stacked = False
            outputs = self._apply(
                inputs, select(self.left_active, self.kernel_left, self.kernel)
            )
        if self.use_bias:
            outputs = ops.add(outputs, self._shaped_bias(len(outputs.shape)))
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def _both_paths(self, inputs):
        """Outputs of the right path, then of the left, on the batch axis."""
        self._stacked = self.paths == "both"
        if self._stacked:
            return stack_paths(
                self._apply(inputs, self.kernel),
                self._apply(inputs, self.kernel_left),
            )
        return by_halves(
            lambda half, mask: self._apply(half, self.kernel),
            lambda half, mask: self._apply(half, self.kernel_left),
            inputs,
        )

    def _apply(self, inputs, kernel):
        return self.apply_kernel(inputs, ops.cast(kernel, self.compute_dtype))

    def _shaped_bias(self, rank):
        shape = [1] * rank
        channels_first = (
            getattr(self, "data_format", "channels_last") == "channels_first"
        )
        shape[1 if channels_first else -1] = -1
        return ops.cast(ops.reshape(self.bias, shape), self.compute_dtype)

    def _add_penalty(self):
        # A layer called twice in one forward pass has one pair of kernels.
        if any(loss is self._penalty for loss in self.losses):
            return
        self._penalty = dreg_penalty(
            self.kernel,
            self.kernel_left,
            self.weight,
            self.distance,
            self.max_distance,
        )
        self.add_loss(self._penalty)

    def enable_lora(self, *args, **kwargs):
        raise ValueError(
            f"LoRA cannot be enabled on DReg layer '{self.name}': it freezes "
            "the kernels that DReg trains. Call `strip_dreg` on the trained "
            "model first."
        )

    def quantize(self, *args, **kwargs):
        raise ValueError(
            f"DReg layer '{self.name}' cannot be quantized: its two kernels "
            "are trained in full precision. Call `strip_dreg` on the trained "
            "model first."
        )

    def save_own_variables(self, store):
        # Keras's layers save the variables they name, so not the twin kernel.
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)

    def reset_left(self):
        """Makes the left kernel a slightly perturbed copy of the right one."""
        self.kernel_left.assign(self._perturbed(self.kernel))
        self.active_path = "right"

    def get_config(self):
        return {
            **super().get_config(),
            "weight": self.weight,
            "distance": self.distance,
            "max_distance": self.max_distance,
            "init_distance": self.init_distance,
            "paths": self.paths,
            "seed": self.seed,
        }


def by_halves(right, left, inputs, mask=None):
    """Applies `right` and `left` to the first and second half of a batch.

    The middle sample of an odd batch is the right path's.
    """
    if path_blocks(inputs.shape[0]) > 1:
        masks = (None, None) if mask is None else unstack_paths(mask)
        halves = unstack_paths(inputs)
        return stack_paths(
            right(halves[0], masks[0]), left(halves[1], masks[1])
        )
    size = inputs.shape[0]
    if size is None:
        size = ops.shape(inputs)[0]
    middle = (size + 1) // 2
    # TensorFlow gets the shape of a convolution of nothing wrong, and nothing
    # has no mean. So the one sample of a batch of one is shown to both sides,
    # and only what the right one makes of it counts.
    if isinstance(size, int):
        start = min(middle, size - 1)
    else:
        start = ops.minimum(middle, size - 1)
    masks = (None, None) if mask is None else (mask[:middle], mask[start:])
    outputs = ops.concatenate(
        [right(inputs[:middle], masks[0]), left(inputs[start:], masks[1])]
    )
    return outputs[:size]


def select(left_active, left, right):
    """The tensor of the active path, from the variables of both."""
    return ops.where(
        ops.convert_to_tensor(left_active),
        ops.convert_to_tensor(left),
        ops.convert_to_tensor(right),
    )


def is_left(path):
    """Whether `path` names the left path."""
    if path not in ("right", "left"):
        raise ValueError(
            'Invalid value for argument `path`. Expected "right" or "left". '
            f"Received: path={path!r}"
        )
    return path == "left"
