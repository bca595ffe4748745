"""The checkers of the house: each takes the text of a file and returns what is wrong with it as `line: what`.

They are functions over text so that the tests can show each of them a bad sample.
"""

import ast
import re
from collections.abc import Iterator

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
CLASS_METHODS_MAX = 20

BANNED_MODULES = {
    "dill": "the journal and the wire hold versioned JSON or msgpack",
    "cloudpickle": "the journal and the wire hold versioned JSON or msgpack",
    "marshal": "the journal and the wire hold versioned JSON or msgpack",
    "pickle": "the journal and the wire hold versioned JSON or msgpack",
    "shelve": "the journal and the wire hold versioned JSON or msgpack",
}
BANNED_CALLS = {
    "eval": "no text becomes program text",
    "exec": "no text becomes program text",
    "compile": "no text becomes program text",
    "__import__": "no import by a name that came from data",
    "importlib.import_module": "no import by a name that came from data",
    "os.system": "no shell that a workflow did not ask for",
    "os.popen": "no shell that a workflow did not ask for",
    "subprocess.getoutput": "no shell that a workflow did not ask for",
    "tempfile.mktemp": "another process can take the name first",
    "time.sleep": "wait on a descriptor or an event with a bound",
    "print": "stdout carries the outputs of the run and nothing else",
    "yaml.load": "the native loader has budgets and knows YAML 1.2",
    "yaml.safe_load": "the native loader has budgets and knows YAML 1.2",
    "breakpoint": "left behind",
}
BANNED_KEYWORDS = {"preexec_fn=": "40 ms a spawn, and it can deadlock", "shell=True": "no shell that a workflow did not ask for"}
"""`name=` bans the keyword, `name=value` only that value."""

# What may be called where nobody else may, and why. Keys are paths below src/weft, or a folder with its slash.
ALLOWED = {
    "cli/": {"print", "importlib.import_module"},  # the door to people; its sub-commands load late, from a table of our own
    "executors/worker.py": {"exec", "compile", "importlib.import_module"},  # runs the author's code, in a process of its own
    "guests/node_runtime.py": {"exec", "compile", "importlib.import_module"},  # the same
}


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or a chain of attributes, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def real_names(tree: ast.AST) -> dict[str, str]:
    """What a local name stands for: `from time import sleep as nap` makes `nap` mean `time.sleep`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
    return names


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the full name of what it calls, as far as it can be read off."""
    names = real_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = dotted(node.func).partition(".")
            yield node, names.get(first, first) + dot + rest


def over_budget(source: str) -> list[str]:
    """Functions, classes and files that are larger than the budget. Lines count from `def` to the end, docstring included."""
    found = []
    if (lines := len(source.splitlines())) > FILE_LINES_MAX:
        found.append(f"{FILE_LINES_MAX}: the file has {lines} lines, at most {FILE_LINES_MAX}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                found.append(f"{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES_MAX}")
        elif isinstance(node, ast.ClassDef):
            methods = sum(isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) for child in node.body)
            if methods > CLASS_METHODS_MAX:
                found.append(f"{node.lineno}: {node.name} has {methods} methods, at most {CLASS_METHODS_MAX}")
    return found


def banned(source: str, where: str) -> list[str]:
    """Imports, calls and keywords that nothing in src may use unless ALLOWED says so. `where` is the path below src/weft."""
    tree = ast.parse(source)
    allowed = {name for place, names in ALLOWED.items() if where == place or where.startswith(place) for name in names}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for module in modules:
                if reason := BANNED_MODULES.get(module.partition(".")[0]):
                    found.append(f"{node.lineno}: imports {module}: {reason}")
    for call, full_name in calls(tree):
        name = full_name.removeprefix("builtins.")
        if name in BANNED_CALLS and name not in allowed:
            found.append(f"{call.lineno}: calls {name}: {BANNED_CALLS[name]}")
        for keyword in call.keywords:
            for passed in (f"{keyword.arg}=", f"{keyword.arg}={ast.unparse(keyword.value)}"):
                if passed in BANNED_KEYWORDS:
                    found.append(f"{call.lineno}: passes {passed}: {BANNED_KEYWORDS[passed]}")
    return found


def catches_all_without_reason(source: str) -> list[str]:
    """`except Exception`, wider or bare, that does not raise again and has no comment on its line or right above or below it."""
    lines = ["", *source.splitlines(), ""]
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            wide = any(kind is None or dotted(kind) in ("Exception", "BaseException") for kind in caught)
            again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            near = (lines[node.lineno - 1], lines[node.lineno + 1])
            if wide and not again and "#" not in lines[node.lineno] and not any(line.lstrip().startswith("#") for line in near):
                found.append(f"{node.lineno}: catches everything and does not say why")
    return found


def sleeps(source: str) -> list[str]:
    """Sleeps in a test. `sleep(0)` is fine; so is a line with a comment that says that the sleep is the subject."""
    lines = ["", *source.splitlines()]
    found = []
    for call, name in calls(ast.parse(source)):
        zero = len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
        comment = lines[call.lineno].partition("#")[2]
        if name in ("time.sleep", "asyncio.sleep") and not zero and "subject" not in comment:
            found.append(f"{call.lineno}: waits with {name}: wait on an event or a descriptor, with a bound")
    return found


def without_docstring(source: str) -> list[str]:
    """A module that holds code and does not open with what it is and which rules hold in it."""
    tree = ast.parse(source)
    return ["1: has no docstring"] if tree.body and not ast.get_docstring(tree) else []


# An address or a path of the machine on which something was written, which must not travel with the project.
PRIVATE = re.compile(
    r"""pypi\.org | pythonhosted\.org | registry\.npmjs | index[-]url
      | (?<![\w.])/(?:work|root|opt/pypi[\w-]*)/ | /(?:home|Users)/\w+/""",
    re.VERBOSE,
)


def private(text: str) -> list[str]:
    """Package registry addresses and paths of one machine."""
    return [
        f"{number}: holds {match[0]!r}" for number, line in enumerate(text.splitlines(), 1) if (match := PRIVATE.search(line))
    ]


LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links(markdown: str) -> list[str]:
    """Targets of the links to files, without anchors; links inside code blocks do not count."""
    text = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return [path for target in LINK.findall(text) if "://" not in target and (path := target.partition("#")[0])]
