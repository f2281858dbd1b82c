"""Every test of this room has a data folder and a cache of its own, also one that names neither."""

import pytest


@pytest.fixture(autouse=True)
def at_home(home):
    """See `home`."""
