"""How fast the published penalty alone drives the two kernels apart."""

import math

import numpy as np

# The largest distance whose square is a float32: beyond it the penalty, and
# with it the loss, is infinite.
LARGEST_DISTANCE = float(np.sqrt(np.finfo("float32").max))


def growth_factor(weight, learning_rate, momentum=0.0):
    """What one step of SGD multiplies ‖W_R − W_L‖ by, in the long run.

    With D = W_R − W_L, the gradient of −λ‖D‖² is −2λD with respect to W_R and
    2λD to W_L. A step with learning rate η and momentum m makes of the
    difference V of the two velocities and of D

    ```
    V <- m V + 4 λ η D,    D <- D + V
    D_{t+1} = (1 + m + 4 λ η) D_t − m D_{t−1}
    ```

    which grows by the larger root z of z² − (1 + m + 4 λ η) z + m, 1 + 4 λ η
    without momentum. `weight` is λ, of the bounded distance too, while the
    kernels are close; for the bare ratio it is λ / (‖W_R‖² + ‖W_L‖²).

    Reference: Eq. 3 of https://arxiv.org/abs/2011.08968
    """
    sum_of_roots = 1 + momentum + 4 * weight * learning_rate
    return (sum_of_roots + math.sqrt(sum_of_roots**2 - 4 * momentum)) / 2


def predicted_distances(first, steps, weight, learning_rate, momentum=0.0):
    """‖W_R − W_L‖ at steps 0, 1, ... under the penalty alone, from rest."""
    distances, velocity = [float(first)], 0.0
    for _ in range(steps):
        gain = 4 * weight * learning_rate * distances[-1]
        velocity = momentum * velocity + gain
        distances.append(distances[-1] + velocity)
    return np.array(distances)


def steps_until(level, first, weight, learning_rate, momentum=0.0):
    """Steps until the penalty alone has driven the distance beyond a level."""
    # D_t = A z^t + B y^t with the two roots z and y of the recursion.
    factor = growth_factor(weight, learning_rate, momentum)
    other = momentum / factor
    share = first * (factor - momentum) / (factor - other)
    rest = first - share
    steps = max(math.floor(math.log(level / share) / math.log(factor)) - 1, 0)
    while share * factor**steps + rest * other**steps <= level:
        steps += 1
    return steps


def largest_rate(steps, first, weight, momentum=0.0):
    """The largest learning rate that stays finite for a number of steps."""
    low, high = 1e-9, 10.0
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        until = steps_until(LARGEST_DISTANCE, first, weight, middle, momentum)
        low, high = (middle, high) if until > steps else (low, middle)
    return float(f"{low:.3g}")


def lagging_variance(factor, momentum=0.9):
    """Moving variance behind a growing kernel, as a share of the true one.

    A step multiplies the kernel by z and its outputs' variance v by z². Batch
    normalization averages M <- a M + (1 − a) v before the step, and uses M
    after it:

    ```
    M / (z² v) = (1 − a) / (z² − a)
    ```
    """
    return (1 - momentum) / (factor**2 - momentum)
