"""Training: the loop, what it hears, what it learns and how it is scored."""
