"""Names of methods: found, registered, never replaced by accident; and what stands for them."""

from functools import partial

import pytest

from queen_ref.registry import Registry, kind_of, label_of, says


class Sharpen:
    power_of = True

    def __init__(self, power=2):
        self.power, self.hidden = power, [1]

    @classmethod
    def usual(cls):
        return cls()


def plain(a, b=1):
    return a


def test_what_the_package_brings_stays():
    known = Registry("colour", {"red": 1})
    known.register("green", 2)
    known.register("green", 3)
    assert dict(known) == {"red": 1, "green": 3} and known.find("green") == 3
    with pytest.raises(ValueError, match="colour: .*'red' is the package's"):
        known.register("red", 2)
    with pytest.raises(ValueError, match="colour: expected one of 'red', 'green', got 'blue'"):
        known.find("blue")


@pytest.mark.parametrize("name", ["", " ", "all", "a,b", 3, None])
def test_a_name_must_be_one_for_the_command_line(name):
    with pytest.raises(ValueError, match="colour: expected a name"):
        Registry("colour", {}).register(name, 1)


@pytest.mark.parametrize(
    ("thing", "label"),
    [
        (plain, "plain"),
        (Sharpen, "Sharpen"),
        (Sharpen(3), "Sharpen(power=3)"),
        (Sharpen.usual, "Sharpen"),
        (partial(Sharpen, power=3), "Sharpen(power=3)"),
        (partial(partial(plain, 1), b=plain), "plain(1, b=plain)"),
        (lambda x: x, "<lambda>"),
    ],
)
def test_a_label_tells_a_method_and_its_settings(thing, label):
    assert label_of(thing) == label


def test_the_class_speaks_for_what_is_made_of_it():
    assert kind_of(partial(Sharpen, power=3)) is kind_of(Sharpen.usual) is Sharpen
    assert says(partial(Sharpen, power=3), "power_of", False) and says(plain, "power_of", 1) == 1
