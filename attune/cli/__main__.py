"""`python -m attune.cli` is the `attune` command."""

import sys

from attune.cli.main import main

sys.exit(main())
