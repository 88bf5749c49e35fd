"""The report: a results folder as one page that a browser opens from disk, without a network."""
