"""Compiler of kernels: implements the intrinsics for Numba. It is imported only when a kernel is compiled."""

from __future__ import annotations

import platform
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils, config, errors, imputils
from numba.extending import intrinsic, overload, register_jitable

from layernet.engine.compiled import intrinsics

OPTIONS = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_registered: set[Callable] = set()


def compile_kernel(formula: Callable, name: str, dtype: np.dtype, is_checked: bool = False) -> tuple[str, str]:
    """Translate a kernel to LLVM's intermediate language.

    Parameters
    ----------
    formula : callable
        A function of (control, operands, sizes).
    name : str
        For the error.
    dtype : float32 or float64
    is_checked : bool, default=False
        Whether every index is checked; see `trial`. The sizes are an array then, and the operands are arrays of
        another type. Functions that kernels call are compiled for each type of their arguments, so those with
        checks and those without stay apart.

    Returns
    -------
    symbol : str
        The name of the function in the text. It takes two more arguments in front, which Numba uses: an address
        that it may write to, and one that it does not use.
    text : str

    Raises
    ------
    TypeError
        If Numba cannot compile the function.
    """
    for function in set(intrinsics.inlined) - _registered:
        # As in NumPy, a division by zero raises no exception. A loop that calls a function uses no vectors.
        fastmath = set(intrinsics.inlined[function])
        register_jitable(error_model="numpy", forceinline=True, fastmath=fastmath)(function)
        _registered.add(function)
    value_type = types.float32 if dtype == np.float32 else types.float64
    integers = types.CPointer(types.int64)
    sizes = types.Array(types.int64, 1, "C") if is_checked else integers
    signature = types.void(integers, types.CPointer(types.CPointer(value_type)), sizes)
    before, config.BOUNDSCHECK = config.BOUNDSCHECK, int(is_checked)
    try:
        dispatcher = njit(signature, fastmath=set(intrinsics.ANY_ORDER), **OPTIONS)(formula)
        (result,) = dispatcher.overloads.values()
        return result.fndesc.llvm_func_name, dispatcher.inspect_llvm(result.signature.args)
    except errors.NumbaError as error:  # not every message of Numba names a function
        raise TypeError(f"Numba cannot compile <kernel {name}> for {dtype}: {error}") from None
    finally:
        config.BOUNDSCHECK = before


@overload(intrinsics.matrices, prefer_literal=True)
def _matrices(control, operands, sizes, count):
    def view(index):
        return f"carray(operands[{index}], ({rows_of(index)}, sizes[{2 * index + 1}]))"

    return _views(view, sizes, count)


@overload(intrinsics.vectors, prefer_literal=True)
def _vectors(control, operands, sizes, count):
    def view(index):
        return f"carray(operands[{index}], ({rows_of(index)} * sizes[{2 * index + 1}],))"

    return _views(view, sizes, count)


@overload(intrinsics.int64_matrix, prefer_literal=True)
def _int64_matrix(control, operands, sizes, index):
    return _view_of(index.literal_value, types.int64, sizes)


@overload(intrinsics.int32_matrix, prefer_literal=True)
def _int32_matrix(control, operands, sizes, index):
    return _view_of(index.literal_value, types.int32, sizes)


@overload(intrinsics.float64_matrix, prefer_literal=True)
def _float64_matrix(control, operands, sizes, index):
    return _view_of(index.literal_value, types.float64, sizes)


def _view_of(index, kind, sizes):
    """Return the implementation of an intrinsic that returns one operand as a matrix of another type."""
    carray_of, note = _making_of_arrays(sizes)
    names = {"carray": carray_of, "note": note, "as_other": _POINTERS[kind]}
    shape = f"({rows_of(index)}, sizes[{2 * index + 1}])"
    exec(
        f"def view(control, operands, sizes, index):\n"
        f"    note(control, sizes, {index + 1}, {intrinsics.CODES[str(kind)]})\n"
        f"    return carray(as_other(operands[{index}]), {shape})",
        names,
    )
    return names["view"]


@overload(intrinsics.cast_like)
def _cast_like(like, value):
    to_type = np.float32 if getattr(like, "dtype", like) == types.float32 else np.float64
    return lambda like, value: to_type(value)


@overload(intrinsics.is_single)
def _is_single(like):
    single = getattr(like, "dtype", like) == types.float32
    return (lambda like: True) if single else (lambda like: False)


@overload(intrinsics.power_of_two)
def _power_of_two(exponent):
    return lambda exponent: _exponent_bits(exponent)


def rows_of(index):
    """Return the source text of an operand's number of rows: fixed, or that of the worker or the batch."""
    size = f"sizes[{2 * index}]"
    return f"(control[-1 - {size}] if {size} < 0 else {size})"


def _views(view, sizes, count):
    """Return a function that returns several views. Its source is generated, because Numba unrolls no loop."""
    carray_of, note = _making_of_arrays(sizes)
    names = {"carray": carray_of, "note": note}
    views = "".join(f"{view(index)}, " for index in range(count.literal_value))
    exec(
        f"def views(control, operands, sizes, count):\n"
        f"    note(control, sizes, {count.literal_value}, 0)\n"
        f"    return ({views})",
        names,
    )
    return names["views"]


def _making_of_arrays(sizes):
    """Return the function that makes an array from an address and a shape, and the one that is called first."""
    return (_checked_array, _note_operands) if isinstance(sizes, types.Array) else (carray, _note_nothing)


@register_jitable
def _note_nothing(control, sizes, count, code):
    pass


@register_jitable
def _note_operands(control, sizes, count, code):
    """Store the number of operands that a kernel reads; stop it if there are fewer, or one has another type."""
    n_operands = len(sizes) // 3  # two sizes of each, and then the types of all
    control[intrinsics.N_OPERANDS] = max(control[intrinsics.N_OPERANDS], count)
    if count > n_operands or (code and sizes[2 * n_operands + count - 1] != code):
        raise IndexError


@register_jitable
def _checked_array(address, shape):
    return _as_checked(carray(address, shape))


@intrinsic
def _as_checked(typing_context, array):
    """Return the same array with a type that only kernels with checks have."""

    def generate(context, builder, signature, arguments):
        return imputils.impl_ret_borrowed(context, builder, signature.return_type, arguments[0])

    return types.Array(array.dtype, array.ndim, array.layout, aligned=False)(array), generate


def _is_checked(array):
    return not array.aligned


def _other_pointer(kind):
    """Return an intrinsic that casts an address to that of another type."""

    @intrinsic
    def reinterpret(typing_context, pointer):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(pointer), generate

    return reinterpret


_POINTERS = {kind: _other_pointer(kind) for kind in (types.int64, types.int32, types.float64)}


@intrinsic
def _exponent_bits(typing_context, exponent):
    """Return the floating-point number with an exponent and a fraction of 0, made from its bits."""

    def generate(context, builder, signature, arguments):
        bits, bias, digits = (32, 127, 23) if exponent == types.float32 else (64, 1023, 52)
        integer = ir.IntType(bits)
        biased = builder.add(builder.fptosi(arguments[0], integer), integer(bias))
        return builder.bitcast(builder.shl(biased, integer(digits)), context.get_value_type(exponent))

    return exponent(exponent), generate


@intrinsic
def _call(typing_context, address, control, operands, sizes):
    """Call a kernel at an address. Numba's functions take two more addresses, and return a status."""

    def generate(context, builder, signature, arguments):
        address, control, operands, sizes = arguments
        byte_pointer = ir.IntType(8).as_pointer()
        integer_pointer = ir.IntType(64).as_pointer()
        kind = ir.FunctionType(
            ir.IntType(32), [byte_pointer, byte_pointer, integer_pointer, byte_pointer, integer_pointer]
        )
        with builder.goto_entry_block():
            unused = builder.alloca(ir.IntType(64), 2)
        unused = builder.bitcast(unused, byte_pointer)
        builder.call(
            builder.inttoptr(address, kind.as_pointer()),
            [
                unused,
                unused,
                control,
                builder.inttoptr(operands, byte_pointer),
                builder.inttoptr(sizes, integer_pointer),
            ],
        )
        return context.get_dummy_value()

    return types.void(address, control, operands, sizes), generate


@overload(intrinsics.call)
def _call_kernel(address, control, operands, sizes):
    return lambda address, control, operands, sizes: _call(address, control, operands, sizes)


@intrinsic
def _gemm(typing_context, address, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc):
    """Call BLAS's gemm at an address with alpha = 1, with all arguments by reference as in Fortran."""

    def generate(context, builder, signature, arguments):
        address, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc = arguments
        value_type = context.get_value_type(a_type.dtype)
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
            by_reference(value_type(1.0), value_type), data(a_type, a), whole(lda), data(b_type, b), whole(ldb),
            by_reference(beta, value_type), data(c_type, c), whole(ldc),
        ]  # fmt: skip
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)
        return context.get_dummy_value()

    a_type, b_type, c_type = a, b, c
    signature = types.void(
        types.int64, types.boolean, types.boolean, types.int64, types.int64, types.int64,
        a, types.int64, b, types.int64, a.dtype, c, types.int64,
    )  # fmt: skip
    return signature, generate


@overload(intrinsics.matrix_product)
def _matrix_product(address, first, second, out, form, add):
    # BLAS stores matrices by columns, so it is given the transposed product: out' = second' first'.
    cast_like, is_checked = intrinsics.cast_like, _is_checked(out)

    def multiply(address, first, second, out, form, add):
        rows, columns = out.shape
        if is_checked:
            _check_product(first, second, out, form)
        inner = first.shape[0] if form == 1 else first.shape[1]
        beta = cast_like(out, 1.0) if add else cast_like(out, 0.0)
        _gemm(
            address, form == 2, form == 1, columns, rows, inner, second, second.strides[0] // second.itemsize,
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
def _arrive(typing_context, counter):
    """Add 1 to a shared int64. A thread that reads the new value also reads all that was written before."""

    def generate(context, builder, signature, arguments):
        address = context.make_array(counter)(context, builder, arguments[0]).data
        builder.atomic_rmw("add", address, ir.IntType(64)(1), "acq_rel")
        return context.get_dummy_value()

    return types.void(counter), generate


@intrinsic
def _seen(typing_context, counter):
    """Return the value of a shared int64."""

    def generate(context, builder, signature, arguments):
        address = context.make_array(counter)(context, builder, arguments[0]).data
        return builder.load_atomic(address, "acquire", 8)

    return types.int64(counter), generate


@intrinsic
def _prefetch(typing_context, values, index):
    """Prefetch an entry into the nearest cache, to write it."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(values)(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, whole, whole, whole])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [address, whole(1), whole(3), whole(1)])
        return context.get_dummy_value()

    return types.void(values, types.int64), generate


@overload(intrinsics.fetch_to_write)
def _fetch_to_write(values, start, stop):
    entries_per_line = 64 // (4 if values.dtype == types.float32 else 8)

    def fetch(values, start, stop):
        for index in range(start, min(stop, len(values)), entries_per_line):
            _prefetch(values, index)

    return fetch


# Bits of the control register that replace subnormal results and operands by 0.
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
        address = builder.bitcast(slot, ir.IntType(8).as_pointer())
        _control_register(builder, "st", address)
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


@overload(intrinsics.flush_tiny_numbers)
def _flush_tiny_numbers():
    if not HAS_CONTROL_REGISTER:
        return lambda: 0

    def flush():
        mode = _read_mode()
        _write_mode(mode | FLUSH_TO_ZERO)
        return mode

    return flush


@overload(intrinsics.restore_mode)
def _restore_mode(mode):
    return (lambda mode: _write_mode(mode)) if HAS_CONTROL_REGISTER else (lambda mode: None)


@intrinsic
def _call_plain(typing_context, address):
    """Call a C function without arguments."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(address), generate


@overload(intrinsics.wait_for_all)
def _wait_for_all(control, counter):
    workers, barriers, yield_address = intrinsics.N_WORKERS, intrinsics.BARRIERS, intrinsics.YIELD_ADDRESS

    def wait(control, counter):
        control[barriers] += 1
        arrived = control[barriers] * control[workers]
        _arrive(counter)
        patience = 2000  # some microseconds; then the others may need this processor to arrive
        while _seen(counter) < arrived:
            patience -= 1
            if patience < 0:
                _call_plain(control[yield_address])

    return wait
