"""What the documents say is what the program does."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from rnnlm.cli import app
from rnnlm.config import file as config_file
from rnnlm.network.cells import elman, recurrence
from rnnlm.network.outputs import softmax
from rnnlm.network.reference import equations

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text(encoding="utf-8") == module.reference(), "run: python docs/make_reference.py"


def commands() -> list[str]:
    """Every `rnnlm ...` line of the shell blocks of the README and of docs/."""
    texts = [README, *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))]
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
        config_file.load(ROOT / context.params["config"], context.params.get("overrides") or ())


def test_links_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_tables_are_whole() -> None:
    """A line of a table has as many cells as its heading: a | inside a cell is escaped."""
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
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
