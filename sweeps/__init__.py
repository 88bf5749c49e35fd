"""Many trials. The only package that imports Ray."""
