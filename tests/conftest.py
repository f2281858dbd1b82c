"""Settings that must stand before torch or numba is imported anywhere."""

import os

# Two workers share two cores: one thread each, or they wait for one another. Kernels started by
# a test inherit this. Set, not defaulted: a worker inherits what its parent has set here.
# QUEEN_TEST_THREADS=N tries another number: no test may depend on it.
USUAL = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"
THREADS = os.environ.get("QUEEN_TEST_THREADS") or USUAL
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = THREADS

from hypothesis import HealthCheck, settings  # noqa: E402

# A deadline and "too slow" measure the machine, not the code. Where a merge hangs on the result
# the examples are the same in every run; on a developer's machine each run draws others.
settings.register_profile(
    "queen",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("queen")
