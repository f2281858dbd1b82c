"""p-Bayes: the mean of all that would have looked the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from thief import simplex

from queen_ref.attacks.bayes import posterior_mean


def naive_posterior(answers, clean, perturbed):
    """The definition, a row at a time."""
    labels = []
    for y in answers.tolist():
        top = max(range(len(y)), key=y.__getitem__)
        near = [
            (sum(abs(a - b) for a, b in zip(row, y, strict=True)), target)
            for row, target in zip(perturbed.tolist(), clean.tolist(), strict=True)
            if max(range(len(row)), key=row.__getitem__) == top
        ]
        reach = max(0.01, min((d for d, _ in near), default=0)) + 1e-6
        found = [target for d, target in near if d <= reach] or [y]
        labels.append([sum(column) / len(found) for column in zip(*found, strict=True)])
    return torch.tensor(labels, dtype=answers.dtype)


@settings(max_examples=30)
@given(
    classes=st.integers(2, 6),
    rows=st.integers(1, 60),
    decimals=st.integers(1, 4),
    chunk=st.sampled_from([1, 50, 10_000]),
    seed=st.integers(0, 999),
)
def test_p_bayes_is_the_mean_its_definition_says(classes, rows, decimals, chunk, seed):
    clean, asked = (simplex(n, classes, seed).double() for n in (rows, 20))

    def perturb(probs):  # coarse, so that many rows coincide
        rounded = probs.round(decimals=decimals) + 1e-9
        return rounded / rounded.sum(1, keepdim=True)

    answers = perturb(asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("queen_ref.attacks.bayes.CELLS", chunk)
        labels = posterior_mean(answers, clean, perturb(clean))
    torch.testing.assert_close(labels, naive_posterior(answers, clean, perturb(clean)))
