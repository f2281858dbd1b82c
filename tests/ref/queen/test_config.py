"""Settings that make no sense."""

import dataclasses

import pytest

import queen_ref as qr
from queen_ref.queen.config import LATER, idle_settings, recorded_settings


@pytest.mark.parametrize(
    "settings",
    [
        {"shadows": 2, "shadows_per_query": 3},
        {"shadows_per_query": 0},
        {"spacing": float("nan")},
        {"threshold": -0.1},
        {"units": "feet"},
        {"answer": "fast"},
        {"method": "fast"},
        {"gate": "age"},
        {"gate_alarm": 0.0},
        {"gate_ratio": 1.0},
        {"gate_reverses": "some"},
        {"region_side": 0.0},
        {"others": "noise"},
        {"map_epochs": 0},
        {"shadow_accuracy": 1.5},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match="expected"):
        qr.QueenConfig(**settings)


def test_k_s_above_the_number_of_shadows_names_both():
    with pytest.raises(ValueError, match=r"k_s.*<= 2, got 3"):
        qr.QueenConfig(shadows=2, shadows_per_query=3)


def test_the_old_name_of_the_answer_is_still_understood():
    old = qr.QueenConfig(method="exact")
    assert old == qr.QueenConfig(answer="exact")
    assert dataclasses.replace(old, threshold=0.1).answer == "exact"
    assert dataclasses.replace(old, method="cosine") == qr.QueenConfig()
    with pytest.raises(ValueError, match="answer: expected one of 'cosine'"):
        qr.QueenConfig(method="fast")


def test_results_keep_their_words_and_a_setting_that_came_later_stands_where_it_is_changed():
    usual = recorded_settings(qr.QueenConfig())
    assert usual["method"] == "cosine" and not {"answer", *LATER} & set(usual)
    assert len(usual) == len(dataclasses.fields(qr.QueenConfig)) - len(LATER)
    gated = recorded_settings(qr.QueenConfig(answer="hidden", gate="inside"))
    assert gated == {**usual, "method": "hidden", "gate": "inside"}


@pytest.mark.parametrize(("gate", "answer"), [(None, "cosine"), ("inside", "swapped")])
def test_settings_of_what_it_has_not_are_idle(gate, answer):
    idle = idle_settings(qr.QueenConfig(gate=gate, answer=answer))
    assert idle == (set(LATER) - {"gate"} if gate is None else set())
