"""Objectives in torch: their losses, and the heads that they put after a network."""
