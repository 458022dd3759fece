# mypy: disable-error-code="untyped-decorator"
"""Unaligned loads and stores of whole words in byte arrays, for the compiled kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
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


def _adder(bits: int, *, swap: bool) -> Any:
    """`total[to + k] += (data[at + k] << shift) * weight` for 32 values, as vector code.

    LLVM finds the vectors in a plain loop too, but not in every loop that this is inlined into: it has to
    prove that the arrays don't overlap.
    """

    def add(typing: Any, data: Any, at: Any, total: Any, to: Any, weight: Any, shift: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source = context.make_array(signature.args[0])(context, builder, args[0]).data
            target = context.make_array(signature.args[2])(context, builder, args[2]).data
            narrow, wide = (
                ir.VectorType(ir.IntType(bits), 32),
                ir.VectorType(ir.IntType(64), 32),
            )
            source = builder.bitcast(builder.gep(source, [args[1]]), narrow.as_pointer())
            target = builder.bitcast(builder.gep(target, [args[3]]), wide.as_pointer())
            value = builder.load(source, align=1)
            if swap:
                kind = ir.FunctionType(narrow, [narrow])
                value = builder.call(
                    cgutils.get_or_insert_function(builder.module, kind, f"llvm.bswap.v32i{bits}"),
                    [value],
                )
            value = builder.sext(value, wide)
            product = builder.mul(value, _spread(builder, builder.sext(args[4], ir.IntType(64))))
            product = builder.shl(product, _spread(builder, args[5]))
            builder.store(builder.add(builder.load(target, align=8), product), target, align=8)
            return context.get_dummy_value()

        return types.void(data, types.int64, total, types.int64, types.int32, types.int64), codegen

    return intrinsic(add)


def _spread(builder: Any, word: Any) -> Any:
    single = builder.insert_element(
        ir.Constant(ir.VectorType(word.type, 32), ir.Undefined), word, ir.IntType(32)(0)
    )
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(ir.IntType(32), 32), [0] * 32))


load64 = _load(64, types.uint64, swap=False)
"""Little-endian 64-bit word at a byte offset."""

load_be32 = _load(32, types.int32, swap=True)
"""Big-endian int32 at a byte offset."""

store64 = _store(64, types.uint64, swap=False)
store_be32 = _store(32, types.int32, swap=True)


@intrinsic
def any_lowest8(typing: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
    """True if any of 32 bytes is -128."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, args[0]).data
        kind = ir.VectorType(ir.IntType(8), 32)
        value = builder.load(builder.bitcast(builder.gep(source, [args[1]]), kind.as_pointer()), align=1)
        equal = builder.icmp_unsigned("==", value, ir.Constant(kind, [0x80] * 32))
        return builder.icmp_unsigned("!=", builder.bitcast(equal, ir.IntType(32)), ir.IntType(32)(0))

    return types.boolean(data, types.int64), codegen


add32_be = _adder(32, swap=True)
add32 = _adder(32, swap=False)
add8 = _adder(8, swap=False)


@intrinsic
def as_pointer(typing: Any, address: Any) -> Any:  # noqa: ARG001
    """Pointer to the byte at an address, for `carray`: Numba has no list of arrays that is cheap to pass."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.CPointer(types.uint8)(types.uint64), codegen


@intrinsic
def prefetch(typing: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
    """Prefetch the cache line of a byte, which need not exist."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, args[0]).data
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [source.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [builder.gep(source, [args[1]]), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(data, types.int64), codegen
