"""A results folder: what it holds, how it is written and read, and one trial run against it."""
