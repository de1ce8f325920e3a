"""The compiler of kernels: what Numba has to be told of their words. Imported only to compile something."""

from __future__ import annotations

import platform
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils, config, imputils
from numba.extending import intrinsic, overload, register_jitable

from layernet.engine.compiled import intrinsics as words

ORDINARY = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_known: set[Callable] = set()


def compile_kernel(formula: Callable, dtype: np.dtype, is_checked: bool = False) -> tuple[str, str]:
    """Translate a kernel into LLVM's language.

    Parameters
    ----------
    formula : callable
        Of (batch, operands, sizes).
    dtype : float32 or float64
    is_checked : bool, default=False
        Whether every index is checked; see `trial`. The sizes are an array then, and the operands are arrays of
        a type of their own: functions that kernels call are compiled for each type of their arguments, so that
        those with and those without checks do not get mixed up.

    Returns
    -------
    symbol : str
        The name of the function in the text. It takes two more arguments in front, for Numba's own use: an
        address that something may be written to, and one that is left alone.
    text : str
    """
    for function in set(words.inlined) - _known:
        # A division by zero is no exception, as in NumPy.
        register_jitable(error_model="numpy", fastmath=set(words.inlined[function]))(function)
        _known.add(function)
    number = types.float32 if dtype == np.float32 else types.float64
    integers = types.CPointer(types.int64)
    sizes = types.Array(types.int64, 1, "C") if is_checked else integers
    signature = types.void(integers, types.CPointer(types.CPointer(number)), sizes)
    before, config.BOUNDSCHECK = config.BOUNDSCHECK, int(is_checked)
    try:
        dispatcher = njit(signature, fastmath=set(words.FAST), **ORDINARY)(formula)
        (result,) = dispatcher.overloads.values()
        return result.fndesc.llvm_func_name, dispatcher.inspect_llvm(result.signature.args)
    finally:
        config.BOUNDSCHECK = before


@overload(words.arrays, prefer_literal=True)
def _arrays(batch, operands, sizes, count):
    def view(index):
        return f"carray(operands[{index}], ({rows_of(index)}, sizes[{2 * index + 1}]))"

    return _views(view, sizes, count)


@overload(words.vectors, prefer_literal=True)
def _vectors(batch, operands, sizes, count):
    def view(index):
        return f"carray(operands[{index}], ({rows_of(index)} * sizes[{2 * index + 1}],))"

    return _views(view, sizes, count)


@overload(words.whole_numbers, prefer_literal=True)
def _whole_numbers(batch, operands, sizes, index):
    return _view_of(index.literal_value, types.int64, sizes)


@overload(words.short_numbers, prefer_literal=True)
def _short_numbers(batch, operands, sizes, index):
    return _view_of(index.literal_value, types.int32, sizes)


@overload(words.doubles, prefer_literal=True)
def _doubles(batch, operands, sizes, index):
    return _view_of(index.literal_value, types.float64, sizes)


def _view_of(index, kind, sizes):
    """A function that returns one operand as a matrix of another type than the plan's."""
    carray_of, note = _making_of_arrays(sizes)
    names = {"carray": carray_of, "note": note, "as_other": _POINTERS[kind]}
    shape = f"({rows_of(index)}, sizes[{2 * index + 1}])"
    exec(
        f"def view(batch, operands, sizes, index):\n"
        f"    note(batch, sizes, {index + 1}, {words.CODES[str(kind)]})\n"
        f"    return carray(as_other(operands[{index}]), {shape})",
        names,
    )
    return names["view"]


@overload(words.number)
def _number(like, value):
    to_type = np.float32 if getattr(like, "dtype", like) == types.float32 else np.float64
    return lambda like, value: to_type(value)


@overload(words.is_single)
def _is_single(like):
    single = getattr(like, "dtype", like) == types.float32
    return (lambda like: True) if single else (lambda like: False)


@overload(words.power_of_two)
def _power_of_two(exponent):
    return lambda exponent: _exponent_bits(exponent)


def rows_of(index):
    """The text for how many rows an operand has: a number of its own, or that of the worker or the batch."""
    size = f"sizes[{2 * index}]"
    return f"(batch[-1 - {size}] if {size} < 0 else {size})"


def _views(view, sizes, count):
    """A function that returns so many views, written out: a compiler needs to see each."""
    carray_of, note = _making_of_arrays(sizes)
    names = {"carray": carray_of, "note": note}
    views = "".join(f"{view(index)}, " for index in range(count.literal_value))
    exec(
        f"def views(batch, operands, sizes, count):\n"
        f"    note(batch, sizes, {count.literal_value}, 0)\n"
        f"    return ({views})",
        names,
    )
    return names["views"]


def _making_of_arrays(sizes):
    """What makes an array of an address and a shape, and what is called before that, with checks or without."""
    return (_checked_array, _note_operands) if isinstance(sizes, types.Array) else (carray, _note_nothing)


@register_jitable
def _note_nothing(batch, sizes, count, code):
    pass


@register_jitable
def _note_operands(batch, sizes, count, code):
    """Note how many operands a kernel asks for, and stop it if there are fewer, or one has another type."""
    n_operands = len(sizes) // 3  # two sizes of each, and then the types of all
    batch[words.LAST] = max(batch[words.LAST], count)
    if count > n_operands or (code and sizes[2 * n_operands + count - 1] != code):
        raise IndexError


@register_jitable
def _checked_array(address, shape):
    return _as_checked(carray(address, shape))


@intrinsic
def _as_checked(typing_context, array):
    """The same array as one of a type that only kernels with checks have."""

    def generate(context, builder, signature, arguments):
        return imputils.impl_ret_borrowed(context, builder, signature.return_type, arguments[0])

    return types.Array(array.dtype, array.ndim, array.layout, aligned=False)(array), generate


def _is_checked(array):
    return not array.aligned


def _other_pointer(kind):
    """An intrinsic that takes an address for that of something else."""

    @intrinsic
    def reinterpret(typing_context, pointer):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(pointer), generate

    return reinterpret


_POINTERS = {kind: _other_pointer(kind) for kind in (types.int64, types.int32, types.float64)}


@intrinsic
def _exponent_bits(typing_context, exponent):
    """A floating-point number made by its bits: an exponent, and a fraction of zero."""

    def generate(context, builder, signature, arguments):
        bits, bias, digits = (32, 127, 23) if exponent == types.float32 else (64, 1023, 52)
        integer = ir.IntType(bits)
        biased = builder.add(builder.fptosi(arguments[0], integer), integer(bias))
        return builder.bitcast(builder.shl(biased, integer(digits)), context.get_value_type(exponent))

    return exponent(exponent), generate


@intrinsic
def _call(typing_context, place, batch, operands, sizes):
    """Call a kernel: what Numba makes of a function takes two addresses more, and returns a number."""

    def generate(context, builder, signature, arguments):
        place, batch, operands, sizes = arguments
        address = ir.IntType(8).as_pointer()
        integer = ir.IntType(64).as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [address, address, integer, address, integer])
        with builder.goto_entry_block():
            unused = builder.alloca(ir.IntType(64), 2)
        unused = builder.bitcast(unused, address)
        builder.call(
            builder.inttoptr(place, kind.as_pointer()),
            [unused, unused, batch, builder.inttoptr(operands, address), builder.inttoptr(sizes, integer)],
        )
        return context.get_dummy_value()

    return types.void(place, batch, operands, sizes), generate


@overload(words.call)
def _call_kernel(place, batch, operands, sizes):
    return lambda place, batch, operands, sizes: _call(place, batch, operands, sizes)


@intrinsic
def _gemm(typing_context, place, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc):
    """Call BLAS's gemm at an address, with all arguments by reference as in Fortran, and alpha = 1."""

    def generate(context, builder, signature, arguments):
        place, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc = arguments
        number = context.get_value_type(a_type.dtype)
        byte, integer = ir.IntType(8), ir.IntType(32)

        def by_reference(value, kind):
            with builder.goto_entry_block():
                slot = builder.alloca(kind)
            builder.store(value, slot)
            return slot

        def whole(value):
            return by_reference(builder.trunc(value, integer), integer)

        def letter(is_transposed):
            return by_reference(builder.select(is_transposed, byte(ord("T")), byte(ord("N"))), byte)

        def data(kind, value):
            return context.make_array(kind)(context, builder, value).data

        arguments = [
            letter(transpose_a), letter(transpose_b), whole(m), whole(n), whole(k),
            by_reference(number(1.0), number), data(a_type, a), whole(lda), data(b_type, b), whole(ldb),
            by_reference(beta, number), data(c_type, c), whole(ldc),
        ]  # fmt: skip
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        builder.call(builder.inttoptr(place, kind.as_pointer()), arguments)
        return context.get_dummy_value()

    a_type, b_type, c_type = a, b, c
    signature = types.void(
        types.int64, types.boolean, types.boolean, types.int64, types.int64, types.int64,
        a, types.int64, b, types.int64, a.dtype, c, types.int64,
    )  # fmt: skip
    return signature, generate


@overload(words.matrix_product)
def _matrix_product(place, first, second, out, form, add):
    # BLAS counts columns first: what it takes for the product is the transpose of second' x first'.
    number, is_checked = words.number, _is_checked(out)

    def multiply(place, first, second, out, form, add):
        rows, columns = out.shape
        if is_checked:
            _check_product(first, second, out, form)
        inner = first.shape[0] if form == 1 else first.shape[1]
        beta = number(out, 1.0) if add else number(out, 0.0)
        _gemm(
            place, form == 2, form == 1, columns, rows, inner, second, second.strides[0] // second.itemsize,
            first, first.strides[0] // first.itemsize, beta, out, columns,
        )  # fmt: skip

    return multiply


@register_jitable
def _check_product(first, second, out, form):
    n_rows, inner = first.shape[::-1] if form == 1 else first.shape
    inner_of_second, n_columns = second.shape[::-1] if form == 2 else second.shape
    if out.shape != (n_rows, n_columns) or inner != inner_of_second:
        raise IndexError


@intrinsic
def _arrive(typing_context, gate):
    """Add 1 to a shared whole number; who sees the new value also sees all that was written before."""

    def generate(context, builder, signature, arguments):
        place = context.make_array(gate)(context, builder, arguments[0]).data
        builder.atomic_rmw("add", place, ir.IntType(64)(1), "acq_rel")
        return context.get_dummy_value()

    return types.void(gate), generate


@intrinsic
def _seen(typing_context, gate):
    """The value of a shared whole number."""

    def generate(context, builder, signature, arguments):
        place = context.make_array(gate)(context, builder, arguments[0]).data
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(gate), generate


@intrinsic
def _prefetch(typing_context, values, place):
    """LLVM's prefetch, to write, into the nearest cache."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(values)(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, whole, whole, whole])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [address, whole(1), whole(3), whole(1)])
        return context.get_dummy_value()

    return types.void(values, types.int64), generate


@overload(words.fetch_to_write)
def _fetch_to_write(values, start, stop):
    a_line = 64 // (4 if values.dtype == types.float32 else 8)

    def fetch(values, start, stop):
        for place in range(start, min(stop, len(values)), a_line):
            _prefetch(values, place)

    return fetch


# Bits of a control register: results, and operands, that are too small are 0.
FLUSH_TO_ZERO = 0x8040
HAS_CONTROL_REGISTER = platform.machine().lower() in ("x86_64", "amd64")


def _control_register(builder, name, slot):
    kind = ir.FunctionType(ir.VoidType(), [slot.type])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}mxcsr"), [slot])


@intrinsic
def _read_mode(typing_context):
    def generate(context, builder, signature, arguments):
        with builder.goto_entry_block():
            slot = builder.alloca(ir.IntType(32))
        place = builder.bitcast(slot, ir.IntType(8).as_pointer())
        _control_register(builder, "st", place)
        return builder.zext(builder.load(slot), ir.IntType(64))

    return types.int64(), generate


@intrinsic
def _write_mode(typing_context, mode):
    def generate(context, builder, signature, arguments):
        with builder.goto_entry_block():
            slot = builder.alloca(ir.IntType(32))
        builder.store(builder.trunc(arguments[0], ir.IntType(32)), slot)
        _control_register(builder, "ld", builder.bitcast(slot, ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64), generate


@overload(words.flush_tiny_numbers)
def _flush_tiny_numbers():
    if not HAS_CONTROL_REGISTER:
        return lambda: 0

    def flush():
        mode = _read_mode()
        _write_mode(mode | FLUSH_TO_ZERO)
        return mode

    return flush


@overload(words.restore_mode)
def _restore_mode(mode):
    return (lambda mode: _write_mode(mode)) if HAS_CONTROL_REGISTER else (lambda mode: None)


@intrinsic
def _call_plain(typing_context, place):
    """Call a C function without arguments."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(place), generate


@overload(words.wait_for_all)
def _wait_for_all(batch, gate):
    workers, waits, let_others_go_first = words.N_WORKERS, words.WAITS, words.YIELD

    def wait(batch, gate):
        batch[waits] += 1
        arrived = batch[waits] * batch[workers]
        _arrive(gate)
        patience = 2000  # some microseconds; after that the others may need this processor to get here
        while _seen(gate) < arrived:
            patience -= 1
            if patience < 0:
                _call_plain(batch[let_others_go_first])

    return wait
