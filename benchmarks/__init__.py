"""hfkit and its peers on the same work; every figure in docs/ that compares comes from here."""
