"""What the help of `hfkit report` says."""

from __future__ import annotations

REPORT = """Write a page about MODEL and its errors on the rows of DATA.

One HTML file that loads nothing: scores with intervals, learning curves, calibration, curves of
precision and recall, slices, and the worst errors with a box to filter them. Without DATA a run is
asked on its own test or validation data, if they are still what they were. Prints the file. Needs:
pip install 'hfkit[report]'

\b
  hfkit report out
  hfkit report out test.csv -o report.html --slice source
  hfkit report out test.csv --no-examples --overwrite
"""
