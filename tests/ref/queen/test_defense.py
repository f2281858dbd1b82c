"""The whole defence: what it promises its clients, its operator and its memory."""

import copy
import dataclasses
import pickle

import pytest
import torch
from hurry import at_once

import queen_ref as qr
from queen_ref.defenses import Defense
from queen_ref.queen.answering import Answering
from queen_ref.queen.point_grid import close_earlier

EAGER = qr.QueenConfig(threshold=0.01, shadows=3, shadows_per_query=2, map_epochs=15)


def test_queen_is_a_defence_like_the_others(setting, queen):
    assert isinstance(queen, Defense)
    assert (queen.name, queen.with_settings(answer="exact").name) == ("queen", "queen-exact")
    assert queen.with_settings(method="exact").config.answer == "exact"  # its old name
    assert (queen.stateful, queen.keeps_label, queen.l1_bound) == (True, False, None)
    with pytest.raises(ValueError, match="victim: expected a method .features"):
        qr.Queen(lambda x: x, queen.config, queen.seed, queen.parts)


def test_pixels_that_overflow_in_the_victim_are_refused_and_leave_no_trace(queen, images):
    with pytest.raises(ValueError, match="expected finite numbers"):
        queen(images[:5] * 1e38)
    assert queen.clients == {}


def test_answers_lie_on_the_simplex_and_every_regime_occurs(queen, images):
    answers = queen(images)
    report = queen.report()
    assert report["queries"] == len(images)
    # Of 400: 221 to 246 inside, 8 to 11 recorded, 149 to 224 reversed, all without their label,
    # with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert report["inside"] >= report["recorded"] + report["reversed"]
    assert min(report["recorded"], report["reversed"]) > 0
    assert report["inside"] < len(images)
    assert bool((answers >= 0).all())
    torch.testing.assert_close(answers.sum(1), torch.ones(len(images)))


def test_a_batch_is_answered_like_the_same_queries_one_by_one(double):
    images, queen = double
    queen.reset()
    together = queen(images[:150], client="batch")
    single = torch.cat([queen(image[None], client="single") for image in images[:150]])
    assert queen.report("batch") == queen.report("single")
    assert queen.report("batch")["reversed"] > 0
    # The shadows are drawn per client, so reversed answers differ; all others agree.
    verdict = queen.new_ledger().observe(*_located(queen, images[:150]))
    rest = ~verdict.reverse
    torch.testing.assert_close(together[rest], single[rest], rtol=1e-3, atol=1e-5)


def test_one_client_batched_or_not_gets_the_same_reversed_answers(double):
    images, queen = double
    queen.reset()
    together = queen(images[:150])
    queen.reset()
    single = torch.cat([queen(image[None]) for image in images[:150]])
    torch.testing.assert_close(together, single, rtol=1e-3, atol=1e-5)


def test_the_ledger_sees_the_mapped_features(queen, images):
    expected = queen.new_ledger().observe(*_located(queen, images))
    queen(images)
    assert queen.report()["inside"] == int(expected.inside.sum())
    assert queen.report()["reversed"] == int(expected.reverse.sum())


def test_only_reversed_answers_lose_the_label(queen, images):
    labels = queen.look(images).labels
    verdict = queen.new_ledger().observe(*_located(queen, images))
    answers = queen(images)
    kept = answers.argmax(1) == labels
    assert bool(kept[~verdict.reverse].all())
    assert not bool(kept[verdict.reverse].all())


def test_untouched_others_get_the_victims_own_softmax(setting, queen, images):
    plain = queen.with_settings(others="untouched")
    verdict = plain.new_ledger().observe(*_located(queen, images))
    torch.testing.assert_close(
        plain(images)[~verdict.reverse], setting[0](images).softmax(1)[~verdict.reverse]
    )


def test_clients_do_not_see_each_other(queen, images):
    first = queen(images, client="a")
    queen(images, client="b")
    assert queen.report("a") == queen.report("b")
    queen.reset("a")
    assert queen.report("a")["queries"] == 0 and queen.report("b")["queries"] == len(images)
    torch.testing.assert_close(queen(images, client="a"), first)


def test_a_shared_ledger_is_one_for_all(queen, images):
    shared = queen.with_settings(ledgers="shared")
    shared(images, client="thief")
    shared(images, client="honest")
    assert shared.report("honest")["recorded"] == 0
    assert shared.report("honest")["queries"] == len(images)
    assert shared.ledger("honest") is shared.ledger("thief")


def test_same_client_same_image_same_state_same_answer(queen, images):
    queen(images)  # the region is covered: nothing is recorded any more
    again, third = queen(images), queen(images)
    assert torch.equal(again, third)


def test_a_report_on_a_stranger_is_zero_and_creates_nothing(queen):
    assert queen.report("nobody") == dict(queries=0, inside=0, recorded=0, reversed=0)
    assert queen.clients == {}


@pytest.mark.parametrize(
    "changes", [{"shadow_mean": "logits"}, {"answer": "exact"}, {"walk_units": "relative"}]
)
def test_every_way_of_answering_stays_on_the_simplex(queen, images, changes):
    answers = queen.with_settings(**changes)(images)
    torch.testing.assert_close(answers.sum(1), torch.ones(len(images)))
    assert bool((answers >= 0).all())


BAD = {
    "finite": lambda x: x * float("nan"),
    "got NaN or infinity": lambda x: x + float("inf"),
    r"shape \(B, 1, 8, 8\)": lambda x: torch.zeros(2, 1, 9, 9),
    r"shape \(B, C, H, W\)": lambda x: x[0],
    "at least one image": lambda x: x[:0],
    "dtype torch.float32": lambda x: x.double(),
    "floating-point": lambda x: (x * 255).byte(),
    "a tensor on cpu": lambda x: x.to("meta"),
    "torch.Tensor": lambda x: x.numpy(),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_images_are_refused_and_nothing_is_counted(queen, images, message):
    with pytest.raises(ValueError, match=message):
        queen(BAD[message](images[:2]), client="a")
    assert queen.clients == {}


def test_a_client_without_a_name_is_refused(queen, images):
    with pytest.raises(ValueError, match="client: expected a name"):
        queen(images, client=3)


def test_a_query_that_fails_half_way_leaves_no_trace(queen, images, monkeypatch):
    queen(images[:60])
    before, points = queen.report(), queen.ledger().points[0]
    monkeypatch.setattr(queen.shadows, "forward", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        queen(images)
    assert queen.report() == before
    assert torch.equal(queen.ledger().points[0], points)


def test_exactly_k_s_shadow_forwards_per_reversed_query(queen, images, monkeypatch):
    seen = []
    hooks = [
        shadow.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
        for shadow in queen.shadows.models
    ]
    queen(images[:200])
    for hook in hooks:
        hook.remove()
    assert sum(seen) == queen.config.shadows_per_query * queen.report()["reversed"]
    assert len(seen) <= len(queen.shadows)  # each shadow runs once, on its share of the batch


def test_a_setting_that_is_baked_in_needs_a_new_fit(queen):
    with pytest.raises(ValueError, match=r"got \['map_epochs'\]; fit anew"):
        queen.with_settings(threshold=0.1, map_epochs=3)
    with pytest.raises(ValueError, match="answer or method, its old name, got both"):
        queen.with_settings(answer="hidden", method="exact")


@pytest.mark.parametrize("answer", ["cosine", "hidden"])
def test_answers_that_fit_other_images_are_not_reversed(queen, images, answer):
    reverse = queen.with_settings(answer=answer).reverse
    for probs in (torch.full((1, 4), 0.25), torch.full((3, 5), 0.2)):
        with pytest.raises(ValueError, match=r"probs: expected \(3, 4\), one row per image, got"):
            reverse(images[:3], probs)


def test_a_reversed_answer_is_never_given_in_train_mode(setting, images):
    victim = Dropping(copy.deepcopy(setting[0]))  # it is left in train mode
    queen = qr.Queen.fit(victim, images, setting[2], EAGER, seed=0).with_settings(answer="hidden")
    assert queen.centroid_logits is None
    victim.train()
    probs = torch.full((50, 4), 0.25).scatter(1, torch.zeros(50, 1).long(), 0.4)
    answers = [queen.reverse(images[:50], probs / probs.sum(1, keepdim=True)) for _ in range(3)]
    assert victim.drop.training
    assert torch.equal(answers[0], answers[1]) and torch.equal(answers[1], answers[2])


def test_a_victim_with_a_bent_head_walks_too(setting):
    _, images, labels, _ = setting
    victim = BentVictim(setting[0])
    config = dataclasses.replace(EAGER, threshold=1e9)
    queen = qr.Queen.fit(victim, images, labels, config, seed=0)
    assert queen.centroid_logits is None
    assert torch.equal(queen(images).argmax(1), queen.look(images).labels)


class BentVictim:
    """Not a module, and its head is not affine."""

    def __init__(self, victim):
        self.victim = victim

    def features(self, images):
        return self.victim.features(images).detach()

    def head(self, features):
        return self.victim.head(features).detach().sinh()


class Dropping(torch.nn.Module):
    """Its head is bent, and in train mode drops most of the features."""

    def __init__(self, victim):
        super().__init__()
        self.victim, self.drop = victim, torch.nn.Dropout(0.9)

    def features(self, images):
        return self.victim.features(images).detach()

    def head(self, features):
        return self.victim.head(self.drop(features)).detach().sinh()

    def forward(self, images):
        return self.head(self.features(images))


def _located(queen, images):
    query = queen.look(images)
    return query.points, query.labels


def test_one_client_from_eight_threads_is_counted_like_one_from_one(queen, images):
    calls = [image[None] for image in images[:160]]
    results = at_once(lambda image: queen(image, client="crowd"), calls)
    assert all(isinstance(result, torch.Tensor) for result in results)
    report, ledger = queen.report("crowd"), queen.ledger("crowd")
    assert report["queries"] == 160 and report["recorded"] == int(ledger.recorded.sum()) > 0
    # Inside does not depend on the order; the rest is that of some order, so of a legal ledger.
    assert report["inside"] == int(
        queen.new_ledger().observe(*_located(queen, images[:160])).inside.sum()
    )
    points, labels = ledger.points
    close = close_earlier(points, labels, ledger.spacing[labels])
    assert not bool(close.any()) and bool((ledger.recorded <= ledger.capacity).all())


def test_the_first_query_of_a_client_in_eight_threads_loses_nothing(queen, images):
    at_once(lambda n: queen(images[:1], client=str(n // 16)), range(80))
    for client in range(5):
        report = queen.report(str(client))
        assert report["queries"] == 16 and report["recorded"] <= 1


def test_a_shared_ledger_from_eight_threads_counts_every_client(queen, images):
    shared = queen.with_settings(ledgers="shared")
    at_once(lambda n: shared(images[n : n + 1], client=str(n % 5)), range(100))
    reports = [shared.report(str(client)) for client in range(5)]
    assert [report["queries"] for report in reports] == [20] * 5
    recorded = int(shared.ledger("0").recorded.sum())
    assert sum(report["recorded"] for report in reports) == recorded


def test_a_query_that_fails_takes_nothing_from_others_that_ask_meanwhile(
    queen, images, monkeypatch
):
    forward = queen.shadows.forward

    def moody(pictures, *rest):
        return 1 / 0 if len(pictures) > 1 else forward(pictures, *rest)

    monkeypatch.setattr(queen.shadows, "forward", moody)
    calls = [images[n : n + 1] for n in range(100)] + [images] * 5
    results = at_once(queen, calls[::-1])
    assert sum(isinstance(result, ZeroDivisionError) for result in results) == 5
    report = queen.report()
    assert report["queries"] == 100 and report["recorded"] == int(queen.ledger().recorded.sum())


def test_reset_while_others_ask_forgets_and_breaks_nothing(queen, images):
    def work(number):
        return queen.reset() if number % 20 == 0 else queen(images[number : number + 1])

    results = at_once(work, range(120))
    assert not any(isinstance(result, Exception) for result in results)
    report = queen.report()
    assert report["queries"] < 120 and report["recorded"] == int(queen.ledger().recorded.sum())


def test_the_least_recently_seen_client_leaves(queen, images):
    bounded = queen.with_settings(max_clients=2)
    for client in "abac":
        bounded(images[:5], client=client)
    assert list(bounded.clients) == ["a", "c"]
    assert bounded.report("a")["queries"] == 10 and bounded.report("b")["queries"] == 0
    assert bounded.report("b")["forgotten"] == 1 and "forgotten" not in queen.report("a")
    assert bounded.fresh().max_clients == 2 and bounded.fresh().forgotten == 0


def test_a_bound_survives_saving_and_holds_under_threads(setting, queen, images):
    bounded = queen.with_settings(max_clients=3)
    at_once(lambda n: bounded(images[n : n + 1], client=str(n)), range(60))
    assert len(bounded.clients) == 3 and bounded.forgotten == 57
    again = qr.Queen.from_state(setting[0], bounded.state_dict())
    assert (again.max_clients, again.forgotten) == (3, 57)
    assert list(again.clients) == list(bounded.clients)
    with pytest.raises(ValueError, match="max_clients: expected an integer >= 1"):
        queen.with_settings(max_clients=0)


def test_a_query_that_fails_drives_nobody_out(queen, images):
    bounded = queen.with_settings(max_clients=1)
    bounded(images[:5], client="a")
    with pytest.raises(ValueError, match="images"):
        bounded(images[:5] * float("nan"), client="b")
    assert list(bounded.clients) == ["a"] and bounded.forgotten == 0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda q: pickle.loads(pickle.dumps(q))])
def test_a_copy_has_a_memory_of_its_own(queen, images, copied):
    queen(images[:60], client="a")
    other = copied(queen)
    assert other.report("a") == queen.report("a")
    torch.testing.assert_close(other(images[60:120], "a"), queen(images[60:120], "a"))
    other(images[:5], client="b")
    assert "b" not in queen.clients and other.report("a") == queen.report("a")


def test_a_long_batch_is_answered_in_pieces_and_alike(double, monkeypatch):
    images, queen = double
    queen.reset()
    together = queen(images, client="a")
    sizes = []
    queen.reset()
    hook = queen.victim.body.register_forward_pre_hook(lambda _, x: sizes.append(len(x[0])))
    monkeypatch.setattr("queen_ref.defenses.chunks.CHUNK", 30)
    pieces = queen(images, client="a")
    hook.remove()
    assert max(sizes) == 30 and sum(sizes) == len(images)
    torch.testing.assert_close(pieces, together, rtol=1e-3, atol=1e-5)


def test_a_long_batch_that_fails_in_its_last_piece_leaves_no_trace(queen, images, monkeypatch):
    queen(images[:20])
    before, piece = queen.report(), Answering._piece
    monkeypatch.setattr("queen_ref.defenses.chunks.CHUNK", 100)
    monkeypatch.setattr(
        Answering,
        "_piece",
        lambda self, turn, *rest: piece(self, turn, *rest) if len(turn) > 50 else 1 / 0,
    )
    with pytest.raises(ZeroDivisionError):
        queen(images[:340])
    assert queen.report() == before


def test_every_answer_to_eight_threads_is_one_that_a_single_thread_could_give(queen, images):
    """Kept or turned, and nothing between; as many turned as the report says."""
    strict = queen.with_settings(threshold=0.02)
    kept = queen.with_settings(threshold=1.0)
    calls = [image[None] for image in images[:120]]
    answers = torch.cat(at_once(lambda image: strict(image, client="crowd"), calls))
    honest = torch.cat([kept(image, client="crowd") for image in calls])
    plain = torch.cat([queen.victim(image).softmax(1) for image in calls])
    turned = torch.cat(
        [
            queen.reverse(image, probs[None], client="crowd")
            for image, probs in zip(calls, plain, strict=True)
        ]
    )
    is_kept = (answers - honest).abs().amax(1) < 1e-5
    is_turned = (answers - turned).abs().amax(1) < 1e-5
    assert bool((is_kept | is_turned).all())
    counted = strict.report("crowd")["reversed"]
    assert int((~is_kept).sum()) <= counted <= int(is_turned.sum())
