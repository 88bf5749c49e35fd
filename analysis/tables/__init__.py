"""The tables that are no figure's points."""
