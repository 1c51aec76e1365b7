"""What a ZeroGPU Space asks of an app before it starts: a function decorated with ``spaces.GPU``.

Nothing a visitor does is decorated: the embedded networks take less time on the CPU than ZeroGPU
takes to hand out a GPU and to fork a process for it.
"""

from __future__ import annotations

from picd.runtime import usable_providers

try:
    from spaces import GPU
except ImportError:  # only Spaces bring it

    def GPU(function):
        return function


@GPU
def providers_with_a_gpu() -> list[str]:
    """The execution providers of onnxruntime where a GPU has been handed out."""
    return usable_providers()
