"""The sentences under the numbers."""

from keras_lbreg.analysis.saved import words


def record(name="small", result=None, **settings):
    return {
        "models": [{"name": name}],
        "data": {"samples": 1000},
        "settings": settings,
        "result": result,
    }


def sharp(name, sharpness, loss=0.5, epsilon=1e-3, subspace=None):
    result = {"sharpness": sharpness, "loss": loss, "largest_loss": 2 * loss}
    return record(name, result, epsilon=epsilon, subspace=subspace)


def test_the_sharper_of_two():
    text = " ".join(
        words.sharpness_words([sharp("small", 2.0), sharp("large", 9.0)])
    )
    assert "large is 4.5 times as sharp as small." in text
    assert "rises from 0.5 to at least 1: sharpness 2." in text
    assert "random directions" not in text
    assert "But the loss" not in text


def test_equally_sharp():
    text = " ".join(words.sharpness_words([sharp("a", 2.0), sharp("b", 2.05)]))
    assert "They are about equally sharp." in text


def test_one_model_is_compared_with_none():
    text = " ".join(words.sharpness_words([sharp("a", 2.0, subspace=7)]))
    assert "times" not in text
    assert "Sought in 7 random directions" in text


def test_losses_too_different_to_compare():
    pair = [sharp("small", 1.0, loss=0.01), sharp("large", 9.0, loss=0.2)]
    text = " ".join(words.sharpness_words(pair))
    assert "loss of large is 0.2, that of small 0.01" in text


def eigenvalue(value):
    return record("m", {"eigenvalue": value, "loss": 1.0})


def test_the_learning_rate_that_is_stable():
    text = " ".join(words.hessian_words([eigenvalue(4.0)]))
    # 2 / λ, and 2 (1 + m) / λ with momentum.
    assert "2/λ = 0.5, with momentum 0.9 up to 0.95" in text


def test_no_minimum():
    text = " ".join(words.hessian_words([eigenvalue(-1.0)]))
    assert "no minimum" in text
    assert "learning rate" not in text


def noise(noise_scale, low, high, pairs=4):
    result = {
        "noise_scale": noise_scale,
        "low": low,
        "high": high,
        "big_batch": 128,
        "pairs": pairs,
    }
    return record("m", result)


def test_a_noise_scale():
    text = " ".join(words.noise_scale_words([noise(1234.5, 900.0, 2000.0)]))
    assert "B_simple is about 1,234 samples (900 to 2,000)." in text
    assert "share samples" not in text


def test_no_signal():
    text = " ".join(words.noise_scale_words([noise(None, 70.0, None, 10)]))
    assert "lost in its noise even at batch 128" in text
    assert "(1,280 drawn of 1,000)" in text


def line(loss, positions=(-1, -0.5, 0, 0.5, 1, 1.5, 2)):
    curves = {"train": list(loss), "val": list(loss)}
    both = record(
        result={"positions": positions, "loss": curves, "accuracy": curves}
    )
    both["models"].append({"name": "large"})
    return " ".join(words.interpolation_words([both]))


def test_a_barrier():
    text = line([3, 1, 0.1, 2, 0.2, 4, 9])
    assert "rises to 2: a barrier" in text
    assert "changes by +0.9, beyond large by +3.8" in text
    assert "flatter on the side of small" in text


def test_no_barrier():
    text = line([9, 4, 0.2, 0.15, 0.1, 1, 3])
    assert "no barrier" in text
    assert "flatter on the side of large" in text


def test_as_flat_on_both_sides():
    text = line([3, 1, 0.1, 0.1, 0.1, 1, 3])
    assert "about as flat on both sides" in text


def test_a_loss_that_is_not_finite_beyond():
    text = line([None, None, 0.2, 0.15, 0.1, 1, 3])
    assert "the valley is flatter" not in text


def test_positions_without_the_ends():
    text = line([3, 1, 2], positions=(0.3, 0.5, 0.8))
    assert "barrier" not in text
    assert "(a = 0)" not in text
