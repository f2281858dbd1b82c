"""The black box: what is counted, what is kept, and what is refused."""

import copy
import pickle

import pytest
import torch
from hurry import at_once

import queen_ref as qr

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def uniform(images):
    return torch.full((len(images), 4), 0.25)


def test_every_answered_image_is_counted():
    api = qr.BlackBox(uniform)
    api(IMAGES)
    api(IMAGES[:2])
    assert api.queries == 8 and api.remaining is None


def test_a_batch_past_the_budget_is_not_served_in_part():
    asked = []
    api = qr.BlackBox(lambda x: asked.append(len(x)) or uniform(x), budget=8)
    api(IMAGES)
    with pytest.raises(qr.BudgetExceeded, match="6 queries asked, 2 of 8 left"):
        api(IMAGES)
    assert asked == [6] and api.queries == 6
    assert api(IMAGES[:2]).shape == (2, 4) and api.remaining == 0


def test_a_refused_query_is_not_counted():
    def refuse(images):
        raise ValueError("images: expected something else")

    api = qr.BlackBox(refuse, budget=10)
    with pytest.raises(ValueError, match="something else"):
        api(IMAGES)
    with pytest.raises(ValueError, match="finite"):
        qr.BlackBox(uniform, budget=10)(IMAGES * float("nan"))
    assert api.queries == 0


@pytest.mark.parametrize("budget", [-1, 2.5, "many", True])
def test_a_budget_that_is_no_count_is_refused(budget):
    with pytest.raises(ValueError, match="budget: expected an integer"):
        qr.BlackBox(uniform, budget=budget)


class Ledger(qr.NoDefense):
    """Remembers who asked."""

    def __init__(self):
        super().__init__(lambda x: x.flatten(1)[:, :4])
        self.asked = []

    def __call__(self, images, client="default"):
        self.asked.append(client)
        return super().__call__(images, client)


def test_the_client_is_named_to_a_model_that_takes_one_and_to_no_other():
    defense = Ledger()
    qr.BlackBox(defense, client="thief")(IMAGES)
    qr.BlackBox(defense)(IMAGES)
    assert defense.asked == ["thief", "default"]

    def named(images, client):
        return defense(images, client=f"{client} of another")

    qr.BlackBox(named, client="thief")(IMAGES)
    assert defense.asked[-1] == "thief of another"
    assert qr.BlackBox(uniform, client="thief")(IMAGES).shape == (6, 4)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))
    assert qr.BlackBox(module, client="thief")(IMAGES).shape == (6, 4)


@pytest.mark.parametrize("client", [3, None, b"thief"])
def test_a_client_without_a_name_is_refused(client):
    with pytest.raises(ValueError, match="client: expected a name"):
        qr.BlackBox(uniform, client=client)


def test_what_was_said_is_kept_if_asked():
    api = qr.BlackBox(Ledger(), budget=8, record=True)
    said = [api(IMAGES), api(IMAGES[:2])]
    with pytest.raises(qr.BudgetExceeded):
        api(IMAGES[:1])
    kept = list(api.exchanges())
    assert [len(images) for images, _ in kept] == [6, 2] and api.queries == 8
    assert all(torch.equal(one, other) for one, (_, other) in zip(said, kept, strict=True))
    assert list(api.exchanges())  # and once more


def test_a_box_that_keeps_nothing_says_so():
    with pytest.raises(ValueError, match="exchanges: expected a BlackBox with record=True"):
        qr.BlackBox(uniform).exchanges()


def test_a_failing_model_is_neither_counted_nor_kept():
    defense = Ledger()
    api = qr.BlackBox(defense, budget=10, record=True)
    defense.victim = lambda images: 1 / 0
    with pytest.raises(ZeroDivisionError):
        api(IMAGES)
    assert api.queries == 0 and api.remaining == 10 and not list(api.exchanges())


@pytest.mark.parametrize("bad", [IMAGES * float("nan"), IMAGES[:0], IMAGES[0], "images", None])
@pytest.mark.parametrize("make", [Ledger, lambda: uniform])
def test_bad_images_are_refused_before_a_defence_or_a_function_sees_them(bad, make):
    api = qr.BlackBox(make(), budget=10)
    with pytest.raises(ValueError, match="images: expected"):
        api(bad)
    assert api.queries == 0


def test_a_budget_from_eight_threads_is_that_of_one():
    asked = []
    api = qr.BlackBox(lambda x: asked.append(len(x)) or uniform(x), budget=100, record=True)
    results = at_once(lambda _: api(IMAGES[:1]), range(400))
    served = [result for result in results if isinstance(result, torch.Tensor)]
    assert len(served) == sum(asked) == api.queries == len(list(api.exchanges())) == 100
    assert all(isinstance(r, (torch.Tensor, qr.BudgetExceeded)) for r in results)
    assert api.remaining == 0


def test_batches_from_threads_are_served_whole_or_not_at_all():
    api = qr.BlackBox(uniform, budget=100)
    results = at_once(lambda size: api(IMAGES[:size]), [1, 2, 3, 4, 5, 6] * 20)
    sizes = [len(result) for result in results if isinstance(result, torch.Tensor)]
    assert sum(sizes) == api.queries <= 100 and api.remaining == 100 - api.queries < 6


def test_what_fails_in_a_thread_is_given_back():
    def moody(images):
        if len(images) == 2:
            raise RuntimeError("no mood")
        return uniform(images)

    api = qr.BlackBox(moody)
    at_once(lambda size: api(IMAGES[:size]), [1, 2] * 100)
    assert api.queries == 100
    api.budget = 101
    assert api.remaining == 1 and len(api(IMAGES[:1])) == 1


def test_what_is_being_answered_is_set_aside_meanwhile():
    left = []
    api = qr.BlackBox(lambda x: left.append(api.remaining) or uniform(x), budget=10)
    api(IMAGES)
    assert left == [4] and api.remaining == 4


def test_a_copy_goes_on_counting_by_itself():
    api = qr.BlackBox(uniform, budget=10, record=True)
    api(IMAGES)
    for other in (copy.deepcopy(api), copy.copy(api), pickle.loads(pickle.dumps(api))):
        other(IMAGES[:1])
        assert (other.queries, api.queries) == (7, 6)
        assert (len(list(other.exchanges())), len(list(api.exchanges()))) == (2, 1)


def test_a_thief_with_several_accounts_pays_for_all_of_them():
    asked = []

    def model(images, client):
        asked.append((client, len(images)))
        return torch.full((len(images), 2), 0.5)

    api = qr.BlackBox(model, budget=5, client="thief")
    images = torch.rand(2, 1, 8, 8)
    api(images), api(images, client="thief 2")
    assert asked == [("thief", 2), ("thief 2", 2)] and api.queries == 4
    assert api.accounts == {"thief": 2, "thief 2": 2}
    with pytest.raises(qr.BudgetExceeded):
        api(images, client="thief 3")
    with pytest.raises(ValueError, match="client: expected a name"):
        api(images, client=3)
    assert api.queries == 4 and len(asked) == 2
