"""``python -m picd`` is the ``picd`` command."""

import sys

from picd.cli import main

sys.exit(main())
