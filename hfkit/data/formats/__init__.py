"""One file per format: each turns an open stream into records, one at a time."""
