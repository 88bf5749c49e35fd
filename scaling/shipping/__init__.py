"""Models in use: a trained trial outside its study, as one module from waves to classes."""

MODELS = "models"  # the folder below the results where exported files lie
