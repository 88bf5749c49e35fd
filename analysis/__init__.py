"""From records to claims. Needs neither torch nor Ray."""
