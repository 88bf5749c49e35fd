"""Models in use: a trained trial outside its study, as one module from waves to classes."""

MODELS = "models"  # the folder below the results where exported files lie
# ONNX operator sets: torch writes none below the first, onnxruntime reads none above the last
LOWEST, OPSET, HIGHEST = 18, 18, 23
