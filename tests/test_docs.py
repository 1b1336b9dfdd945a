"""What the documents say is what the program does."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import inspect
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from rnnlm import api
from rnnlm.cli import app
from rnnlm.config import file as config_file
from rnnlm.network.cells import elman, recurrence
from rnnlm.network.outputs import softmax
from rnnlm.network.reference import equations
from rnnlm.version import __version__

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def script(name: str) -> Any:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date() -> None:
    made = script("make_reference")
    assert made.TARGET.read_text(encoding="utf-8") == made.reference(), "run: python docs/make_reference.py"


def test_the_tables_of_the_architecture_are_up_to_date() -> None:
    made = script("make_architecture")
    text = made.TARGET.read_text(encoding="utf-8")
    assert text == made.page(text), "run: python docs/make_architecture.py"
    assert len(made.packages()) > 15
    assert len(made.files()) > 150


def test_every_module_says_what_it_is_in_a_line() -> None:
    made = script("make_architecture")
    for path in made.PACKAGE.rglob("*.py"):
        assert 10 < len(made.first_sentence(path)) <= 100, f"{path}: {made.first_sentence(path)}"


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Adam (Kingma & Ba 2015). One line more.", "Adam (Kingma & Ba 2015)"),
        ("Dropout (Gal et al. 2016), ``m o x``.\n\nMore.", "Dropout (Gal et al. 2016), `m o x`"),
        ("A table of |V| rows:\n\n    E", r"A table of \|V\| rows"),
        ("A sentence in\ntwo lines", "A sentence in two lines"),
    ],
)
def test_the_first_sentence_of_a_module(docstring: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(f'"""{docstring}"""\n', encoding="utf-8")
    assert script("make_architecture").first_sentence(tmp_path / "module.py") == sentence


def test_the_files_that_the_documents_name_are_there() -> None:
    """As paths in the repository, in a package below rnnlm/, or in tests/support/."""
    files = [path for folder in ("rnnlm", "tests/support") for path in (ROOT / folder).rglob("*")]
    below = {f"/{path.relative_to(ROOT).as_posix()}" for path in files}
    names = {
        (path.name, name)
        for path in PAGES
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", path.read_text(encoding="utf-8"))
        if "NAME" not in name
    }
    assert len(names) > 200
    for page, name in names:
        found = (ROOT / name).exists() or any(path.endswith(f"/{name.rstrip('/')}") for path in below)
        assert found, f"{page}: {name}"


def test_the_places_to_add_to_are_there() -> None:
    """`NAME` (`file`) in the architecture is a name in that file."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    places = re.findall(r"`([A-Za-z_]+)`\s\(`([\w/]+\.py)`\)", text)
    assert {name for name, _ in places} >= {
        "CELLS",
        "STEPS",
        "OUTPUTS",
        "LOG_Y_HAT",
        "LAYERS",
        "RULES",
        "slow_update",
    }
    for name, file in places:
        path = ROOT / "rnnlm" / file if (ROOT / "rnnlm" / file).exists() else ROOT / file
        assert re.search(rf"^(?:def |class )?{name}\b", path.read_text(encoding="utf-8"), re.M), (name, file)


def test_the_readmes_python_calls_what_is_there() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    assert len(calls) > 5
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        owner = ast.unparse(call.func.value)
        function = getattr({"rnnlm": api, "model": api.LanguageModel}[owner], call.func.attr)
        given = [None] * (len(call.args) + (owner == "model"))
        inspect.signature(function).bind(*given, **{str(keyword.arg): None for keyword in call.keywords})


def commands() -> list[str]:
    """Every `rnnlm ...` line of the documents' shell blocks."""
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    found = []
    for text in texts:
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
            joined = block.replace("\\\n", " ")
            found += re.findall(r"^(?:\.venv/bin/)?(rnnlm .*?)(?:\s+#.*)?$", joined, re.M)
    return found


def test_there_are_commands() -> None:
    assert len(commands()) >= 5


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_documents_has_arguments_that_exist(line: str) -> None:
    words = shlex.split(re.split(r"\s[|>]\s", line)[0])[1:]
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, line
        assert words[0] in command.commands, f"{line}: no command {words[0]}"
        command = command.commands[words.pop(0)]
    context = command.make_context(command.name, words)  # raises for an option that does not exist
    if "config" in context.params:
        name = context.params["config"]
        own = {"data": {"train": "my.txt", "valid": "other.txt"}}  # the reader's, like any other
        config_file.load(own if name == "my.yaml" else ROOT / name, context.params.get("overrides") or ())


def test_links_lead_somewhere() -> None:
    for path in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_tables_are_whole() -> None:
    """A line of a table has as many cells as its heading: a | inside a cell is escaped."""
    for path in PAGES:
        prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
        for table in re.findall(r"(?:^\|.*\n)+", prose, re.M):
            borders = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(borders) == 1, f"{path.name}: {table}"


def test_nothing_installs_the_rnnlm_of_the_package_index() -> None:
    """That one is another project."""
    texts = [
        path
        for pattern in ("*.md", "*.toml", "rnnlm/**/*.py", "docs/*", "benchmarks/*", "configs/*", "corpora/*")
        for path in ROOT.glob(pattern)
        if path.suffix in (".md", ".py", ".toml", ".yaml")
    ]
    assert ROOT / "README.md" in texts
    assert ROOT / "rnnlm" / "interchange" / "onnx" / "export.py" in texts
    for path in texts:
        assert not re.search(r"pip install +(?:-\S+ +)*['\"]?rnnlm", path.read_text(encoding="utf-8")), path


def test_the_changelog_has_the_version() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert versions[0] == __version__
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"] == __version__


DERIVATION = ROOT / "docs" / "derivation.md"


def test_every_number_of_the_derivation_is_computed() -> None:
    found = doctest.testfile(str(DERIVATION), module_relative=False, encoding="utf-8")
    assert found.attempted > 80
    assert found.failed == 0


def test_the_functions_that_the_derivation_names_are_there() -> None:
    text = DERIVATION.read_text(encoding="utf-8")
    for module in (equations, elman, recurrence, softmax):
        names = re.findall(rf"`{module.__name__.rsplit('.', 1)[1]}\.(\w+)", text)
        assert names, module
        for name in names:
            assert hasattr(module, name), name
    own = [name for name, value in vars(equations).items() if getattr(value, "__module__", "") == equations.__name__]
    assert len(own) > 10
    for name in own:
        assert re.search(rf"\b{name}\b", text), f"no word about equations.{name}"


def test_the_derivations_mathematics_is_closed() -> None:
    text = DERIVATION.read_text(encoding="utf-8")
    blocks = re.findall(r"^```math\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) > 15
    for block in blocks:
        assert block.count("{") == block.count("}"), block
        assert len(re.findall(r"\\begin", block)) == len(re.findall(r"\\end", block)), block
        assert len(re.findall(r"\\left", block)) == len(re.findall(r"\\right", block)), block
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for formula in re.findall(r"\$([^$]+)\$", prose):
        assert "\n" not in formula, formula
        assert formula.count("{") == formula.count("}"), formula
        assert not re.search(r"\\[,;!]", formula), f"Markdown takes the backslash away: {formula}"
    assert prose.count("$") % 2 == 0


def test_the_configuration_of_the_readme_is_one(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S)
    assert blocks
    for block in blocks:
        path = tmp_path / "readme.yaml"
        path.write_text(block, encoding="utf-8")
        config_file.load(path)
