"""What test_cluster.py runs in a network namespace of its own: a two-node Ray cluster.

Prints one JSON object. Not a test module: pytest does not collect it.
"""

import contextlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import ray
from ray._private import services
from ray.cluster_utils import Cluster

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # where own_methods is

from own_methods import own_cells  # noqa: E402

from queen_ref.arena import Results, grid, run_grid  # noqa: E402
from queen_ref.arena.cluster import Ray  # noqa: E402
from queen_ref.arena.display import Display  # noqa: E402
from queen_ref.arena.engines import run_in  # noqa: E402

# Older ones wait longer by themselves, and do not know these ports.
TOLD = tuple(int(n) for n in ray.__version__.split(".")[:2]) >= (2, 60)
PATIENCE = 300  # seconds for whatever a busy machine keeps waiting


class Quiet(Display):
    def say(self, text):
        pass


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.05)


def ports():
    """A free port for each agent of a node: a raylet that knows them waits for none to choose."""
    names = ("metrics_agent", "metrics_export", "dashboard_agent_listen", "runtime_env_agent")
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("", 0))) for _ in names]
        return {f"{n}_port": s.getsockname()[1] for n, s in zip(names, sockets, strict=True)}


def knowing(start):
    """`start` of one of Ray's processes, but the raylet is told the one port that it is not told.

    It gives its agent 15 s to write that port down, and ends (Ray 2.60, no setting changes it).
    """

    def started(command, kind, **options):
        if kind == "raylet":
            port = re.search(r"--listen-port=(\d+)", " ".join(command))[1]
            command = [*command, f"--dashboard_agent_listen_port={port}"]
        return start(command, kind, **options)

    return started


def patiently(get_node):
    """Ray's look-up of a node that is starting; Ray itself gives up on it after 30 s."""

    def found(address, node_id):
        known = []

        def registered():
            try:
                return known.append(get_node(address, node_id)) or True
            except RuntimeError:
                return False

        wait_for(registered, f"Ray's node {node_id} to register at {address}")
        return known[0]

    return found


def victim_of_the_killer(folder):
    """`run_in`, but the first worker to come says who it is and waits for its end.

    Nobody begins before there is a worker on each node: the faster one could do all the cells.
    """

    def run(cell, cache):
        shared = Path(folder)
        with open(shared / "attempts", "a") as file:
            node = ray.get_runtime_context().get_node_id()
            file.write(json.dumps([cell.name, os.getpid(), node]) + "\n")
        (shared / f"node-{node}").touch()
        wait_for(lambda: len(list(shared.glob("node-*"))) == 2, "a worker on each of two nodes")
        try:
            (shared / "claimed").touch(exist_ok=False)
        except FileExistsError:
            return run_in(cell, cache)
        (shared / "pid.part").write_text(str(os.getpid()))
        (shared / "pid.part").rename(shared / "pid")
        threading.Event().wait()

    return run


def kill_the_first(folder, killed):
    pid = Path(folder) / "pid"
    wait_for(pid.exists, "the first worker to say who it is")
    killed.append(int(pid.read_text()))
    os.kill(killed[0], signal.SIGKILL)


def main(cache, out, plugin):
    cells = grid("smoke", ["naive", "top1"], ["random"], ["none", "rounding", "queen"], [0])
    if TOLD:
        services.start_ray_process = knowing(services.start_ray_process)
    services.get_node = patiently(services.get_node)
    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, wait=False, **(ports() if TOLD else {}))
    cluster.wait_for_nodes(timeout=PATIENCE)
    folder, killed = tempfile.mkdtemp(), []
    threading.Thread(target=kill_the_first, args=(folder, killed), daemon=True).start()
    try:
        engine = Ray(cluster.address, cache, run=victim_of_the_killer(folder))
        slots = engine.slots
        summary = run_grid(cells, Results(out), engine, show=Quiet(len(cells)))
        own = own_cells(plugin)
        engine = Ray(cluster.address, cache, own=own[0].own)
        brought = run_grid(own, Results(f"{out}.own"), engine, show=Quiet(len(own)))
    finally:
        ray.shutdown()
        cluster.shutdown()
    attempts = [json.loads(text) for text in (Path(folder) / "attempts").read_text().splitlines()]
    print(
        json.dumps(
            {
                "slots": slots,
                "done": len(summary.done),
                "failed": [
                    f"{cell.name}: {error!r}" for cell, error in [*summary.failed, *brought.failed]
                ],
                "killed": killed,
                "attempts": attempts,
                "cells": len(cells),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
