"""The commands about results, a file for each task, and the options that they share."""
