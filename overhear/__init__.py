"""Overhear as a library and as one command: joins what the three packages below offer."""
