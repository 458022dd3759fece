# mypy: disable-error-code="untyped-decorator"
"""Unaligned loads and stores of whole words in byte arrays, for the compiled kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _load(bits: int, result: Any, *, swap: bool) -> Any:
    def load(typing: Any, array: Any, at: Any) -> Any:  # noqa: ARG001 - Numba's signature
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            pointer = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(bits).as_pointer())
            word = builder.load(pointer, align=1)
            return builder.bswap(word) if swap else word

        return result(array, types.int64), codegen

    return intrinsic(load)


def _store(bits: int, value: Any, *, swap: bool) -> Any:
    def store(typing: Any, array: Any, at: Any, word: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            pointer = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(bits).as_pointer())
            builder.store(builder.bswap(args[2]) if swap else args[2], pointer, align=1)
            return context.get_dummy_value()

        return types.void(array, types.int64, value), codegen

    return intrinsic(store)


load64 = _load(64, types.uint64, swap=False)
"""Little-endian 64-bit word at a byte offset."""

load_be32 = _load(32, types.int32, swap=True)
"""Big-endian int32 at a byte offset."""

store64 = _store(64, types.uint64, swap=False)
store_be32 = _store(32, types.int32, swap=True)
