"""What requests and answers look like, one file per family of clients."""
