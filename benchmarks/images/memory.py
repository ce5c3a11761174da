"""The most memory that a run held."""

import resource
import sys
from typing import Any

import torch


class PeakMemory:
    """Of the accelerator's allocator from here on; on the processor of the whole process since it began."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> dict[str, Any]:
        """{"bytes", "of"}."""
        if self.device.type == "cuda":
            return {"bytes": torch.cuda.max_memory_allocated(self.device), "of": "tensors on the device"}
        unit = 1 if sys.platform == "darwin" else 1024
        return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "of": "the whole process"}
