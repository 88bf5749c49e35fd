"""One file per published figure or table, and the quickstart."""
