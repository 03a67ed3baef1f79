"""Two systems on the same utterances: p by swapping speakers, and what can be told."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from contracts.errors import RunError
from evaluation.measures.metrics import score_run
from evaluation.statistics._bootstrap import speaker_weights
from evaluation.statistics._paired_text import notes, sentence, systems_text
from evaluation.statistics._permutation import (
    draws_for,
    exact_sums,
    parts,
    smallest_p,
    swap_test,
)
from evaluation.statistics._power import shares, visible_difference
from evaluation.statistics.confusions import score_of
from evaluation.statistics.generated_pair import generated_pair
from evaluation.statistics.paired import among, compare, holm, mcnemar
from evaluation.statistics.systems import (
    System,
    but_for_the_seed,
    keep_common,
    name_apart,
    of_runs,
    refuse_more_than_seeds,
)
from tests.runs import make_run

LABELS = ("a", "b", "c")


def drawn(
    ability: NDArray[Any], name: str = "one", seed: int = 0, per_label: int = 6
) -> System:
    """Draw a system that is right as often as each speaker's ability says."""
    rng = np.random.default_rng(seed)
    n = len(ability)
    speaker = np.repeat(np.arange(n), 3 * per_label)
    truth = np.tile(np.repeat(np.arange(3), per_label), n)
    right = rng.random(len(truth)) < ability[speaker]
    guess = np.where(right, truth, (truth + 1) % 3)
    ids = np.array([f"{s:03d}-{i:03d}" for i, s in enumerate(speaker)], object)
    names = np.array([f"toy/{s:03d}" for s in speaker], object)
    return System(name, LABELS, ids, names, truth, guess[None], {"seeds": [seed]})


def mean_counts(system: System) -> NDArray[np.float64]:
    return np.asarray(system.counts.mean(axis=0))


def by_hand(first: System, second: System, metric: str) -> float:
    """Return p by building every one of the 2^n swapped pairs of tables."""
    one, two = mean_counts(first), mean_counts(second)
    found = []
    for swap in itertools.product([False, True], repeat=len(one)):
        turned = np.array(swap)[:, None, None]
        a = np.where(turned, two, one).sum(axis=0)
        b = np.where(turned, one, two).sum(axis=0)
        found.append(abs(float(score_of(a, metric)) - float(score_of(b, metric))))
    return float(np.mean(np.array(found) >= found[0] - 1e-9))


@pytest.mark.parametrize("metric", ["uar", "war", "f1"])
@pytest.mark.parametrize("n", [5, 8])
def test_p_is_that_of_every_swap_one_by_one(metric: str, n: int) -> None:
    first = drawn(np.linspace(0.5, 0.9, n))
    second = drawn(np.linspace(0.4, 0.8, n), seed=1)

    test = swap_test(mean_counts(first), mean_counts(second), metric)

    assert test.p == pytest.approx(by_hand(first, second, metric))
    assert (test.smallest, test.n_draws) == (2 / 2**n, 0)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=10))
def test_both_halves_count_what_all_signs_count(each: list[int]) -> None:
    signs = np.array(list(itertools.product([1, -1], repeat=len(each))))
    sums = np.abs(signs @ np.array(each))

    wanted = (sums >= abs(sum(each))).mean()

    assert exact_sums(np.array(each) / 7) == pytest.approx(wanted)


def test_the_parts_of_the_speakers_add_up_to_the_difference() -> None:
    first, second = drawn(np.full(9, 0.8)), drawn(np.full(9, 0.6), seed=1)
    one, two = mean_counts(first), mean_counts(second)

    for metric in ("uar", "war"):
        wanted = score_of(one.sum(axis=0), metric) - score_of(two.sum(axis=0), metric)
        assert parts(one, two, metric).sum() == pytest.approx(float(wanted))


def test_parts_leave_out_a_label_that_nobody_says() -> None:
    one = np.zeros((2, 3, 3))
    one[:, 0, 0] = one[:, 1, 1] = 2
    two = np.zeros((2, 3, 3))
    two[:, 0, 1] = two[:, 1, 1] = 2

    assert parts(one, two, "uar").tolist() == [0.25, 0.25]


def test_drawn_swaps_come_near_the_exact_p_and_are_never_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = (
        mean_counts(drawn(np.full(12, 0.66))),
        mean_counts(drawn(np.full(12, 0.58), seed=3)),
    )
    apart = (
        mean_counts(drawn(np.full(20, 0.95))),
        mean_counts(drawn(np.full(20, 0.3), seed=1)),
    )
    exact = swap_test(*pair, "uar")
    monkeypatch.setattr("evaluation.statistics._permutation.EXACT_SUMS", 4)

    near, tiny = swap_test(*pair, "uar"), swap_test(*apart, "uar")

    assert near.n_draws == 20_000
    assert near.p == pytest.approx(exact.p, abs=4 * math.sqrt(0.25 / 20_000))
    assert tiny.p == tiny.smallest == 1 / 20_001
    assert swap_test(*pair, "uar") == near


def test_a_larger_family_is_given_more_draws() -> None:
    for n_pairs in (1, 10, 45, 190):
        assert n_pairs / (draws_for(n_pairs) + 1) < 0.001


def test_the_smallest_p_is_that_of_a_swap_and_its_mirror_image() -> None:
    assert smallest_p(5) == 0.0625
    assert smallest_p(24) == 2 / 2**24
    assert smallest_p(1) == 1


def test_forty_thousand_million_swaps_are_counted_in_a_moment() -> None:
    each = np.random.default_rng(0).normal(0.2, 1, 32)
    rng = np.random.default_rng(1)

    p = exact_sums(each)

    signs = rng.choice([-1.0, 1.0], (40_000, 32))
    near = (np.abs(signs @ each) >= abs(each.sum())).mean()
    assert p == pytest.approx(near, abs=0.01)


def test_equal_systems_cannot_be_told_apart() -> None:
    one = drawn(np.linspace(0.4, 0.9, 10))

    (pair,) = compare([one, replace(one, name="two")])

    assert (pair.interval.value, pair.test.p, pair.mcnemar.p) == (0, 1, 1)
    assert (pair.verdict, pair.why) == ("cannot tell", "p is above 0.05")
    assert math.isnan(pair.visible)
    assert notes(pair)[0].startswith("every speaker tells the same difference")


def test_better_and_worse_are_said_of_the_first_and_mirror_each_other() -> None:
    weak, strong = drawn(np.full(12, 0.5)), drawn(np.full(12, 0.8), "two", 1)

    (up,) = compare([weak, strong])
    (down,) = compare([strong, weak])

    assert (up.first, up.second, up.verdict) == ("two", "one", "better")
    assert down.verdict == "worse"
    assert up.test == down.test
    assert up.interval.low == pytest.approx(-down.interval.high)
    assert 0 < up.interval.low < up.interval.value < up.interval.high
    assert up.scores == (down.scores[1], down.scores[0])
    assert up.visible == pytest.approx(down.visible)


def test_five_speakers_can_tell_nothing_however_large_the_difference() -> None:
    never, always = drawn(np.zeros(5)), drawn(np.ones(5), "two")

    (pair,) = compare([never, always])

    assert pair.test.p == 0.0625
    assert pair.verdict == "cannot tell"
    assert pair.why == (
        "with 5 speakers the smallest p that any difference can give is 0.0625, above "
        "0.05"
    )
    assert math.isnan(pair.interval.low)
    assert notes(pair)[0] == "no difference, however large, could have been seen here"


def test_a_family_takes_more_speakers_than_one_pair() -> None:
    never = drawn(np.zeros(6))
    others = [drawn(np.ones(6), f"other {i}") for i in range(2)]

    (alone,) = compare([never, others[0]])
    together = compare([never, *others])

    assert (alone.p_holm, alone.verdict) == (0.03125, "better")
    assert {pair.verdict for pair in together} == {"cannot tell"}
    assert "is 0.03125 times 2 pairs, above 0.05" in together[0].why


def test_the_family_is_each_against_the_baseline_unless_all_pairs_are_asked() -> None:
    systems = [drawn(np.full(9, 0.5 + i / 10), f"s{i}", i) for i in range(4)]

    each, every = compare(systems), compare(systems, all_pairs=True)

    assert [(p.first, p.second) for p in each] == [
        ("s1", "s0"),
        ("s2", "s0"),
        ("s3", "s0"),
    ]
    assert {p.family for p in each} == {3}
    assert len(every) == 6
    assert {p.family for p in every} == {6}
    same = next(p for p in every if (p.first, p.second) == ("s1", "s0"))
    assert same.test.p == each[0].test.p
    assert same.p_holm >= each[0].p_holm


def test_the_best_of_several_is_compared_in_the_family_of_all_pairs() -> None:
    systems = [drawn(np.full(12, 0.5 + i / 20), f"s{i}", i) for i in (5, 0, 1, 2, 3)]

    chosen = compare(systems, family=among(5))
    every = compare(systems, all_pairs=True)

    assert among(5) == 10
    whole = {pair.first: pair for pair in every if pair.second == "s5"}
    for pair in chosen:
        assert (pair.family, pair.test.p) == (10, whole[pair.first].test.p)
        assert pair.visible == pytest.approx(whole[pair.first].visible)
        assert pair.p_holm >= whole[pair.first].p_holm
    with pytest.raises(ValueError, match="expected a family of 4 or more, got 3"):
        compare(systems, family=3)


def test_a_family_larger_than_what_is_compared_is_given_its_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evaluation.statistics._permutation.EXACT_SUMS", 4)
    systems = [drawn(np.full(9, 0.6), f"s{i}", i) for i in range(3)]

    pairs = compare(systems, family=30)

    assert {pair.test.n_draws for pair in pairs} == {60_000}


@given(
    st.lists(st.floats(0.0001, 1), min_size=3, max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_part_of_a_family_is_never_surer_than_the_whole(
    ps: list[float], kept: list[bool]
) -> None:
    keep = [i for i in range(len(ps)) if kept[i]]
    whole = holm(ps)

    part = holm([ps[i] for i in keep], len(ps))

    assert all(p >= whole[i] - 1e-12 for i, p in zip(keep, part, strict=True))


@pytest.mark.parametrize("n", [60, 61, 1_029, 1_200])
def test_a_thousand_speakers_see_small_differences(n: int) -> None:
    each = np.random.default_rng(0).normal(0, 1, n)

    seen = visible_difference(each, 0.05)

    wanted = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    assert seen / (math.sqrt(n) * each.std(ddof=1)) == pytest.approx(wanted, rel=0.03)


def test_a_thousand_speakers_can_be_compared() -> None:
    weak, strong = (drawn(np.full(1_100, a), str(a), per_label=1) for a in (0.5, 0.7))

    (pair,) = compare([weak, strong])

    assert pair.verdict == "better"
    assert 0 < pair.visible < 0.1


@pytest.mark.parametrize("metric", ["uar", "f1"])
def test_swaps_and_resamples_are_drawn_once_for_a_family(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    systems = [drawn(np.full(40, 0.6), f"s{i}", i, per_label=1) for i in range(7)]
    speaker_weights.cache_clear()
    seeded: list[Any] = []
    real = np.random.default_rng

    def noted(seed: Any) -> np.random.Generator:
        seeded.append(seed)
        return real(seed)

    monkeypatch.setattr("numpy.random.default_rng", noted)

    together = compare(systems, metric)

    assert len(together) == 6
    assert len(seeded) == 2


def test_drawn_swaps_are_the_same_whatever_the_order_of_systems() -> None:
    systems = [drawn(np.full(40, 0.6), f"s{i}", i, per_label=1) for i in range(4)]
    seeds = [np.concatenate([s.guesses for s in systems[i:]]) for i in range(2)]
    thirds = [
        replace(s, guesses=np.concatenate([s.guesses, seeds[i % 2][:2]]))
        for i, s in enumerate(systems)
    ]

    told = compare(thirds)
    turned = compare([thirds[0], *thirds[:0:-1]])

    assert {p.first: p.test for p in told} == {p.first: p.test for p in turned}


def test_drawn_swaps_of_f1_come_near_the_exact_p(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = (
        mean_counts(drawn(np.full(9, 0.7))),
        mean_counts(drawn(np.full(9, 0.6), seed=1)),
    )
    exact = swap_test(*pair, "f1")
    monkeypatch.setattr("evaluation.statistics._permutation.EXACT_TABLES", 4)

    near = swap_test(*pair, "f1")

    assert near.n_draws == 20_000
    assert 0.05 < exact.p < 0.95
    assert near.p == pytest.approx(exact.p, abs=4 * math.sqrt(0.25 / 20_000))


def test_holm_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.5]) == [0.5]
    assert holm([0.01, 0.005], 4) == pytest.approx([0.03, 0.02])


def test_mcnemar_is_the_exact_binomial_of_the_discordant() -> None:
    first, second = drawn(np.full(9, 0.7)), drawn(np.full(9, 0.5), seed=1)
    right = [(s.guesses[0] == s.truth) for s in (first, second)]
    one, two = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())

    told = mcnemar(first, second)

    tail = sum(math.comb(one + two, k) for k in range(min(one, two) + 1))
    assert (told.only_first, told.only_second) == (one, two)
    assert told.p == pytest.approx(min(1, 2 * tail / 2 ** (one + two)))


def test_seeds_are_averaged_within_a_speaker_and_add_no_evidence() -> None:
    first, second = drawn(np.full(10, 0.6)), drawn(np.full(10, 0.7), "two", 1)
    same_again = [
        replace(s, guesses=np.repeat(s.guesses, 5, 0)) for s in (first, second)
    ]

    (alone,) = compare([first, second])
    (fivefold,) = compare(same_again)

    assert fivefold.test == alone.test
    assert fivefold.interval.low == pytest.approx(alone.interval.low)


def test_mcnemar_decides_nothing() -> None:
    ability = np.full(8, 0.5)
    second = ability.copy()
    second[0], second[1] = 1.0, 1.0  # two speakers make all the difference
    pair = [
        drawn(ability, per_label=60),
        drawn(second, "two", 0, per_label=60),  # same draws but for those speakers
    ]

    (told,) = compare(pair)

    assert told.mcnemar.p < 1e-6
    assert told.verdict == "cannot tell"


def test_a_comparison_without_known_speakers_cannot_tell() -> None:
    speakers = drawn(np.full(10, 0.5)).speakers.copy()
    speakers[:4] = ""
    pair = [
        replace(drawn(np.full(10, a), str(a), i), speakers=speakers)
        for i, a in enumerate((0.2, 0.9))
    ]

    (told,) = compare(pair)

    assert (told.verdict, told.test.p) == ("cannot tell", 1)
    assert told.why == "no speaker is known of 4 utterances"
    assert told.interval.n_speakers == 10
    assert systems_text(pair, "uar").count("known of 4 utterances: no interval") == 2
    assert math.isnan(told.interval.low)
    assert math.isnan(told.visible)


def test_visible_difference_is_that_of_the_paired_t_test() -> None:
    each = np.random.default_rng(0).normal(0, 1, 24)
    error = math.sqrt(24) * each.std(ddof=1)
    critical = stats.t.isf(0.025, 23)

    shift = visible_difference(each, 0.05) / error

    assert stats.nct.sf(critical, 23, shift) == pytest.approx(0.8, abs=0.001)
    assert visible_difference(each, 0.05 / 10) > visible_difference(each, 0.05)
    assert visible_difference(each * 2, 0.05) == pytest.approx(2 * shift * error)


def test_visible_difference_keeps_to_the_p_values_that_there_are() -> None:
    each = np.array([1.0, 2.0, 0.5, -1.0, 0.3, 0.7])

    # six speakers give p of 0.03125, 0.0625, ...: 0.05 is 0.03125 to them
    assert visible_difference(each, 0.05) == visible_difference(each, 0.03125)
    assert math.isnan(visible_difference(each, 0.03))
    assert math.isnan(visible_difference(np.ones(10), 0.05))
    assert math.isnan(visible_difference(np.ones(1), 0.05))


def test_shares_of_f1_have_the_standard_error_of_jackknife_and_bootstrap() -> None:
    first, second = drawn(np.linspace(0.3, 0.9, 24)), drawn(np.full(24, 0.6), seed=1)
    one, two = mean_counts(first), mean_counts(second)
    (pair,) = compare([second, first], "f1")
    without = [
        score_of(np.delete(one, i, axis=0).sum(axis=0), "f1")
        - score_of(np.delete(two, i, axis=0).sum(axis=0), "f1")
        for i in range(24)
    ]

    error = math.sqrt(24) * shares(one, two, "f1").std(ddof=1)

    assert error == pytest.approx(math.sqrt(23 / 24 * 24 * np.var(without)))
    width = (pair.interval.high - pair.interval.low) / (2 * stats.t.ppf(0.975, 23))
    assert error == pytest.approx(width, rel=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_the_generated_pair_has_the_published_marginals_and_tells_nothing(
    seed: int,
) -> None:
    first, second = generated_pair(seed)

    (pair,) = compare([first, second])

    assert np.bincount(first.truth).tolist() == [20, *[40] * 7]
    assert np.unique(first.speakers, return_counts=True)[1].tolist() == [60] * 5
    for system, score in ((first, 0.67), (second, 0.72)):
        table = system.counts[0].sum(axis=0)
        assert score_of(table, "war") == score
        assert score_of(table, "uar") == pytest.approx(score, abs=0.005)
    assert pair.verdict == "cannot tell"
    assert pair.test.smallest == 0.0625
    assert "with 5 speakers the smallest p that any difference can give" in sentence(
        pair
    )


def test_a_sentence_holds_all_that_decides() -> None:
    systems = [drawn(np.full(12, a), n, i) for i, (n, a) in enumerate([*PAIR, THIRD])]

    told = [sentence(pair) for pair in compare(systems)]

    assert told[0].startswith("strong against weak: UAR +")
    assert " points [+" in told[0]
    assert "Holm over 2: " in told[0]
    assert "swaps of 12 speakers, all counted, smallest p 0.00049" in told[0]
    assert told[0].endswith("): better")
    assert told[1].endswith("): cannot tell, since Holm's p is above 0.05")


PAIR = (("weak", 0.5), ("strong", 0.85))
THIRD = ("alike", 0.5)


def test_the_table_has_an_interval_or_each_speaker() -> None:
    many = [drawn(np.full(12, a), n, i) for i, (n, a) in enumerate(PAIR)]
    few = [drawn(np.full(5, a), n, i) for i, (n, a) in enumerate(PAIR)]
    twice = replace(many[1], guesses=np.concatenate([s.guesses for s in many]))

    assert "95 % interval" in systems_text(many, "uar")
    assert "seed SD" not in systems_text(many, "uar")
    assert "each speaker %" in systems_text(few, "uar")
    assert "000: " in systems_text(few, "uar")
    assert "seed SD" in systems_text([many[0], twice], "uar")


def test_json_has_null_where_there_is_no_number() -> None:
    (pair,) = compare([drawn(np.zeros(5)), drawn(np.ones(5), "two")])

    told = pair.to_json()

    assert told["interval"]["low"] is None
    assert told["visible"] is None
    assert told["scores"] == [1.0, 0.0]


def test_a_system_is_what_the_run_predicted(tmp_path: Path) -> None:
    run = make_run(tmp_path)

    system = of_runs([run])

    assert float(score_of(system.counts[0].sum(axis=0), "uar")) == pytest.approx(
        score_run(run).uar
    )
    assert system.facts["features"] == ["egemaps"]
    assert system.name == "random_forest"


def test_rows_are_paired_by_id_whatever_their_order(tmp_path: Path) -> None:
    run, mixed = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    mixed.__dict__["predictions"] = run.predictions.sample(frac=1, random_state=0)

    (pair,) = compare([of_runs([run]), of_runs([mixed], "two")])

    assert (pair.mcnemar.only_first, pair.mcnemar.only_second) == (0, 0)
    assert pair.interval.value == 0


def test_variants_and_unlabelled_utterances_are_no_part_of_a_system(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path)
    whole = len(of_runs([run]).ids)
    run.predictions.loc[:3, "variant"] = "degrade:noise"
    run.predictions.loc[4:6, "label"] = ""

    system = of_runs([run])

    assert len(system.ids) == whole - 7


def test_runs_that_differ_in_the_seed_alone_are_one_system(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=seed) for seed in (0, 1)]
    other = make_run(tmp_path, settings={"n_estimators": 5})

    refuse_more_than_seeds(runs)

    assert of_runs(runs).guesses.shape == (2, 24 * 8 * 4)
    assert of_runs(runs).facts["seeds"] == [0, 1]
    assert but_for_the_seed(runs[0]) == but_for_the_seed(runs[1])
    with pytest.raises(RunError, match="expected runs that differ in the seed alone"):
        refuse_more_than_seeds([runs[0], other])


def test_other_utterances_are_refused_with_how_many(tmp_path: Path) -> None:
    whole = of_runs([make_run(tmp_path)])
    part = of_runs([make_run(tmp_path, model="xgb", keep=[0])])

    with pytest.raises(
        RunError, match="608 only by the first, 0 only by the second, 160 by both"
    ):
        compare([whole, part])

    (kept, same), lost = keep_common([whole, part])
    assert lost == [608, 0]
    assert kept.ids.tolist() == same.ids.tolist() == part.ids.tolist()
    assert compare([kept, same])[0].n_utterances == 160


def test_other_labels_truths_and_speakers_are_refused() -> None:
    one = drawn(np.full(9, 0.5))
    truth = one.truth.copy()
    truth[:3] = 2
    speakers = np.roll(one.speakers, 1)

    with pytest.raises(RunError, match="their labels are a, b, c against a, b, d"):
        compare([one, replace(one, labels=("a", "b", "d"))])
    with pytest.raises(RunError, match="3 utterances have another label in each: 000-"):
        compare([one, replace(one, truth=truth)])
    with pytest.raises(RunError, match="9 utterances have another speaker in each"):
        compare([one, replace(one, speakers=speakers)])


def test_utterances_that_were_tested_more_often_by_one_are_refused() -> None:
    one = drawn(np.full(9, 0.5))
    twice = np.r_[0, 0, 1, 1 : len(one.ids)]
    again = replace(
        one,
        ids=one.ids[twice],
        speakers=one.speakers[twice],
        truth=one.truth[twice],
        guesses=one.guesses[:, twice],
    )

    with pytest.raises(RunError, match="2 utterances were tested more often by the"):
        compare([one, again])
    assert compare([again, replace(again, name="two")])[0].n_utterances == 164


def test_systems_without_a_common_utterance_are_refused() -> None:
    one = drawn(np.full(9, 0.5))
    other = replace(one, ids=np.array([f"x{i}" for i in one.ids], object), name="two")

    with pytest.raises(RunError, match="no utterance was tested by all of one, two"):
        keep_common([one, other])
    with pytest.raises(RunError, match="0 by both. Fit both on one corpus"):
        compare([one, other])


def test_systems_are_called_by_as_little_as_tells_them_apart(tmp_path: Path) -> None:
    forest = of_runs([make_run(tmp_path)])
    xgb = of_runs([make_run(tmp_path, model="xgb")])
    mfcc = of_runs([make_run(tmp_path, features=["mfcc"])])
    loso = of_runs([make_run(tmp_path, protocol="loso")])
    other = of_runs([make_run(tmp_path, settings={"n_estimators": 5})])

    def names(*systems: System) -> list[str]:
        return [s.name for s in name_apart(systems)]

    assert names(forest, xgb) == ["random_forest", "xgb"]
    assert names(forest, mfcc) == ["random_forest on egemaps", "random_forest on mfcc"]
    assert names(forest, loso)[1] == "random_forest under loso"
    assert names(forest, mfcc, loso)[1] == "random_forest on mfcc under speaker5"
    assert names(forest, other)[1].startswith("random_forest-ravdess-speaker5")


def test_one_system_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="expected two systems or more to compare"):
        compare([drawn(np.ones(9))])
