"""One page for all that was run: `write_report` makes it of folders of runs and of results, from their files alone."""
