"""The shop: reproducible, true to its rules, and with an oracle that is exact."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketorch.data.synthetic.shop import (
    CATEGORIES,
    ENTRY,
    START,
    USED_UP,
    Shop,
    make_shop,
    oracle_ndcg,
)

SMALL: dict[str, Any] = {"num_users": 60, "num_items": 90, "events_per_user": 10}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop()


@pytest.fixture(scope="module")
def crowd() -> Shop:
    return make_shop(num_users=20_000, num_items=100, events_per_user=12, seed=1)


def previous(shop: Shop) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each item with the one before, and whether both are of one session, and of one user."""
    user, item, session = (shop.events[name].to_numpy() for name in ("user", "item", "session"))
    same = user[1:] == user[:-1]
    return item[:-1][same], item[1:][same], (session[1:] == session[:-1])[same]


def test_the_same_seed_makes_the_same_shop() -> None:
    one, same, other = make_shop(**SMALL), make_shop(**SMALL), make_shop(**SMALL, seed=1)
    for name in ("events", "items", "users"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(same, name))
        assert not getattr(one, name).equals(getattr(other, name))


def test_the_shop_is_pinned() -> None:
    shop = make_shop(**SMALL)
    assert shop.events["item"].head(8).tolist() == [72, 56, 58, 58, 56, 57, 58, 56]
    assert shop.events["time"].head(3).tolist() == [1673453374, 1674929932, 1674930267]
    assert shop.items.loc[1, ["title", "price"]].tolist() == ["Lumexa Prime Phone 2", 477.22]
    assert shop.users.loc[0, "segment"] == "young families"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_items": 71}, "num_items=71"),
        ({"num_users": 0}, "num_users=0"),
        ({"session_length": 0.5}, "session_length=0.5"),
        ({"events_per_user": 5}, "events_per_user=5"),
        *(({name: 1.0}, "1.0.* in") for name in ("p_follow", "p_repeat", "cold_users")),
        ({"cold_items": -0.1}, "-0.1.* in"),
    ],
)
def test_senseless_arguments_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_shop(**(SMALL | wrong))


def test_the_tables_fit_together(shop: Shop) -> None:
    events, items, users = shop.events, shop.items, shop.users
    assert list(events) == ["user", "item", "time", "session", "price"]
    assert (len(items), len(users)) == (500, 3_000)
    assert len(events) / len(users) == pytest.approx(30, rel=0.05)
    assert items["title"].is_unique
    assert items["title"].str.fullmatch(r"[A-Z]\w+ [A-Z]\w+ [A-Z][\w -]+ \d+").all()
    assert items["price"].between(1, 5_000).all()
    paid = events["price"] / items["price"].to_numpy()[events["item"]]
    assert paid.between(0.69, 1.01).all()
    assert 0.05 < (paid < 0.95).mean() < 0.5
    assert set(items["category"]) == set(CATEGORIES)


def test_users_come_one_after_the_other_and_time_goes_on(shop: Shop) -> None:
    step = shop.events[["user", "time", "session"]].diff().iloc[1:]
    same = step["user"] == 0
    assert step["user"].isin([0, 1]).all()
    assert (step.loc[same, "time"] > 0).all()
    within = same & (step["session"] == 0)
    assert set(step["session"]) == {0, 1}
    entries = shop.events.loc[~shop.events["user"].duplicated(), "time"]
    assert entries.between(START, START + ENTRY).all()
    assert (step.loc[~same, "session"] == 1).all()
    assert step.loc[within, "time"].median() < 600
    assert step.loc[same & ~within, "time"].min() >= 7_200
    assert step.loc[same & ~within, "time"].median() > 86_400
    lengths = shop.events.groupby("session").size()
    assert lengths.mean() == pytest.approx(4, rel=0.1)


def test_popularity_is_skewed(shop: Shop) -> None:
    counts = np.sort(shop.events["item"].value_counts())[::-1]
    assert 0.18 < counts[: len(shop.items) // 20].sum() / counts.sum() < 0.4
    for department in range(len(CATEGORIES)):
        own = np.sort(shop.rules.popularity[shop.rules.department == department])[::-1]
        assert own.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(own[:10] / own[0], np.arange(1, 11) ** -0.8)
    place = np.arange(len(shop.items))  # popularity cannot be read off the number of an item
    assert abs(np.corrcoef(place % (len(place) / 12), shop.rules.popularity)[0, 1]) < 0.3


def test_a_share_of_users_and_items_is_cold(shop: Shop) -> None:
    assert shop.users["cold"].mean() == pytest.approx(0.1)
    lengths = shop.events.groupby("user").size().to_numpy()
    assert set(lengths[shop.users["cold"]]) == {3, 4}
    assert lengths[~shop.users["cold"]].min() >= 5
    counts = np.bincount(shop.events["item"], minlength=len(shop.items))
    cold = shop.items["cold"].to_numpy()
    assert cold.mean() == pytest.approx(0.1, abs=0.02)
    assert counts[cold].mean() < 10
    assert counts[cold].max() < np.median(counts[~cold])
    none = make_shop(**SMALL, cold_users=0.0, cold_items=0.0)
    assert not none.users["cold"].any()
    assert not none.items["cold"].any()


def test_successors_follow_within_a_session_only() -> None:
    shop = make_shop(p_follow=0.5, p_repeat=0.0, num_items=2_000, num_users=4_000)
    before, after, within = previous(shop)
    rules = shop.rules
    matches = (rules.successors[before] == after[:, None]) & (rules.follow_weights[before] > 0)
    follows = matches.any(1)
    assert follows[within].mean() == pytest.approx(0.5, abs=0.03)
    assert follows[~within].mean() < 0.04
    slots = matches[within & follows].mean(0)
    expected = rules.follow_weights[before[within]].mean(0)
    np.testing.assert_allclose(slots, expected, atol=0.03)
    assert (np.diff(slots) < 0).all()
    assert set((rules.follow_weights > 0).sum(1)) == {3, 4, 5}


def test_a_phone_is_followed_by_a_case(shop: Shop) -> None:
    first = shop.rules.successors[:, 0]
    titles = shop.items["title"].to_numpy()
    phones = [item for item in range(len(titles)) if titles[item].split()[2:-1] == ["Phone"]]
    assert len(phones) > 3
    assert all(" Phone Case " in titles[first[item]] for item in phones)
    assert not shop.items["cold"].to_numpy()[shop.rules.successors].any()


def test_only_what_is_used_up_is_bought_again() -> None:
    settings: dict[str, Any] = {"p_follow": 0.0, "num_items": 20_000, "num_users": 1_000}
    shares = {}
    for p_repeat in (0.0, 0.7):
        shop = make_shop(**settings, p_repeat=p_repeat)
        again = shop.events.duplicated(["user", "item"]).to_numpy()
        used_up = USED_UP[shop.rules.department[shop.events["item"]]]
        shares[p_repeat] = again[used_up].mean(), again[~used_up].mean()
    assert shares[0.7][0] > 0.4
    assert max(shares[0.0][0], shares[0.0][1], shares[0.7][1]) < 0.05


def test_features_tell_of_tastes(shop: Shop) -> None:
    taste = pd.DataFrame(shop.rules.taste)
    np.testing.assert_allclose(taste.sum(axis=1), 1.0)
    for feature, least in (("segment", 0.3), ("age_group", 0.1), ("region", 0.03)):
        means = taste.groupby(shop.users[feature].to_numpy()).transform("mean")
        assert means.var().sum() / taste.var().sum() > least


def test_probabilities_sum_to_one(shop: Shop) -> None:
    users = np.arange(4)
    histories = np.array([[-1, -1, -1], [7, -1, -1], [480, 480, 3], [480, 485, 470]])
    probabilities = shop.probabilities(users, histories)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    assert (probabilities > 0).all()
    empty = shop.probabilities(users[:1], np.empty((1, 0), int))
    np.testing.assert_array_equal(empty, probabilities[:1])
    rules = shop.rules
    np.testing.assert_allclose(empty[0], rules.taste[0][rules.department] * rules.popularity)


def test_a_state_has_the_probabilities_that_it_is_drawn_with() -> None:
    shop, size = make_shop(**SMALL), 400_000
    rng = np.random.default_rng(0)
    history = np.array([80, 3, 80, 85, 10])  # pets, phones, computers
    users, last = np.full(size, 5), np.full(size, history[-1])
    new = rng.random(size) < shop.rules.p_end
    drawn = shop.rules.draw(rng, users, last, rng.choice(history, size), new)
    counts = np.bincount(drawn, minlength=90)
    expected = size * shop.probabilities(users[:1], history[None])[0]
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 89 + 5 * math.sqrt(2 * 89)


def test_events_have_the_probabilities_of_their_states(crowd: Shop) -> None:
    """Summed over users, what was expected next is what came, from small to large bets.

    So it is for bets on the first and on the last item of the history, too.
    """
    expected, came = np.zeros(100), np.zeros(100)
    again, came_again = np.zeros(2), np.zeros(2)
    bets, wins = np.zeros(10), np.zeros(10)
    for users, histories, targets in crowd.held_out(1):
        probabilities = crowd.probabilities(users, histories)
        expected += probabilities.sum(0)
        came += np.bincount(targets, minlength=100)
        rows = np.arange(len(users))
        ends = histories[rows, [0 * rows, (histories >= 0).sum(1) - 1]]
        again += probabilities[rows, ends].sum(1)
        came_again += (targets == ends).sum(1)
        hit = np.zeros(probabilities.shape)
        hit[rows, targets] = 1
        level = np.minimum(probabilities * 20, 9).astype(int)
        bets += np.bincount(level.ravel(), probabilities.ravel(), minlength=10)
        wins += np.bincount(level.ravel(), hit.ravel(), minlength=10)
    assert ((came - expected) ** 2 / expected).sum() < 100 + 5 * math.sqrt(200)
    np.testing.assert_array_less(np.abs(wins - bets), 5 * np.sqrt(bets) + 1)
    np.testing.assert_array_less(np.abs(came_again - again), 5 * np.sqrt(again))


def test_what_is_held_out_comes_after_its_history(shop: Shop) -> None:
    sequences = shop.events.groupby("user")["item"].apply(list)
    for steps in (1, 2):
        users, histories, targets = (
            np.concatenate(parts) if parts[0].ndim == 1 else parts[0]
            for parts in zip(*shop.held_out(steps, max_users=50), strict=True)
        )
        assert users.tolist() == list(range(50))
        for user, history, target in zip(users, histories, targets, strict=True):
            assert history[history >= 0].tolist() == sequences[user][:-steps]
            assert target == sequences[user][-steps]


@pytest.mark.parametrize("mask_seen", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_oracle_agrees_with_plain_python(mask_seen: bool, steps: int) -> None:
    """A second account of the model, item by item, with its own ranking."""
    shop = make_shop(**SMALL)
    rules, gains, hits = shop.rules, [], []
    catalogue = sorted(set(shop.events["item"]))
    assert len(catalogue) < len(shop.items)  # some were never bought and stand in no list
    for user, items in shop.events.groupby("user")["item"].apply(list).items():
        history, target = items[:-steps], items[-steps]
        follow = (1 - rules.p_end) * rules.p_follow
        kept = [item for item in history if USED_UP[rules.department[item]]]
        probability = {}
        for item in catalogue:
            repeat = rules.p_repeat * kept.count(item) / len(history)
            fresh = 1 - rules.p_repeat * len(kept) / len(history)
            fresh *= rules.taste[user, rules.department[item]] * rules.popularity[item]
            slots = np.flatnonzero(rules.successors[history[-1]] == item)
            next_one = rules.follow_weights[history[-1], slots].sum()
            probability[item] = follow * next_one + (1 - follow) * (repeat + fresh)
            if mask_seen and item in history:
                probability[item] = 0.0
        own = probability[target]
        rank = 1 + sum(p > own * (1 + 1e-9) for p in probability.values())
        rank += (sum(abs(p - own) <= 1e-9 * own for p in probability.values()) - 1) / 2
        hits.append(rank <= 40)
        gains.append(1 / math.log2(1 + rank) if rank <= 40 else 0.0)
    quality = oracle_ndcg(shop, k=40, steps_from_end=steps, mask_seen=mask_seen)
    assert quality == pytest.approx({"ndcg@40": np.mean(gains), "recall@40": np.mean(hits)})


@pytest.mark.parametrize("mask_seen", [False, True])
def test_no_other_ranking_beats_the_oracle(crowd: Shop, mask_seen: bool) -> None:
    """Each wrong ranking lacks one thing that the oracle knows."""
    rules = crowd.rules
    popularity = np.bincount(crowd.events["item"], minlength=len(crowd.items))
    order = np.random.default_rng(0).permutation(len(crowd.items))
    mean = np.broadcast_to(rules.taste.mean(0), rules.taste.shape)

    def without(**changes: Any) -> Any:
        return dataclasses.replace(rules, **changes).probabilities

    wrong = {
        "popularity": lambda users, histories: np.tile(popularity, (len(users), 1)).astype(float),
        "shuffled": lambda users, histories: crowd.probabilities(users, histories)[:, order],
        "strangers": lambda users, histories: crowd.probabilities(users[::-1], histories),
        "no taste": without(taste=mean),
        "no successors": without(p_follow=0.0),
        "always a successor": without(p_end=0.0, p_follow=0.99),
    }
    if not mask_seen:
        wrong["no repeats"] = without(p_repeat=0.0)
    best = oracle_ndcg(crowd, mask_seen=mask_seen)["ndcg@10"]
    for name, scores in wrong.items():
        quality = oracle_ndcg(crowd, mask_seen=mask_seen, scores=scores)["ndcg@10"]
        assert quality < best - 0.003, name


def test_scores_of_any_type_are_ranked_and_nan_is_the_worst(crowd: Shop) -> None:
    counts = np.bincount(crowd.events["item"], minlength=len(crowd.items))

    def popularity(users: np.ndarray, histories: np.ndarray) -> np.ndarray:
        return np.tile(counts, (len(users), 1))

    def nothing(users: np.ndarray, histories: np.ndarray) -> np.ndarray:
        return np.full((len(users), len(counts)), np.nan)

    def partly(users: np.ndarray, histories: np.ndarray) -> np.ndarray:
        return np.where(counts == counts.max(), np.nan, popularity(users, histories))

    whole = oracle_ndcg(crowd, scores=popularity)
    top = np.mean([(targets == counts.argmax()).mean() for _, _, targets in crowd.held_out()])
    eleventh = np.argsort(-counts, kind="stable")[10]
    rest = np.mean([(targets == eleventh).mean() for _, _, targets in crowd.held_out()])
    assert 0 < rest < top
    assert oracle_ndcg(crowd, scores=nothing) == {"ndcg@10": 0.0, "recall@10": 0.0}
    recall = oracle_ndcg(crowd, scores=partly)["recall@10"]
    assert recall == pytest.approx(whole["recall@10"] - top + rest)


@pytest.mark.parametrize("steps", [0, -1, 4])
def test_a_step_that_a_short_history_lacks_is_refused(crowd: Shop, steps: int) -> None:
    with pytest.raises(ValueError, match=f"steps_from_end={steps}"):
        oracle_ndcg(crowd, steps_from_end=steps)


def test_the_default_shop_can_be_learnt_but_not_by_counting(shop: Shop) -> None:
    popularity = np.bincount(shop.events["item"], minlength=len(shop.items)).astype(float)
    before, after, _ = previous(shop)
    steps = np.zeros((len(popularity), len(popularity)))
    np.add.at(steps, (before, after), 1)  # the held-out steps included: an upper bound

    def markov(users: np.ndarray, histories: np.ndarray) -> np.ndarray:
        last = histories[np.arange(len(users)), (histories >= 0).sum(1) - 1]
        return steps[last] + popularity / popularity.sum()

    counted = oracle_ndcg(shop, scores=lambda users, _: np.tile(popularity, (len(users), 1)))
    chained, best = oracle_ndcg(shop, scores=markov), oracle_ndcg(shop)
    assert 2 * counted["ndcg@10"] < chained["ndcg@10"] < best["ndcg@10"] - 0.08
    assert best["recall@10"] < 0.8
