"""`python -m queen_ref.cli` is `queen-ref`."""

import sys

from queen_ref.cli.app import main

sys.exit(main())
