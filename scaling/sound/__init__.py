"""From files to batches of features."""
