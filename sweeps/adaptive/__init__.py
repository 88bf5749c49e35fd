"""Adaptive: early stopping, and searches of a space of settings, decided by validation clips."""
