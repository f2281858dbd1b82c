"""`python -m queen_ref.cli` is `queen-ref`."""

import sys

from queen_ref.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
