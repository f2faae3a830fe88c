"""Every process that finds this in its PYTHONPATH is spied on from its first import."""

import os
import sys

if "SPIED_ATTEMPTS" in os.environ:  # a tool that imports all modules is not
    import spied

    sys.addaudithook(spied.note)
