"""The nets of the runs, drawn."""
