import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

DETECTORS = Path(__file__).resolve().parents[2] / "detectors"
SEEDS = DETECTORS / "adapters" / "alibi.py"
"""Seeds the generators that a library of others draws from and a whole process shares, and puts them back."""

# Everything by which a module learns the time, chance or the world, or changes it. import-linter forbids the
# third-party libraries; of the standard library it cannot forbid anything.
FORBIDDEN_MODULES = frozenset(
    [
        "asyncio",
        "concurrent",
        "ctypes",
        "fcntl",
        "fileinput",
        "ftplib",
        "getpass",
        "glob",
        "http",
        "io",
        "locale",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "platform",
        "pty",
        "random",
        "resource",
        "sched",
        "secrets",
        "select",
        "selectors",
        "shelve",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "syslog",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
        "warnings",
        "xmlrpc",
    ]
)
FORBIDDEN_CALLS = frozenset(["__import__", "breakpoint", "eval", "exec", "input", "open", "print"])
# Attributes that read the clock, whatever name the class was imported by.
FORBIDDEN_ATTRIBUTES = frozenset(["now", "today", "utcnow"])
# Of numpy: hidden state, unless seeded by the caller, and files.
FORBIDDEN_OF_NUMPY = frozenset(
    [
        "fromfile",
        "genfromtxt",
        "load",
        "loadtxt",
        "memmap",
        "random",
        "save",
        "savetxt",
        "savez",
        "seterr",
        "tofile",
    ]
)


def offences(source: str) -> Iterator[str]:
    """Tell what in a module is not pure."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if alias.name.partition(".")[0] in FORBIDDEN_MODULES or alias.name == "numpy.random":
                        yield f"{line}: import {alias.name}"
            case ast.ImportFrom(module=str(module), names=names):
                found = [alias.name for alias in names]
                if module.partition(".")[0] in FORBIDDEN_MODULES or module == "numpy.random":
                    yield f"{line}: from {module} import {', '.join(found)}"
                elif module == "numpy" and FORBIDDEN_OF_NUMPY & set(found):
                    yield f"{line}: from numpy import {', '.join(found)}"
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield f"{line}: {name}()"
            case ast.Attribute(attr=name) if name in FORBIDDEN_ATTRIBUTES or name == "tofile":
                yield f"{line}: .{name}"
            case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name) if name in FORBIDDEN_OF_NUMPY:
                yield f"{line}: numpy.{name}"
            case ast.Global():
                yield f"{line}: global"
            case _:
                pass


def test_detectors_touch_neither_world_nor_clock_nor_chance() -> None:
    modules = sorted(DETECTORS.rglob("*.py"))
    assert modules
    found = [(path, told) for path in modules for told in offences(path.read_text())]
    assert [each for each in found if each[0] != SEEDS or not each[1].endswith(("import sys", "numpy.random"))] == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os.path",
        "from urllib.request import urlopen",
        "from time import monotonic as clock",
        "def f():\n    import random",
        "open('x')",
        "print('x')",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.date.today()",
        "import numpy as np\nnp.random.rand()",
        "import numpy.random",
        "from numpy import random",
        "import numpy as np\nnp.load('x')",
        "def f():\n    global x\n    x = 1",
    ],
)
def test_the_check_sees(source: str) -> None:
    assert list(offences(source))


def test_the_check_lets_pure_code_pass() -> None:
    source = "import math\nimport numpy as np\nfrom datetime import timedelta\nx = np.sort([1.0]) + math.pi\n"
    assert list(offences(source)) == []
