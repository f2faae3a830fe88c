"""Speed of hfkit beside the libraries that people use for the same work.

    make bench                                            all lines, two threads
    python -m benchmarks.speed --rows predict cold        lines whose names begin so
    python -m benchmarks.speed --threads 1                the same on one core
    python -m benchmarks.speed --device cuda              on a GPU: models by length
    python -m benchmarks.speed --million                  memory up to 1,000,000 rows, 30 minutes
    python -m benchmarks.speed --quick                    that every line runs, in half a minute
    python -m benchmarks.speed --table                    the table of docs/benchmarks.md again

All sides of a line have the same model (MiniLM, with a seeded head where one is needed), the same
texts and the same number of threads. Each is a process of its own that is started once and warmed
up; then they are measured in turns, A B A B, so that what slows the machine down for a while is in
all of them. A figure is the median over the rounds, a ratio that of the medians, with a bootstrap
interval over the rounds. Results are lines of benchmarks/results/speed.jsonl, and the table of
docs/benchmarks.md is made of the last result of each line.

Lengths are those of real texts where HFKIT_TEST_DATA names a folder with them, else of made-up
texts with the same spread; each result says which. No text of theirs is kept.
"""
