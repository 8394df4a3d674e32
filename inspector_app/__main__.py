"""``python -m inspector_app`` is the command ``inspector-app``."""

import os
import sys

# Python has put the current folder first, where a person's own random.py would be torch's.  What
# is opened from there finds its neighbours all the same.
if sys.path and sys.path[0] == os.getcwd():
    sys.path.append(sys.path.pop(0))

from inspector_app.cli import main

sys.exit(main())
