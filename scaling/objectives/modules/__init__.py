"""Objectives in torch: their losses, and the heads that they put behind a network."""
