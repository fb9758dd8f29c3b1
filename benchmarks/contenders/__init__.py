"""One module per contender: each does the same job by itself and prints what it cost as one JSON line."""
