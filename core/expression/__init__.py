"""The expression language: one text, one meaning in Python, SQL and the browser.

Read in this order: `types`, `lexer`, `parser` (text to a tree as written), `check` with
`calls` and `coerce` (to a typed tree), `functions` (the table, with `arithmetic` and
`dates`), then the targets `evaluate`, `sql` and `jsontree`; `compiled` ties them together.
"""

from core.expression.compiled import Expression, compile_expression
from core.expression.functions import FUNCTIONS, Function, with_functions
from core.expression.rename import rename_names
from core.expression.types import (
    BudgetExceeded,
    Env,
    ExpressionError,
    ExpressionProblem,
    PlainEnv,
    Scope,
    Type,
)

__all__ = [
    "FUNCTIONS",
    "BudgetExceeded",
    "Env",
    "Expression",
    "ExpressionError",
    "ExpressionProblem",
    "Function",
    "PlainEnv",
    "Scope",
    "Type",
    "compile_expression",
    "rename_names",
    "with_functions",
]
