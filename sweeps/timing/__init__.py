"""How long trials will take: measured on this machine, forecast for a launch."""
