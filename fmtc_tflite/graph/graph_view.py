"""Who writes and who reads each tensor of a subgraph. A view is a snapshot: build a new one after an edit."""

from __future__ import annotations

from fmtc_tflite.graph.model import Op, Subgraph, Tensor


class GraphView:
    """Producers, consumers and positions of the ops of one subgraph."""

    def __init__(self, subgraph: Subgraph) -> None:
        self.subgraph = subgraph
        self._positions = {op: position for position, op in enumerate(subgraph.ops)}
        self._producers: dict[Tensor, list[Op]] = {}
        self._consumers: dict[Tensor, list[tuple[Op, int]]] = {}
        for op in subgraph.ops:
            for tensor in op.outputs:
                if tensor is not None:
                    self._producers.setdefault(tensor, []).append(op)
            for input_index, tensor in enumerate(op.inputs):
                if tensor is not None:
                    self._consumers.setdefault(tensor, []).append((op, input_index))

    def producer(self, tensor: Tensor) -> Op | None:
        """The first op that writes the tensor, None for graph inputs, constants and variables."""
        producers = self.producers(tensor)
        return producers[0] if producers else None

    def producers(self, tensor: Tensor) -> list[Op]:
        """All ops that write the tensor; in a sound graph at most one."""
        return self._producers.get(tensor, [])

    def consumers(self, tensor: Tensor) -> list[tuple[Op, int]]:
        """(op, index in op.inputs) of every read, in execution order; an op that reads twice appears twice."""
        return self._consumers.get(tensor, [])

    def consumer_ops(self, tensor: Tensor) -> list[Op]:
        """The ops that read the tensor, each once, in execution order."""
        return list(dict.fromkeys(op for op, _ in self.consumers(tensor)))

    def only_reader(self, op: Op) -> Op | None:
        """The op that reads an op's only result, as its first input, if nobody else does."""
        (result,) = op.outputs if len(op.outputs) == 1 else (None,)
        if result is None or result in self.subgraph.outputs or len(self.consumers(result)) != 1:
            return None
        ((reader, index),) = self.consumers(result)
        return reader if index == 0 else None

    def position(self, op: Op) -> int:
        """The op's place in execution order."""
        return self._positions[op]
