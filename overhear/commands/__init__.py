"""The commands that join packages: models in use, figures of what is computed, claims."""
