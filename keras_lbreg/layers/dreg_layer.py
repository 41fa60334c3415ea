"""What the DReg layers have in common: a second kernel and two paths."""

import math

import keras
from keras import ops

from keras_lbreg.checks import check_choice, invalid
from keras_lbreg.layers._keras_layer import TrainingPenalty, outside_of_graphs
from keras_lbreg.layers.dreg_penalty import (
    DISTANCES,
    dreg_penalty,
    squared_size,
)
from keras_lbreg.layers.paths import (
    ActivePath,
    by_halves,
    select,
    stack_mask,
    stack_paths,
)

PATHS = ("split", "both")
FLOATS = ("float16", "bfloat16", "float32", "float64")


class DRegLayer(ActivePath, TrainingPenalty):
    """Mixin, before a Keras layer with one kernel, that adds a second one.

    The class defines `apply_kernel(inputs, kernel)`. The right path has the
    Keras layer's own kernel. `initial_size` is the bounded distance's n₀.
    """

    def __init__(
        self,
        *,
        weight,
        distance,
        max_distance,
        init_distance,
        paths,
        seed,
        **kwargs,
    ):
        if kwargs.get("lora_rank") is not None:
            expected = (
                "None: LoRA freezes the kernels that DReg trains. Call "
                "`strip_dreg` on the trained model before enabling it"
            )
            raise invalid("lora_rank", expected, kwargs["lora_rank"])
        super().__init__(**kwargs)
        self._check_dtype()
        expected = "at least 0: the penalty is -weight * distance"
        self.weight = _number("weight", weight, expected, or_zero=True)
        expected = "above 0: between equal kernels the penalty has no gradient"
        self.init_distance = _number("init_distance", init_distance, expected)
        self.max_distance = max_distance
        if max_distance is not None:
            expected = "above 0, or None for no limit"
            self.max_distance = _number("max_distance", max_distance, expected)
        check_choice("distance", distance, DISTANCES)
        check_choice("paths", paths, PATHS)
        self.distance = distance
        self.paths = paths
        self.seed = None if seed is None else int(seed)
        self.kernel_left = None
        self.left_active = None
        self.initial_size = None

    def _check_dtype(self):
        dtypes = self.compute_dtype, self.variable_dtype
        if self.quantization_mode is None and set(dtypes) <= set(FLOATS):
            return
        expected = (
            f"one of {FLOATS}, or a mixed policy of them: the two kernels of a "
            "DReg layer are trained. Call `strip_dreg` on the trained model "
            "before quantizing it"
        )
        raise invalid("dtype", expected, self.dtype_policy.name)

    def add_weight(self, *args, **kwargs):
        # In half precision the kernels' small difference would be lost in the
        # rounding of each. So they are read as they are, and cast for use.
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    def build(self, input_shape):
        # A map of policies knows the layer's only now.
        self._check_dtype()
        with outside_of_graphs():
            super().build(input_shape)
            self._add_left()

    def _add_left(self):
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
        left = self.kernel_left
        self.add_left_active()
        self.initial_size = self.add_weight(
            name="initial_size",
            shape=(),
            initializer=lambda shape, dtype=None: ops.cast(
                squared_size(right, left), dtype
            ),
            dtype="float32",
            trainable=False,
        )

    def _perturbed(self, right):
        """W_R + ε ‖W_R‖ U, with a random U of norm 1."""
        dtype = keras.backend.result_type(right.dtype, "float32")
        right = ops.cast(right, dtype)
        direction = keras.initializers.RandomNormal(seed=self.seed)(
            right.shape, dtype=dtype
        )
        size = self.init_distance * ops.norm(ops.reshape(right, (-1,)))
        return right + size * direction / ops.norm(
            ops.reshape(direction, (-1,))
        )

    def call(self, inputs, training=None):
        if not training:
            active = select(self.left_active, self.kernel_left, self.kernel)
            return self._finish(self._apply(inputs, active))
        self.count_penalty()
        if self.paths == "both":
            outputs = stack_paths(
                self._apply(inputs, self.kernel),
                self._apply(inputs, self.kernel_left),
            )
        else:
            outputs = by_halves(
                lambda half, mask: self._apply(half, self.kernel),
                lambda half, mask: self._apply(half, self.kernel_left),
                inputs,
            )
        outputs = self._finish(outputs)
        if self.paths == "both" and self.supports_masking:
            return stack_mask(inputs, outputs)
        return outputs

    def _apply(self, inputs, kernel):
        return self.apply_kernel(inputs, ops.cast(kernel, self.compute_dtype))

    def _finish(self, outputs):
        """Bias and activation, which the paths share."""
        if self.use_bias:
            shape = [1] * len(outputs.shape)
            data_format = getattr(self, "data_format", "channels_last")
            shape[1 if data_format == "channels_first" else -1] = -1
            bias = ops.cast(ops.reshape(self.bias, shape), self.compute_dtype)
            outputs = ops.add(outputs, bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def compute_penalty(self):
        """−λ d(W_R, W_L), in the dtype in which Keras sums losses."""
        penalty = dreg_penalty(
            self.kernel,
            self.kernel_left,
            self.weight,
            self.distance,
            self.initial_size,
            self.max_distance,
        )
        return ops.cast(penalty, keras.config.floatx())

    def reset_left(self):
        """Makes the left kernel a copy of the right one, as `build` does."""
        if not ops.convert_to_numpy(ops.any(ops.not_equal(self.kernel, 0))):
            raise ValueError(
                f"The kernel of layer '{self.name}' is zero. Expected another "
                "value: the second kernel of DReg is a copy with a relative "
                "perturbation, so the two paths would stay equal."
            )
        self.kernel_left.assign(self._perturbed(self.kernel))
        self.initial_size.assign(squared_size(self.kernel, self.kernel_left))
        self.active_path = "right"

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

    # Keras's layers save the variables they name, so not the second kernel.
    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)

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


def _number(name, value, expected, or_zero=False):
    """The argument as a Python float, NumPy's scalars too."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (0 < number < math.inf or (or_zero and number == 0)):
        raise invalid(name, f"a finite number {expected}", value)
    return number
