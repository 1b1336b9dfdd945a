"""Tile kernels, the innermost loops of a matrix product: one tile of C in registers.

    C[r, j] (+)= sum_k A[r, k] B[k, j]        r < rows <= ROWS,  j < width <= NR = 2 vectors

B is packed: for each k its 2 vectors (one, for a narrow panel) lie behind one another. A's numbers are read one by
one and spread over a vector; A[r, k] lies at

    a + p a_step + k a_row + r    "by columns": the rows' numbers of one k side by side
    a + p a_step + r a_row + k    "by rows": row by row
                                  k < inner, then the next of `outer` blocks p

The type of A's and B's numbers is told by `kind`, a number of that type:

    float32, float64              C has the same type
    uint32                        two bfloat16, neighbours in k, the even one in the lower half; C is float32

The instructions are written as LLVM's, vector by vector, since no compiler makes them of a loop; what this gives
beside OpenBLAS stands in benchmarks/README.md. The idea is that of Goto & van de Geijn 2008, "Anatomy of
high-performance matrix multiplication". Pairs of bfloat16 need a processor with AVX512-BF16 (``cpu.HAS_PAIRS``).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload, register_jitable

from rnnlm.kernels.cpu import ROWS
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.instructions import BFLOAT, address, prefetch
from rnnlm.kernels.matmul.layout import lanes_of
from rnnlm.kernels.symbols import Routine, call_by_name

_INT, _INT32 = ir.IntType(64), ir.IntType(32)


class _Tile:
    """Writes the instructions of one size of tile."""

    def __init__(self, context: Any, builder: Any, kind: Any, rows: int, vectors: int, by_rows: bool) -> None:
        self.builder, self.rows, self.vectors, self.by_rows = builder, rows, vectors, by_rows
        self.pairs = kind == types.uint32
        self.lanes = lanes_of(kind)
        self.number = context.get_value_type(kind)  # of A and B
        self.real = ir.FloatType() if self.pairs else self.number  # of C
        self.size = 8 if kind == types.float64 else 4
        self.vector = ir.VectorType(self.real, self.lanes)

    def emit(self, operands: Any, tail: Any, add: Any) -> None:
        """`operands`: the integers that the dispatching intrinsics take."""
        builder = self.builder
        a, a_step, a_row, b, b_step, c, c_row, outer, inner = operands
        a, b = (builder.inttoptr(value, self.number.as_pointer()) for value in (a, b))
        c = builder.inttoptr(c, self.real.as_pointer())
        self.a_rows = [builder.mul(a_row, _INT(r)) if self.by_rows else _INT(r) for r in range(self.rows)]
        c_rows = [builder.gep(c, [builder.mul(c_row, _INT(r))]) for r in range(self.rows)]
        places = [builder.gep(row, [_INT(self.lanes * v)]) for row in c_rows for v in range(self.vectors)]
        # The last vector of a row may have fewer numbers than lanes: the others belong to the next row, or to nobody.
        last = [place % self.vectors == self.vectors - 1 for place in range(len(places))]
        self._make_mask(tail)

        for place in places:  # C is asked for before the sums are there
            prefetch(builder, place, to_write=True)
        entry, function = builder.block, builder.function
        outer_block, inner_block, next_block, end = (
            function.append_basic_block(name) for name in ("outer", "inner", "next", "end")
        )
        builder.branch(outer_block)

        zeros = [ir.Constant(self.vector, [0.0] * self.lanes)] * len(places)
        outer_phis = self._loop(outer_block, entry, a, b, zeros)
        builder.branch(inner_block)
        inner_phis = self._loop(inner_block, outer_block, outer_phis[1], outer_phis[2], outer_phis[3:])
        k, now_a, now_b, *accumulators = inner_phis
        fused = self._step(now_a, now_b, accumulators)
        k_next = builder.add(k, _INT(1))
        a_next = builder.gep(now_a, [_INT(1) if self.by_rows else a_row])
        b_next = builder.gep(now_b, [b_step])
        builder.cbranch(builder.icmp_signed("<", k_next, inner), inner_block, next_block)
        for phi, value in zip(inner_phis, (k_next, a_next, b_next, *fused), strict=True):
            phi.add_incoming(value, inner_block)

        builder.position_at_end(next_block)
        outer_next = builder.add(outer_phis[0], _INT(1))
        outer_a = builder.gep(outer_phis[1], [a_step])
        builder.cbranch(builder.icmp_signed("<", outer_next, outer), outer_block, end)
        for phi, value in zip(outer_phis, (outer_next, outer_a, b_next, *fused), strict=True):
            phi.add_incoming(value, next_block)

        builder.position_at_end(end)
        with builder.if_else(builder.icmp_unsigned("!=", add, add.type(0))) as (added, stored):
            with added:
                for value, place, at_end in zip(fused, places, last, strict=True):
                    self._store_c(builder.fadd(self._load_c(place, at_end), value), place, at_end)
            with stored:
                for value, place, at_end in zip(fused, places, last, strict=True):
                    self._store_c(value, place, at_end)

    def _step(self, a: Any, b: Any, accumulators: list[Any]) -> list[Any]:
        """One k: every row's number of A times B's vectors, added to the accumulators."""
        builder = self.builder
        numbers = ir.VectorType(self.number, self.lanes)
        spread = ir.Constant(ir.VectorType(_INT32, self.lanes), [0] * self.lanes)
        of_b = []
        for v in range(self.vectors):
            value = builder.load(builder.bitcast(builder.gep(b, [_INT(self.lanes * v)]), numbers.as_pointer()))
            value.align = self.size
            of_b.append(value)
        result = []
        for r in range(self.rows):
            number = builder.load(builder.gep(a, [self.a_rows[r]]))
            number = builder.insert_element(ir.Constant(numbers, ir.Undefined), number, _INT32(0))
            number = builder.shuffle_vector(number, ir.Constant(numbers, ir.Undefined), spread)
            for v in range(self.vectors):
                result.append(self._multiply_add(accumulators[r * self.vectors + v], number, of_b[v]))
        return result

    def _multiply_add(self, sum_: Any, a: Any, b: Any) -> Any:
        builder = self.builder
        if not self.pairs:
            return builder.fadd(sum_, builder.fmul(a, b, flags=["contract"]), flags=["contract"])
        pairs = ir.VectorType(BFLOAT, 2 * self.lanes)
        kind = ir.FunctionType(self.vector, [self.vector, pairs, pairs])
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [sum_, builder.bitcast(a, pairs), builder.bitcast(b, pairs)])

    def _loop(self, block: Any, came_from: Any, a: Any, b: Any, values: list[Any]) -> list[Any]:
        """The variables of a loop: its counter, both pointers and the sums."""
        self.builder.position_at_end(block)
        phis = []
        for value in (_INT(0), a, b, *values):
            phi = self.builder.phi(value.type)
            phi.add_incoming(value, came_from)
            phis.append(phi)
        return phis

    def _make_mask(self, tail: Any) -> None:
        """Lanes below `tail`."""
        builder, indices = self.builder, ir.VectorType(_INT32, self.lanes)
        undefined = ir.Constant(indices, ir.Undefined)
        count = builder.insert_element(undefined, builder.trunc(tail, _INT32), _INT32(0))
        counts = builder.shuffle_vector(count, undefined, ir.Constant(indices, [0] * self.lanes))
        self.mask = builder.icmp_signed("<", ir.Constant(indices, list(range(self.lanes))), counts)
        self.suffix = f"v{self.lanes}{'f64' if self.size == 8 else 'f32'}.p0"

    def _load_c(self, place: Any, masked: bool) -> Any:
        builder, vector = self.builder, self.vector
        place = builder.bitcast(place, vector.as_pointer())
        if not masked:
            value = builder.load(place)
            value.align = self.size
            return value
        kind = ir.FunctionType(vector, [vector.as_pointer(), _INT32, self.mask.type, vector])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.{self.suffix}")
        return builder.call(function, [place, _INT32(self.size), self.mask, ir.Constant(vector, [0.0] * self.lanes)])

    def _store_c(self, value: Any, place: Any, masked: bool) -> None:
        builder, vector = self.builder, self.vector
        place = builder.bitcast(place, vector.as_pointer())
        if not masked:
            builder.store(value, place).align = self.size
            return
        kind = ir.FunctionType(ir.VoidType(), [vector, vector.as_pointer(), _INT32, self.mask.type])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.{self.suffix}")
        builder.call(function, [value, place, _INT32(self.size), self.mask])


def _dispatch(by_rows: bool) -> Any:
    """All sizes of tile behind one intrinsic: a switch over the number of rows, one or two vectors."""

    @intrinsic
    def tiles(typingctx: Any, kind: Any, rows: Any, width: Any, a: Any, a_step: Any, a_row: Any, b: Any, b_step: Any,
              c: Any, c_row: Any, outer: Any, inner: Any, add: Any) -> Any:  # fmt: skip
        signature = types.void(kind, *([types.intp] * 11), types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            rows, width, *operands, add = args[1:]
            lanes = lanes_of(kind)
            done = builder.function.append_basic_block("tile.done")
            narrow = builder.icmp_signed("<=", width, _INT(lanes))
            single, double = (builder.function.append_basic_block(name) for name in ("single", "double"))
            builder.cbranch(narrow, single, double)
            for block, vectors in ((single, 1), (double, 2)):
                builder.position_at_end(block)
                tail = builder.sub(width, _INT(lanes * (vectors - 1)))
                switch = builder.switch(rows, done)
                for size in SIZES:
                    case = builder.function.append_basic_block(f"tile.{size}x{vectors}")
                    switch.add_case(_INT(size), case)
                    builder.position_at_end(case)
                    _Tile(context, builder, kind, size, vectors, by_rows).emit(operands, tail, add)
                    builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, codegen

    return tiles


# Rows of the tiles that there are.
SIZES = tuple(size for size in (1, 2, 4, 6, 8, 10, 12) if size <= ROWS)
_tile_of_columns, _tile_of_rows = _dispatch(False), _dispatch(True)


@register_jitable
def tile_rows(left):
    """Rows of the next tile when `left` rows are left: what there is a tile for."""
    if left >= ROWS:
        return ROWS
    return left if left % 2 == 0 or left == 1 else left - 1


def _rows_times_panel(kind, size, m, columns, a, a_row, a_step, outer, inner, b, wide, c, c_row, add):
    """All rows of C times one panel of B, a tile after the other. Called by name, so with numbers alone:

    Args:
        kind: an element of A and B, for its type; size: bytes of an element, and of a number of C.
        m: rows of A and C; columns: of C; wide: of the panel.
        a, b, c: addresses; a_row, a_step: elements from row to row of A, and from block to block.
        outer, inner: blocks of A, and elements of k in a row of each; c_row: numbers from row to row of C.
        add: whether the product is added to C.
    """
    i = 0
    while i < m:
        rows = tile_rows(m - i)
        c_i = c + i * c_row * size
        _tile_of_an_operand(kind, rows, columns, a, i, a_step, a_row, size, b, wide, c_i, c_row, outer, inner, add)
        i += rows


def _tile_of_an_operand(kind, rows, columns, a, i, a_step, a_row, size, b, wide, c, c_row, outer, inner, add):
    """Rows i, i + 1 ... of an operand by rows."""
    raise NotImplementedError("for kernels only")


@overload(_tile_of_an_operand, inline="always")
def _tile_of_an_operand_impl(kind, rows, columns, a, i, a_step, a_row, size, b, wide, c, c_row, outer, inner, add):
    def plain(kind, rows, columns, a, i, a_step, a_row, size, b, wide, c, c_row, outer, inner, add):
        a_i = a + i * a_row * size
        _tile_of_rows(kind, rows, columns, a_i, a_step, a_row, b, wide, c, c_row, outer, inner, add)

    def pairs(kind, rows, columns, a, i, a_step, a_row, size, b, wide, c, c_row, outer, inner, add):
        a_i = a + i * inner * size  # packed a tile's rows after the other (``pack.fill_rows``)
        _tile_of_columns(kind, rows, columns, a_i, a_step, rows, b, wide, c, c_row, outer, inner, add)

    return pairs if kind == types.uint32 else plain


def _columns_times_panel(kind, size, m, columns, a, slab, inner, b, wide, c, c_row, add):
    """The same for A by columns; slab: elements from one slab to the next."""
    i = 0
    while i < m:
        rows = tile_rows(m - i)
        a_i, c_i = a + (i // ROWS * slab + i % ROWS) * size, c + i * c_row * size
        _tile_of_columns(kind, rows, columns, a_i, 0, ROWS, b, wide, c_i, c_row, 1, inner, add)
        i += rows


ROWS_TIMES_PANEL = Routine("rows", lambda kind: [kind, *[types.intp] * 12, types.boolean], _rows_times_panel)
COLUMNS_TIMES_PANEL = Routine("columns", lambda kind: [kind, *[types.intp] * 10, types.boolean], _columns_times_panel)
_call_rows, _call_columns = call_by_name(ROWS_TIMES_PANEL), call_by_name(COLUMNS_TIMES_PANEL)


@jit
def rows_times_panel(a, deep, packed, wide, columns, c, add):
    """The first `columns` columns of c (+)= A B for one panel of B.

    Args:
        a: an operand by rows, m x deep elements or more.
        packed: the panel, flat, and what is behind it; `wide` elements for each of the `deep` of k.
        c: m rows, contiguous each.
    """
    a, b = a.array, packed.array
    row_a, row_c = a.strides[0] // a.itemsize, c.strides[0] // c.itemsize
    _call_rows(
        b.dtype.type(0), a.itemsize, a.shape[0], columns, address(a), row_a, 0, 1, deep, address(b), wide,
        address(c), row_c, add,
    )  # fmt: skip


@jit
def blocks_times_panel(blocks, count, inner, packed, wide, columns, c, add):
    """The same where A lies in `count` blocks of rows of `inner` elements (``layout.Blocks``), k running through a
    row of each block in turn."""
    a, b, row_c = blocks.operand.array, packed.array, c.strides[0] // c.itemsize
    _call_rows(
        b.dtype.type(0), a.itemsize, c.shape[0], columns, address(a), inner, blocks.step, count, inner, address(b),
        wide, address(c), row_c, add,
    )  # fmt: skip


@jit
def columns_times_panel(a, deep, packed, wide, columns, c, add):
    """The same as `rows_times_panel` for A by columns, of which `deep` elements of k are read."""
    a, b = a.array, packed.array
    slab, row_c = a.strides[0] // a.itemsize, c.strides[0] // c.itemsize
    _call_columns(
        b.dtype.type(0), a.itemsize, c.shape[0], columns, address(a), slab, deep, address(b), wide, address(c),
        row_c, add,
    )  # fmt: skip
