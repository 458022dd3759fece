# mypy: disable-error-code="untyped-decorator"
"""keccak-256 of many items at once: eight at a time, one in each lane of a vector of eight 64-bit words.

The permutation is written as LLVM vector code, so that the machine's widest registers and its rotate
instructions are used if it has them (AVX-512: one register for each of the 25 words); elsewhere LLVM
splits the vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.core.kernels.fallback import ROTATE, ROUND
from steelyard.core.kernels.jit import BYTES_2D, INT64, READ_BYTES, compiled
from steelyard.core.kernels.words import load64, store64

_WORD = ir.IntType(64)
_LANES = ir.VectorType(_WORD, 8)
_INDEX = ir.IntType(32)


def _vector(value: int) -> ir.Constant:
    return ir.Constant(_LANES, [value] * 8)


def _rotate(builder: ir.IRBuilder, word: ir.Value, by: int) -> ir.Value:
    if by == 0:
        return word
    fshl = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_LANES, [_LANES] * 3), "llvm.fshl.v8i64"
    )
    return builder.call(fshl, [word, word, _vector(by)])


def _round(builder: ir.IRBuilder, a: list[ir.Value], constant: ir.Value) -> list[ir.Value]:
    xor = builder.xor
    c = [xor(xor(xor(a[x], a[x + 5]), xor(a[x + 10], a[x + 15])), a[x + 20]) for x in range(5)]
    d = [xor(c[(x + 4) % 5], _rotate(builder, c[(x + 1) % 5], 1)) for x in range(5)]
    b: list[ir.Value] = [None] * 25
    for i in range(25):
        x, y = i % 5, i // 5
        b[y + 5 * ((2 * x + 3 * y) % 5)] = _rotate(builder, xor(a[i], d[x]), ROTATE[i])
    out = []
    for i in range(25):
        x, row = i % 5, i - i % 5
        out.append(xor(b[i], builder.and_(builder.not_(b[row + (x + 1) % 5]), b[row + (x + 2) % 5])))
    out[0] = xor(out[0], constant)
    return out


def _permutation(module: ir.Module) -> ir.Function:
    """keccak-f[1600] of eight states in place: 25 words of 8 lanes, 64-byte aligned or not."""
    name = "steelyard_keccak_f1600_x8"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_WORD.as_pointer()]), name)
    function.linkage = "internal"
    # Without these, LLVM prefers 256-bit registers on processors whose clock once suffered from wider ones.
    set.add(
        function.attributes, 'noinline nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512"'
    )
    constants = cgutils.global_constant(
        module, name + "_rc", ir.Constant(ir.ArrayType(_WORD, 24), [ir.Constant(_WORD, c) for c in ROUND])
    )
    entry, loop, done = (function.append_basic_block(n) for n in ("entry", "loop", "done"))
    builder = ir.IRBuilder(entry)
    base = builder.bitcast(function.args[0], _LANES.as_pointer())
    places = [builder.gep(base, [_INDEX(i)]) for i in range(25)]
    loaded = [builder.load(p, align=8) for p in places]
    builder.branch(loop)
    builder.position_at_end(loop)
    counter = builder.phi(_INDEX)
    words = [builder.phi(_LANES) for _ in range(25)]
    scalar = builder.load(builder.gep(constants, [_INDEX(0), counter]))
    single = builder.insert_element(ir.Constant(_LANES, ir.Undefined), scalar, _INDEX(0))
    spread = builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(_INDEX, 8), [0] * 8))
    after = _round(builder, words, spread)
    following = builder.add(counter, _INDEX(1))
    counter.add_incoming(_INDEX(0), entry)
    counter.add_incoming(following, loop)
    for phi, start, value in zip(words, loaded, after, strict=True):
        phi.add_incoming(start, entry)
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_unsigned("<", following, _INDEX(24)), loop, done)
    builder.position_at_end(done)
    for place, value in zip(places, after, strict=True):
        builder.store(value, place, align=8)
    builder.ret_void()
    return function


@intrinsic
def _permute(typing: Any, state: Any) -> Any:  # noqa: ARG001 - Numba's signature
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        builder.call(_permutation(builder.module), [array.data])
        return context.get_dummy_value()

    return types.void(state), codegen


@compiled(types.void(READ_BYTES, types.int64, types.int64, types.int64, INT64, BYTES_2D, types.int64))
def hash_items(
    data: Bytes, offset: int, size: int, prefix: int, where: Int64, out: Bytes, column: int
) -> None:
    """See `fallback.hash_items`; items of at least 8 bytes."""
    state = np.empty(200, np.uint64)
    count = where.shape[0]
    full = (size + 1) // 8  # words without padding
    last = (size + 1) // 136  # index of the last permutation
    width = out.shape[1]
    for group in range(0, count, 8):
        state[:] = 0
        lanes = min(8, count - group)
        for block in range(last + 1):
            for lane in range(lanes):
                start = offset + (group + lane) * size
                word = block * 17
                if block == 0:
                    state[lane] ^= (load64(data, start) << np.uint64(8)) | np.uint64(prefix)
                    word = 1
                for k in range(word, min(full, block * 17 + 17)):
                    state[(k - block * 17) * 8 + lane] ^= load64(data, start + 8 * k - 1)
                if block == last:
                    tail = np.uint64(1) << np.uint64(8 * (size + 1 - 8 * full))
                    for b in range(8 * full - 1, size):
                        tail ^= np.uint64(data[start + b]) << np.uint64(8 * (b - 8 * full + 1))
                    state[(full - block * 17) * 8 + lane] ^= tail
                    state[128 + lane] ^= np.uint64(0x8000000000000000)
            _permute(state)
        for lane in range(lanes):
            place = where[group + lane] * width + column
            for k in range(4):
                store64(out, place + 8 * k, state[8 * k + lane])
