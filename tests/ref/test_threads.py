"""A lock that is copied with its owner."""

import copy
import pickle
import threading

import pytest

from queen_ref.threads import Lock


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_of_a_held_lock_is_a_free_one(copied):
    lock = Lock()
    taken = []
    with lock:
        other = copied(lock)
        thread = threading.Thread(target=lambda: other.__enter__() or taken.append(True))
        thread.start()
        thread.join(5)
    assert taken == [True]


def test_whoever_holds_it_may_take_it_again_and_others_wait():
    lock, taken = Lock(), []

    def take():
        with lock:
            taken.append("other")

    with lock, lock:
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(0.05)
        taken.append("holder")
    thread.join(5)
    assert taken == ["holder", "other"]
