import numpy as np
import pytest

from keras_lbreg.callbacks.noise_scale_average import NoiseScaleAverage

# |G_B|^2 = |G|^2 + S / B gives S and |G|^2 back.
S = [20.0, 30.0, 10.0, 40.0]
SIGNAL = [3.0, 1.0, -1.0, 2.0]


def squares(noise, signal):
    return signal + noise / 4, signal + noise / 32


def filled(decay):
    average = NoiseScaleAverage(4, 32, decay)
    for update, values in enumerate(zip(S, SIGNAL, strict=True), 1):
        average.add(10 * update, squares(*values))
    return average


@pytest.mark.parametrize("decay", [0, 0.5, 0.9])
def test_the_recursion_with_bias_correction(decay):
    average = filled(decay)
    m_noise = m_signal = 0.0
    for n, (noise, signal) in enumerate(zip(S, SIGNAL, strict=True), 1):
        m_noise = decay * m_noise + (1 - decay) * noise
        m_signal = decay * m_signal + (1 - decay) * signal
        ratio = m_noise / m_signal if m_signal > 0 else np.inf
        assert average.noise_scales[n - 1] == pytest.approx(ratio)
    expected = np.array([m_noise, m_signal]) / (1 - decay**4)
    np.testing.assert_allclose(average.smoothed()[:2], expected)
    np.testing.assert_allclose(average.noises, S)
    np.testing.assert_allclose(average.signals, SIGNAL)


def test_after_a_rollback():
    average = filled(0.5)
    before = average.noise_scales
    average.add(20, squares(S[1], SIGNAL[1]))
    assert average.updates == [10, 20]
    np.testing.assert_allclose(average.noise_scales, before[:2])


def test_an_overflow_does_not_stay():
    average = filled(0.5)
    average.add(50, (np.inf, np.inf))
    assert average.noise_scales[-1] == pytest.approx(average.noise_scales[-2])
    only = NoiseScaleAverage(4, 32, 0.5)
    only.add(1, (np.inf, np.nan))
    assert np.isnan(only.smoothed()[0])


def test_the_state_goes_through_a_file(tmp_path):
    average, again = filled(0.5), NoiseScaleAverage(4, 32, 0.5)
    np.savez(tmp_path / "state.npz", **average.get_state())
    with np.load(tmp_path / "state.npz") as state:
        again.set_state(state)
    assert vars(again) == vars(average)


@pytest.mark.parametrize("decay", [1, -0.1, True])
def test_a_decay_out_of_its_range(decay):
    with pytest.raises(ValueError, match="`decay`"):
        NoiseScaleAverage(4, 32, decay)
