"""Optional packages: which extra of Overhear installs each, and one line where it is missing.

Contents: EXTRAS, `missing`, `need`.
"""

import importlib.util

# The names that Python imports, by extra of pyproject.toml.
EXTRAS = {
    "rooms": ("pyroomacoustics",),
    "search": ("optuna",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "tensorboard": ("tensorboardX",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "wandb": ("wandb",),
}


def missing(extra: str) -> list[str]:
    """The packages of an extra that are not installed."""
    return [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]


def need(extra: str, what: str) -> None:
    """Raises ValueError where `what`, a command or setting, lacks a package of its extra."""
    if lacking := missing(extra):
        raise ValueError(
            f"{what} needs {', '.join(lacking)}: pip install 'overhear-study[{extra}]'"
        )
