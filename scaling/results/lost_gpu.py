"""Lost GPU: the note `gpu.json` beside the checkpoint of a trial whose GPU stopped answering.

CUDA reports a failed kernel at every later call of a process, so another one continues the trial:
alone, without CUDA graphs and fused kernels, as each may have been what the GPU broke at. If it
happens once more, it is the trial's failure. Contents: `noted`, `note`.
"""

from collections.abc import Iterable

from scaling.machine import LostGpu, lost
from scaling.results import memory
from scaling.results.folder import Folder
from scaling.settings import Trial

FILE = "gpu.json"


def noted(trial: Trial, results: Folder) -> bool:
    """Whether a process lost its GPU while it trained this trial. Raises Refused."""
    return memory.read(trial.id, results, FILE) is not None


def note(error: BaseException, trials: Iterable[Trial], results: Folder) -> None:
    """Where an error is a GPU's that stopped answering, note it beside the trials in flight, and
    raise LostGpu; those that have such a note keep the error. Raises Refused.
    """
    said = lost(error)
    new = [trial for trial in trials if said and not noted(trial, results)]
    for trial in new:
        memory.add(trial.id, results, said or "", FILE)
    if new:
        raise LostGpu(
            f"the GPU stopped answering ({said}): what is recorded stays, and a new process "
            "resumes from it, without CUDA graphs and fused kernels"
        ) from error
