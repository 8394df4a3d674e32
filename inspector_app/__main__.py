"""``python -m inspector_app`` is the command ``inspector-app``."""

import sys

from inspector_app.cli import main

sys.exit(main())
