"""What is wrong with data, found before training: one file per kind of fault.

    source ─ walk ─▶ Seen (record, row, label) ─▶ each check: see, close ─▶ Findings

A file is read once. Of a row only numbers are kept: three hashes and a line (32 bytes), a length
(4 bytes) and, of the first 200 000 rows, a sketch of 32 hashes that finds near-duplicates (256
bytes). What a finding says has places and counts; texts of the data never stand in it.
"""
