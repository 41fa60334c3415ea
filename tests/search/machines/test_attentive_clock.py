from keras_lbreg.search.machines.attentive_clock import AttentiveClock


def test_time_in_which_nobody_listened_does_not_count():
    times = iter([100.0, 100.2, 100.4, 160.4, 160.6])
    clock = AttentiveClock(lambda: next(times))
    seen = []
    for _ in range(4):
        clock.turn()
        seen.append(round(clock(), 6))
    assert seen == [0.2, 0.4, 1.4, 1.6]
