"""Quality of each task beside the library that people use for it today.

    python -m benchmarks.quality --runs FILE [--tasks ner qa similarity zero-shot generation]
                                 [--tools peer hfkit] [--seeds 1 2 3] [--limit 2000]
    python -m benchmarks.quality --runs FILE --limit 0 --seeds 1        all rows
    python -m benchmarks.quality --runs FILE --table

Both sides get the same model (the MiniLM of the extra `demo`; a GPT-2 from scratch), rows, epochs,
batch size, rate, warm-up, weight decay and lengths; the epoch that scores best on the validation
data counts. Each run is a process of its own whose result is one line of FILE; what stands there is
not run again.
The data sets are read from the folder named by HFKIT_TEST_DATA, by a few lines of this package's
own, so that hfkit's readers are put to the test too: each line holds a checksum of the rows.
"""
