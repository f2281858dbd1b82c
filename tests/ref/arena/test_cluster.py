"""The arena on a real two-node Ray cluster, with a worker killed in the middle of a cell.

The cluster lives in a network namespace of its own where the system allows that (root on
Linux): Ray takes the machine's outward address otherwise.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from own_methods import PLUGIN, own_cells

from queen_ref.arena import Results, grid, read, run_grid
from queen_ref.arena.cluster import Ray, reachable
from queen_ref.arena.engines import Local
from queen_ref.attacks import ATTACKS, POLICIES
from queen_ref.defenses import DEFENSES

SCRIPT = Path(__file__).parent / "ray_cluster.py"
# What Ray gives its processes to start and to answer, before it takes them for dead; its defaults
# are for a machine that does nothing else. Nor may it end a worker because others fill the memory.
PATIENT = {
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_gcs_server_request_timeout_seconds": "300",
    "RAY_py_gcs_connect_timeout_s": "300",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_health_check_timeout_ms": "300000",
    "RAY_memory_monitor_refresh_ms": "0",
}
LIMIT = 1200  # seconds for a start and five cells


def apart(command: list[str]) -> list[str]:
    """The command in a network of its own, or as it is where that is not allowed."""
    alone = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if shutil.which("unshare") and shutil.which("ip"):
        if subprocess.run([*alone, "true"], capture_output=True).returncode == 0:
            return [*alone, *command]
    return command


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The same cells on the local engine, and the parts it trained for both."""
    folder = tmp_path_factory.mktemp("local")
    cells = grid("smoke", ["naive", "top1"], ["random"], ["none", "rounding", "queen"], [0])
    run_grid(cells, Results(folder / "r.jsonl"), Local(str(folder / "parts")))
    (folder / "mine.py").write_text(PLUGIN)
    known = [(registry, dict(registry)) for registry in (ATTACKS, POLICIES, DEFENSES)]
    mine = own_cells(folder / "mine.py")
    run_grid(mine, Results(folder / "own.jsonl"), Local(str(folder / "parts")))
    for registry, names in known:  # what a test registers is gone after it
        registry.clear()
        registry.update(names)
    return folder


@pytest.fixture(scope="module")
def cluster(local, tmp_path_factory):
    """What ray_cluster.py prints, and the results it wrote."""
    env, why = {**os.environ, **PATIENT, "RAY_USAGE_STATS_ENABLED": "0"}, []
    for _ in range(2):  # a start may fail on a machine that does much else; a result may not
        out = tmp_path_factory.mktemp("ray") / "r.jsonl"
        words = [str(local / "parts"), str(out), str(local / "mine.py")]
        command = apart([sys.executable, str(SCRIPT), *words])
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=env)
        except subprocess.TimeoutExpired:
            why.append(f"no end after {LIMIT} s")
            continue
        if run.returncode == 0:
            told = json.loads(run.stdout.splitlines()[-1])
            return told | {"own": read(f"{out}.own")}, read(out)
        why.append(run.stderr[-3000:])
    pytest.fail("\n".join(["waited twice for a Ray cluster of two nodes", *why]))


def test_a_worker_killed_in_a_cell_costs_only_that_cell(cluster):
    told, lines = cluster
    assert told["failed"] == [] and told["done"] == told["cells"] == len(lines)
    assert len({line["key"] for line in lines}) == told["cells"]
    assert len(told["killed"]) == 1
    (again,) = [name for name, pid, _ in told["attempts"] if pid == told["killed"][0]]
    tries = [name for name, _, _ in told["attempts"]]
    assert tries.count(again) == 2 and len(tries) == told["cells"] + 1


def test_both_nodes_work(cluster):
    told, _ = cluster
    assert told["slots"] == 2
    assert len({node for _, _, node in told["attempts"]}) == 2


def test_a_cluster_measures_what_one_machine_measures(cluster, local):
    mine = {line["key"]: line for line in read(local / "r.jsonl")}
    for line in cluster[1]:
        other = mine[line["key"]]
        for name in ("substitute_accuracy", "fidelity", "protected_accuracy", "l1"):
            assert line[name] == pytest.approx(other[name], abs=0.02), (line["attack"], name)
        assert line["queries"] == other["queries"] and line["config"] == other["config"]


def test_methods_of_ones_own_get_their_rows_on_a_cluster(cluster, local):
    mine = {line["key"]: line for line in read(local / "own.jsonl")}
    assert {line["key"] for line in cluster[0]["own"]} == set(mine) and len(mine) == 2
    for line in cluster[0]["own"]:
        assert (line["defense"], line["policy"], line["queries"]) == ("noise", "brightest", 50)
        assert line["l1"] == pytest.approx(mine[line["key"]]["l1"], abs=1e-3)


def test_no_cluster_at_an_address_is_one_clear_line():
    code = (
        "from queen_ref.arena.cluster import Ray\n"
        "try: Ray('127.0.0.1:9')\n"
        "except ValueError as error: print(error)"
    )
    run = subprocess.run(
        apart([sys.executable, "-c", code]), capture_output=True, text=True, timeout=600
    )
    assert run.stdout.startswith("ray-address: no cluster at 127.0.0.1:9"), run.stderr[-2000:]
    assert run.stdout.count("\n") == 1


def test_ray_is_imported_only_by_its_engine():
    code = "import sys, queen_ref.cli, queen_ref.arena.cluster; print('ray' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False" and Ray.__name__ == "Ray"


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "127.0.0.1:port", "127.0.0.1:99999"])
def test_nobody_listens_at_an_address_that_is_none(address):
    begun = time.monotonic()
    assert not reachable(address)
    assert time.monotonic() - begun < 60
