"""The command line: argument parsing and exit codes, nothing else. One module per group of commands."""
