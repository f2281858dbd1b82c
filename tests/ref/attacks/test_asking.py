"""Before the first query is paid for: the budget, the images that the API takes, its classes."""

from dataclasses import replace

import pytest
import torch
from blocks import Blocks, blocks
from thief import BUDGET, POOL, TINY, everything, victim_of

import queen_ref as qr
from queen_ref.attacks import Sizes, ask, knockoff, steal
from queen_ref.attacks.asking import check_door, check_left
from queen_ref.attacks.jbda import jbda_tr
from queen_ref.attacks.smoothing import ask_smoothed
from queen_ref.training import SUBSTITUTE

ONCE = replace(SUBSTITUTE, epochs=1)
IMAGES = blocks(20)[0]


def uniform(images):
    return torch.full((len(images), 4), 0.25)


def test_answers_come_back_in_the_order_of_the_queries():
    answers = ask(lambda x: x.flatten(1)[:, :2].softmax(1), IMAGES, query_batch=6)
    torch.testing.assert_close(answers, IMAGES.flatten(1)[:, :2].softmax(1))


SPENT = {
    "ask": lambda api: ask(api, IMAGES, 5),
    "knockoff": lambda api: knockoff(api, IMAGES, 20, ONCE, query_batch=5),
    "smoothing": lambda api: ask_smoothed(api, IMAGES[:7], query_batch=2),
    "jbda": lambda api: jbda_tr(api, IMAGES, 20, lambda x, y: Blocks(), seeds=5, query_batch=5),
    "steal": lambda api: steal(api, IMAGES, 20, sizes=Sizes(ONCE, query_batch=5)),
    "steal by smoothing": lambda api: steal(api, IMAGES, 7, attack="smoothing", sizes=Sizes(ONCE)),
    "steal by jbda": lambda api: steal(
        api, IMAGES, 20, "jbda-tr", sizes=Sizes(ONCE, jbda_seeds=5, query_batch=5)
    ),
}


@pytest.mark.parametrize("attack", SPENT.values(), ids=SPENT.keys())
@pytest.mark.parametrize("spent", [0, 3])
def test_a_budget_that_is_not_enough_stays_as_it_is(attack, spent):
    api = qr.BlackBox(uniform, budget=19 + spent)
    if spent:
        api(IMAGES[:spent])
    with pytest.raises(qr.BudgetExceeded, match=r"^2[01] queries needed, 19 of \d\d left$"):
        attack(api)
    assert api.queries == spent


def test_a_budget_that_is_just_enough_is_enough():
    api = qr.BlackBox(uniform, budget=20)
    assert SPENT["ask"](api).shape == (20, 4) and api.remaining == 0
    check_left(uniform, 10**9)  # who counts nothing has enough


@pytest.mark.parametrize("batch", [0, -1, 2.5, "all", None])
def test_a_batch_of_none_is_refused(batch):
    api = qr.BlackBox(uniform)
    for attack in (
        lambda: ask(api, IMAGES, batch),
        lambda: knockoff(api, IMAGES, 20, ONCE, query_batch=batch),
        lambda: ask_smoothed(api, IMAGES, query_batch=batch),
        lambda: jbda_tr(api, IMAGES, 20, lambda x, y: Blocks(), 5, query_batch=batch),
    ):
        with pytest.raises(ValueError, match="^query_batch: expected an integer >= 1"):
            attack()
    assert api.queries == 0


OTHERS = {
    "another dtype": IMAGES.double(),
    "larger": torch.zeros(20, 1, 28, 28),
    "coloured": torch.zeros(20, 3, 8, 8),
    "flat": torch.zeros(20, 64),
    "with NaN": torch.full((20, 1, 8, 8), torch.nan),
}


@pytest.mark.parametrize("pool", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("attack", [steal, knockoff])
def test_images_that_the_api_does_not_take_are_refused_in_one_line(attack, pool):
    api = qr.BlackBox(qr.NoDefense(victim_of(3)), budget=100)
    with pytest.raises(ValueError, match="^(pool|images): expected") as caught:
        attack(api, pool, 20)
    assert api.queries == 0 and "\n" not in str(caught.value)


@pytest.mark.parametrize("attack", [steal, knockoff])
def test_images_on_another_device_are_refused_before_the_first_query(attack):
    api = qr.BlackBox(qr.NoDefense(victim_of(3).to("meta")))
    with pytest.raises(ValueError, match="^images: expected a tensor on meta, got one on cpu"):
        attack(api, IMAGES, 20)
    assert api.queries == 0


def test_the_door_tells_how_many_classes_there_are_and_moves_nothing():
    victim = victim_of(5)
    assert check_door(qr.NoDefense(victim), POOL, 10) == 5
    assert check_door(qr.BlackBox(qr.NoDefense(lambda x: x.flatten(1)[:, :7])), POOL, 10) == 7
    assert check_door(uniform, POOL, 10) is None
    before = {name: value.clone() for name, value in victim.state_dict().items()}
    api = qr.BlackBox(qr.NoDefense(victim))
    check_door(api, POOL, 10)
    torch.testing.assert_close(victim.state_dict(), before)
    assert api.queries == 0


@pytest.mark.parametrize("known", ["api", "copy"])
def test_ddae_with_too_few_classes_is_refused_before_the_first_query(known):
    victim = victim_of(10)
    knowledge = replace(everything(victim), pool_labels=torch.arange(60) % 5)
    asked = []
    api = qr.BlackBox(qr.NoDefense(victim))
    if known == "copy":  # what is behind the API nobody knows, but the thief has its defence
        api = qr.BlackBox(lambda x: asked.append(x) or victim(x).softmax(1))
    with pytest.raises(ValueError, match="at least the API's 10 classes, got 5"):
        steal(api, POOL, BUDGET, "random", "ddae", knowledge, TINY)
    assert api.queries == 0 and not asked


@pytest.mark.parametrize("settings", [{"seed": -1}, {"recipe": 5}, {"recipe": {"epochs": 3}}])
def test_knockoff_refuses_settings_before_it_asks(settings):
    api = qr.BlackBox(uniform)
    with pytest.raises(ValueError, match="(seed|recipe): expected"):
        knockoff(api, IMAGES, 20, **settings)
    assert api.queries == 0


def test_a_watcher_that_is_no_function_is_refused_before_it_asks():
    api = qr.BlackBox(uniform)
    with pytest.raises(ValueError, match="^after_epoch: expected a function, got int"):
        steal(api, IMAGES, 20, after_epoch=3)
    assert api.queries == 0
