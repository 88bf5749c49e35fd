"""Runs the command as `python -m overhear`."""

from overhear.command import main

main()
