"""The figures of a study: scores, curves over epochs and ERF maps, one file each."""
