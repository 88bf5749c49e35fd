"""Effective receptive fields (ERF): of any torch model, and of a results folder's trials."""
