"""Models over HTTP: a page to try them, and the protocols that clients speak already."""
