"""Finds out whether an exception is plainly a bug of the test, whatever a model answered, and where it was raised.

In comes an exception with its traceback; nothing is called and no user's code is run. What an answer's text may have
caused is never called the test's own.
"""

import ast
import linecache
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import FrameType, TracebackType

from pytest_rightsize.answers import Answer
from pytest_rightsize.errors import RightsizeError, RightsizeWarning, SchemaReferenceError

__all__ = ["is_plainly_own", "raised_at"]

_PACKAGE = "pytest_rightsize"
# Of an answer: what was measured, and not what the model said.
_MEASURED = frozenset({"tokens", "energy", "seconds", "cost_usd"})
# A schema of the test that is none.
_SCHEMA_ERRORS = frozenset({"SchemaError", "UnknownType"})


def is_plainly_own(exception: BaseException) -> bool:
    """Whether no answer could have prevented it: wrong use of an Answer, a Model or a matcher, or of what is measured.

    An AttributeError or TypeError on something else may be a model's doing, such as a list in place of an object.
    """
    if isinstance(exception, SchemaReferenceError | RightsizeWarning):  # of which a filter may make an error
        return True
    if type(exception).__module__.startswith("jsonschema") and type(exception).__name__ in _SCHEMA_ERRORS:
        return True
    last = _last(exception.__traceback__)
    if last is None or isinstance(exception, RightsizeError):
        return False
    if _is_ours_by_name(last.tb_frame.f_globals.get("__name__")):
        # Arguments that our function does not take, or a bug of our own: neither is the model's.
        return isinstance(exception, AttributeError | TypeError | RuntimeError) and not isinstance(
            exception, RecursionError
        )
    if isinstance(exception, AttributeError):
        return _is_ours(exception.obj) or (exception.obj is None and _is_of_what_is_measured(last))
    return isinstance(exception, TypeError) and _is_of_ours(last)


def raised_at(exception: BaseException, root: Path) -> str:
    """`KeyError at tests/test_it.py:12`: the last line of the project itself, `root`, that was on the way."""
    place = None
    for frame, line in _frames(exception.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            place = f"{path.relative_to(root).as_posix()}:{line}"
        elif place is None:
            place = f"{path.name}:{line}"
    name = type(exception).__name__
    return name if place is None else f"{name} at {place}"


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _last(traceback: TracebackType | None) -> TracebackType | None:
    """The frame in which it was raised."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback


def _is_ours_by_name(module: object) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == _PACKAGE


def _is_ours(value: object) -> bool:
    """Whether it is an object of this package: an Answer, a Model, its Tokens..."""
    return _is_ours_by_name(type(value).__module__) and not isinstance(value, type | BaseException)


# --- the expression that failed ---------------------------------------------------------------------------------------


def _is_of_what_is_measured(traceback: TracebackType) -> bool:
    """Whether the attribute was asked of `answer.energy` or the like, which may be unknown."""
    node = _failing_expression(traceback)
    return isinstance(node, ast.Attribute) and _stands_for_ours(node.value, traceback.tb_frame)


def _is_of_ours(traceback: TracebackType) -> bool:
    """Whether an operation failed for its types: on something of ours, and on constants beside it."""
    node, frame = _failing_expression(traceback), traceback.tb_frame
    if isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Attribute) and _stands_for_ours(called.value, frame):
            owner = _value(called.value, frame)
            return _is_ours_by_name(getattr(getattr(type(owner), called.attr, None), "__module__", None))
        return isinstance(called, ast.Name) and _stands_for_ours(called, frame)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return False  # a text of the model may be the format
    operands = _operands(node)
    ours = [_stands_for_ours(operand, frame) for operand in operands]
    return any(ours) and all(own or _is_constant(operand) for own, operand in zip(ours, operands, strict=True))


def _operands(node: ast.expr | None) -> Sequence[ast.expr]:
    match node:
        case ast.Subscript(value=value, slice=index):
            return [value, index]
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Name():
            return [node]  # it is iterated over, or unpacked
    return []


def _stands_for_ours(node: ast.expr, frame: FrameType) -> bool:
    """Whether a name holds something of ours, or it is an attribute of that which was measured."""
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, frame)
        return _is_ours(owner) and (not isinstance(owner, Answer) or node.attr in _MEASURED)
    return isinstance(node, ast.Name) and _is_ours(_value(node, frame))


def _value(node: ast.expr, frame: FrameType) -> object:
    """The value of a name, or of an attribute of something of ours; None for anything else."""
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, frame)
        return getattr(owner, node.attr, None) if _is_ours(owner) else None
    return None


def _is_constant(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _failing_expression(traceback: TracebackType) -> ast.expr | None:
    """The expression that raised, as the source has it; None where that is not known."""
    frame = traceback.tb_frame
    position = next(islice(frame.f_code.co_positions(), traceback.tb_lasti // 2, None), None)
    if position is None or None in position:
        return None
    line, end_line, column, end_column = (number or 0 for number in position)
    lines = [
        text.encode() for text in linecache.getlines(frame.f_code.co_filename, frame.f_globals)[line - 1 : end_line]
    ]
    if not lines:
        return None
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    return _parse(b"".join(lines).decode(errors="replace").strip())


def _parse(source: str) -> ast.expr | None:
    for text in (f"({source})", source):
        try:
            (statement,) = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if isinstance(statement, ast.Expr):
            return statement.value
        if isinstance(statement, ast.Assert):
            return statement.test
        if isinstance(statement, ast.For):
            return statement.iter
    return None
