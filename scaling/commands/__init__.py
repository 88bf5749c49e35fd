"""The commands about one trial, a file for each task, and the options that commands share."""
