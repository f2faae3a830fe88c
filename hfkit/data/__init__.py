"""Reading and writing the user's files: strict, streaming, nothing altered silently."""
