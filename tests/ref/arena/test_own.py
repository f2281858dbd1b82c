"""Methods, data and networks of one's own: a row each, from Python, the shell and two workers."""

import functools
import pickle

import pytest
import torch
from blocks import CLASSES, blocks
from own_methods import PLUGIN

import queen_ref as qr
from queen_ref import arena
from queen_ref.arena.own import Own, Packed, check_data
from queen_ref.attacks import ATTACKS, POLICIES, Attack
from queen_ref.cli import main
from queen_ref.defenses import DEFENSES, Defense


@pytest.fixture(autouse=True)
def registries():
    """What a test registers is gone after it."""
    before = [(known, dict(known)) for known in (ATTACKS, POLICIES, DEFENSES)]
    yield
    for known, kept in before:
        known.clear()
        known.update(kept)


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


class Half(Defense):
    """Half of the way to the uniform answer, or another part of it."""

    name, keeps_label = "half", True

    def __init__(self, victim, share=0.5):
        super().__init__(victim)
        self.share = share

    def answer(self, images, probs):
        return (1 - self.share) * probs + self.share / probs.shape[1]


def first(ask, pool, budget, train, seed):
    return pool[:budget], ask(pool[:budget])


def small_net(shape, num_classes, seed):
    channels, height, width = shape
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(channels * height * width, 20), torch.nn.ReLU(),
        torch.nn.Linear(20, num_classes),
    )  # fmt: skip
    return qr.models.wrap(net, shape)


def quarters(**changes):
    """Images of 8x8 with a bright quarter, as data of one's own."""
    images, labels = blocks(240)
    return qr.data.Data(
        **{
            "name": "blocks",
            "train": (images[:100], labels[:100]),
            "test": (images[100:140], labels[100:140]),
            "pools": {"rest": images[140:]},
            **changes,
        }
    )


def run(out, parts, **words):
    usual = dict(profile="smoke", attacks=["naive"], policies=["random"], seeds=[0], cache=parts)
    return arena.run(out, **{**usual, "defenses": ["none"], **words})


# Rows -----------------------------------------------------------------------------------


def test_own_methods_get_their_rows_from_python(tmp_path, parts, capsys):
    rows = run(
        tmp_path / "r.jsonl", parts, policies=["random", first], budget=60,
        defenses=["none", Half, functools.partial(Half, share=0.9)],
    )  # fmt: skip
    assert {(row["policy"], row["defense"]) for row in rows} == {
        (policy, defense)
        for policy in ("random", "first")
        for defense in ("none", "half", "half(share=0.9)")
    }
    l1 = {row["defense"]: row["l1"] for row in rows if row["policy"] == "first"}
    assert 0 == l1["none"] < l1["half"] < l1["half(share=0.9)"]
    assert {row["queries"] for row in rows} == {60} == {row["budget"] for row in rows}
    assert rows == arena.read(tmp_path / "r.jsonl")
    for row in rows:
        assert row["curve"]["accuracy"][-1] == row["substitute_accuracy"]
        assert row["curve"]["fidelity"][-1] == row["fidelity"]
        assert len(row["curve"]["fidelity"]) == 8


def test_a_plugin_gets_its_rows_from_the_command_line_and_from_two_workers(
    tmp_path, parts, plugin, capsys, monkeypatch
):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    words = ["--profile", "smoke", "--plugin", str(plugin), "--attacks", "naive,sharpen"]
    words += ["--policies", "brightest", "--defenses", "none,noise", "--seeds", "0"]
    words += ["--budget", "50", "--cache-dir", str(parts)]
    lines = {}
    for workers in ("1", "2"):
        out = tmp_path / f"{workers}.jsonl"
        assert main(["arena", *words, "--workers", workers, "--out", str(out)]) == 0
        lines[workers] = {line["key"]: line for line in arena.read(out)}
    assert lines["1"].keys() == lines["2"].keys() and len(lines["1"]) == 4
    for key, line in lines["1"].items():
        other = lines["2"][key]
        assert line["queries"] == other["queries"] == 50
        assert line["substitute_accuracy"] == other["substitute_accuracy"]
        assert line["l1"] == pytest.approx(other["l1"], abs=1e-6)


def test_own_tensors_and_an_own_network_as_a_victim(tmp_path, parts):
    (row,) = run(tmp_path / "r.jsonl", parts, data=quarters(), model=small_net, budget=80)
    assert row["pool"] == "rest" and row["queries"] == 80 and row["victim_accuracy"] > 0.5
    assert set(row["config"]["code"]) == {"data", "model"}
    assert row["data"] == quarters().digest()


def test_a_network_by_name_stands_in_the_line(tmp_path):
    (cell,) = arena.grid(
        "smoke", ["naive"], ["random"], ["none"], [0], data=quarters(model="resnet18"), budget=60
    )
    assert cell.config["settings"]["victim"]["model"] == "resnet18"
    assert cell.model == "resnet18" and cell.settings.helpers.model == "resnet18"


# Keys -----------------------------------------------------------------------------------


def keys(**words):
    usual = dict(attacks=["naive"], policies=["random"], defenses=["none"], seeds=[0])
    return [cell.key for cell in arena.grid("smoke", **{**usual, **words})]


def test_whatever_is_ones_own_decides_the_key():
    images, labels = blocks(240)
    other = quarters(test=(images[101:141], labels[101:141]))
    found = [
        *keys(),
        *keys(defenses=[Half, functools.partial(Half, share=0.1), "queen-authors"]),
        *keys(defenses=[functools.partial(Half, share=0.2)]),
        *keys(policies=[first]),
        *keys(attacks=[Attack(training="s4l", recovery="top1")], defenses=["queen"]),
        *keys(budget=60),
        *keys(data=quarters(), budget=60),
        *keys(data=other, budget=60),
        *keys(data=quarters(), budget=60, model=small_net),
        *keys(model="resnet18"),
    ]
    assert len(set(found)) == len(found) == 12


def test_what_is_the_packages_keeps_its_key():
    """As on the day on which the default map became the un-normalised one."""
    cell = arena.Cell
    varied = (("threshold", 0.1),)
    assert [
        cell("smoke", "mnist", "naive", "random", "none", 0).key,
        cell("cpu", "mnist", "ddae", "random", "queen", 1).key,
        cell("gpu", "tiny-imagenet", "s4l", "random", "am", 2).key,
        cell("cpu", "digits", "smoothing", "random", "modelguard-s", 0, 64).key,
        cell("cpu", "mnist", "bayes", "jbda-tr", "queen-strict", 0, None, varied).key,
    ] == [
        "ee33f876cba3dc6bdc37",
        "d8d1454336ff81e692e1",
        "5bcebb72ad49917e8832",
        "f835ffa46c125cff60ef",
        "ea15ef689c028e22f55c",
    ]
    assert keys() == ["ee33f876cba3dc6bdc37"] == keys(budget=150, model="small_cnn")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.scale * noise", "self.scale * noise * 2"),
        ("scale=0.1", "scale=0.2"),
        ("manual_seed(0)", "manual_seed(1)"),
        ("POWER = 0.5", "POWER = 0.6"),
        ("(1 / POWER)", "(2 / POWER)"),
        ("descending=True", "descending=False"),
    ],
)
def test_a_changed_body_is_a_new_cell(plugin, old, new):
    def named():
        arena.load_plugin(plugin)
        cells = keys(attacks=["naive", "sharpen"], policies=["brightest"], defenses=["noise"])
        return set(cells)

    before = named()
    assert named() == before and len(before) == 2
    plugin.write_text(PLUGIN.replace(old, new))
    assert named() != before


def test_a_changed_comment_is_the_same_cell(plugin):
    arena.load_plugin(plugin)
    before = keys(defenses=["noise"])
    plugin.write_text(PLUGIN + "\n# Nothing.\n")
    arena.load_plugin(plugin)
    assert keys(defenses=["noise"]) == before


# Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (dict(defenses=[3]), "defenses: expected names, or make"),
        (dict(defenses=[type("Queen", (Half,), {"name": "queen"})]), "'queen' is the package's"),
        (dict(defenses=[Half, Half]), "defenses: expected each once"),
        (dict(defenses="none"), "defenses: expected a list"),
        (dict(defenses=[]), "defenses: expected at least one"),
        (dict(seeds=0), "seeds: expected a list"),
        (dict(policies=[lambda pool: pool]), "policy: expected \\(ask, pool"),
        (dict(attacks=[3]), "recovery: expected"),
        (dict(attacks=[Half]), "recovery: expected"),
        (dict(model="vgg"), "model: expected one of"),
        (dict(model=torch.nn.Linear(2, 2)), "model: expected a name or"),
        (dict(model=lambda shape, classes, seed: 3), "model: expected a torch.nn.Module, got int"),
        (dict(model=torch.nn.Linear), "model: expected a name or"),
        (dict(budget=0), "budget: expected an integer"),
        (dict(data=blocks(10)), "data: expected a queen_ref.data.Data"),
        (dict(data=quarters(pools={})), "data: expected at least one pool"),
        (dict(data=quarters(pools={"rest": torch.rand(9, 3, 8, 8)})), "data: pool rest"),
        (dict(data=quarters(test=(torch.rand(2, 1, 8, 8), torch.tensor([0, 4])))), "data: test"),
        (dict(data=quarters(), budget=101), "budget: expected at most the 100 images"),
        (dict(data=quarters(), budget=50, attacks=["ddae"], defenses=["top1"]), "pool_labels"),
        (dict(budget=1000), "budget: expected at most"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(tmp_path, words, says):
    with pytest.raises(ValueError, match=says) as caught:
        run(tmp_path / "r.jsonl", tmp_path, **words)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_failed_cell_is_told_and_the_others_are_in_the_file(tmp_path, parts, capsys):
    class Broken(Half):
        name = "broken"

        def answer(self, images, probs):
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="1 of 2 cells failed.*broken.*out of luck"):
        run(tmp_path / "r.jsonl", parts, defenses=["none", Broken], budget=50)
    assert len(arena.read(tmp_path / "r.jsonl")) == 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda victim: victim, "expected make\\(victim\\) to give a Defense"),
        (lambda victim: type("S", (Half,), {"stateful": True})(victim), "fresh\\(\\)"),
        (lambda shape: 0, "Defense"),
    ],
)
def test_what_makes_no_defence_fails_with_a_line_of_its_own(tmp_path, parts, make, says, capsys):
    with pytest.raises(RuntimeError, match=says):
        run(tmp_path / "r.jsonl", parts, defenses=[make], budget=50)


def test_data_that_fit_go_through():
    data = quarters()
    assert check_data(data) is data and data.num_classes == CLASSES


# To another process ---------------------------------------------------------------------


def test_what_is_packed_is_the_same_elsewhere(plugin):
    arena.load_plugin(plugin)
    cells = arena.grid("smoke", ["sharpen"], ["brightest"], ["noise"], [0], data=quarters())
    packed = pickle.loads(pickle.dumps(Packed.of(cells[0].own)))
    assert [plugin.path for plugin in packed.plugins] == [str(plugin)]
    there = packed.unpack()
    assert there.data.digest() == quarters().digest()
    assert there.defenses["noise"].name == "noise" and "brightest" in there.policies


@pytest.mark.parametrize("make", [lambda victim: Half(victim), type("Here", (Half,), {})])
def test_a_lambda_and_what_a_notebook_defines_stay_here(tmp_path, make):
    with pytest.raises(ValueError, match="workers: expected methods that another process") as told:
        run(tmp_path / "r.jsonl", tmp_path / "parts", defenses=[make], workers=2, budget=50)
    assert "\n" not in str(told.value) and not (tmp_path / "r.jsonl").exists()


def test_a_class_of_a_notebook_is_refused_for_workers(monkeypatch):
    import __main__

    here = type("Here", (Half,), {"__module__": "__main__"})
    monkeypatch.setattr(__main__, "Here", here, raising=False)
    monkeypatch.delattr(__main__, "__file__", raising=False)
    with pytest.raises(ValueError, match="defined in this notebook"):
        Packed.of(Own(defenses={"here": here}))


def test_nothing_of_ones_own_is_nothing():
    assert not Own() and Own(defenses={"half": Half})
