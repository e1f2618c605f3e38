"""`python -m lrcn`, which is `lrcn`."""

import os
import sys

# Python puts the current folder first among those it imports from, where a json.py of the user's would be taken.
if sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    del sys.path[0]

from lrcn.cli import main

main()
