"""Pruning: which weights are cut (masks), and cutting them while a network trains (pruner)."""
