"""Every process that finds this in its PYTHONPATH is spied on from its first import."""

import sys

import spied

sys.addaudithook(spied.note)
