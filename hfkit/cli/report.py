"""What the help of `hfkit report` and `hfkit audit` says."""

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

AUDIT = """Find labels in TRAIN that are probably wrong.

Each row is judged by a classifier that was fitted on the other rows, over the vectors of an
encoder; confident learning says which labels to doubt. Writes JSON Lines, the likeliest error
first: file, line, the label, the one suggested, and how confident that is. For classification (one
label or several), and for ner word by word.

\b
  hfkit audit train.csv
  hfkit audit train.csv -m minilm -k 100 -o doubtful.jsonl
  hfkit audit people.conll -o doubtful.jsonl
"""
