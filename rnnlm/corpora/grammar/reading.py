"""Reader of grammar files: YAML to a `Source`, everything checked that needs no expansion."""

from __future__ import annotations

import math
import re
from pathlib import Path

import yaml

from rnnlm.config import recipes as resources
from rnnlm.corpora.grammar.source import Alternative, Block, Source, Symbol, Word, error_at
from rnnlm.errors import TextError

_SYMBOL = re.compile(r"([A-Z]\w*)(?:\[([^\[\]]*)\])?")
_ITEM = re.compile(r"[A-Z]\w*\[[^\]]*\]?|\S+")


def built_in() -> list[str]:
    """The names of the grammars that come with rnnlm."""
    return [name for name in resources.names("corpora", ".yaml") if name != "catalogue"]


def read(path: Path) -> Source:
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise TextError(f"{path}: not UTF-8 at byte {error.start + 1}; a grammar is UTF-8 text") from None
    except OSError as error:
        raise TextError(
            f"{path}: {error.strerror}; give a grammar file, or the name of one of ours ({', '.join(built_in())})"
        ) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise error_at(path, line, f"not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise TextError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise TextError(f"{path}: lists or mappings are nested too deep; a grammar needs four levels") from None
    sections = {key: value for key, value, _ in _pairs(path, node, "a grammar")}
    for key, _, line in _pairs(path, node, "a grammar"):
        if key not in ("start", "features", "zipf_shift", "rules", "words"):
            raise error_at(
                path, line, f"{key}: unknown key; the keys here are start, features, zipf_shift, rules and words"
            )
    for key in ("start", "rules", "words"):
        if key not in sections:
            raise error_at(path, 1, f"{key}: missing; a grammar needs start, rules and words")
    source = Source(path, _text(path, sections["start"], "start"), {}, {}, {}, {}, {})
    for name, values, line in _pairs(path, sections["features"], "features") if "features" in sections else ():
        _read_feature(source, name, values, line)
    for left, alternatives, line in _pairs(path, sections["rules"], "rules"):
        symbol = _define(source, left, line, again=True)
        if symbol.name in source.categories:
            raise error_at(path, line, f"{symbol.name}: has rules and words; keep one")
        right = _pairs(path, alternatives, f"{left} (right side: weight)")
        found = tuple(
            Alternative(
                _right_side(source, text, at), f"{left} -> {text or 'nothing'}", _number(path, value, text), at
            )
            for text, value, at in right
        )
        source.blocks.setdefault(symbol.name, []).append(Block(symbol, found, line))
    shift = _number(path, sections["zipf_shift"], "zipf_shift") if "zipf_shift" in sections else 2.0
    for left, groups, line in _pairs(path, sections["words"], "words"):
        symbol = _define(source, left, line, again=False)
        source.categories[symbol.name] = _read_words(source, symbol, groups, line, shift)
    for blocks in source.blocks.values():
        for block in blocks:
            for alternative in block.alternatives:
                for item in alternative.right:
                    if isinstance(item, Symbol):
                        _check_use(source, item, alternative.line)
    if source.start not in source.blocks or source.kinds[source.start]:
        line = sections["start"].start_mark.line + 1
        raise error_at(path, line, f"start: found {source.start}; give a symbol without features that has rules")
    return source


def _read_feature(source: Source, name: str, node: yaml.Node, line: int) -> None:
    earlier = [value for values in source.features.values() for value in values]
    if not re.fullmatch(r"[a-z]+", name) or any(re.fullmatch(rf"{name}\d*", value) for value in earlier):
        raise error_at(
            source.path, line, f"features: {name}: a feature's name is small letters, and no other's name or value"
        )
    if isinstance(node, yaml.SequenceNode):
        values = {_text(source.path, value, name): 1.0 for value in node.value}
    else:
        values = {key: _number(source.path, value, key) for key, value, _ in _pairs(source.path, node, name)}
    for value in values:
        if source.feature(value) or re.fullmatch(rf"{name}\d*", value):
            raise error_at(
                source.path, line, f"features: {name}: the value {value} is also a value or variable; rename one"
            )
    source.features[name] = values


def _read_words(source: Source, left: Symbol, node: yaml.Node, line: int, shift: float) -> list[Word]:
    """The words of one category. The r-th of a group has weight 1 / (r + shift) in it (Mandelbrot 1953)."""
    path, found, seen = source.path, [], set()
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise error_at(path, line, f"{left}: found no list; write '- {{words: first/firsts second/seconds}}' lines")
    for group in node.value:
        at = group.start_mark.line + 1
        keys = {key: value for key, value, _ in _pairs(path, group, str(left))}
        for key in keys:
            if key not in ("words", "weight", *left.arguments):
                raise error_at(
                    path,
                    at,
                    f"{left}: {key}: unknown key; the keys here are words, weight {' '.join(left.arguments)}",
                )
        words = _text(path, keys["words"], "words").split() if "words" in keys else []
        if not words:
            raise error_at(path, at, f"{left}: a group without words; give words: ...")
        weight = _number(path, keys["weight"], "weight") if "weight" in keys else 1.0
        likes = tuple(
            _likes(source, argument, keys.get(argument), feature)
            for argument, feature in zip(left.arguments, source.kinds[left.name], strict=True)
        )
        shares = [1 / (rank + shift) for rank in range(1, len(words) + 1)]
        for word, share in zip(words, shares, strict=True):
            forms = tuple(word.split("/"))
            wanted = len(source.features[source.kinds[left.name][0]]) if left.arguments else 1
            if not all(forms):
                raise error_at(path, at, f"{left}: {word}: found an empty form; write forms with / between them")
            if len(forms) not in (1, wanted):
                raise error_at(path, at, f"{left}: {word}: found {len(forms)} forms; give 1 or {wanted}, parted by /")
            for form in set(forms):
                if form in seen:
                    raise error_at(path, at, f"{left}: {form}: the word stands twice in this category; keep one")
                seen.add(form)
            found.append(Word(forms, weight * share / sum(shares), likes, at))
    return found


def _likes(source: Source, argument: str, node: yaml.Node | None, feature: str) -> dict[str, float]:
    """Distribution of a word's use over the values, in all 1: uniform where nothing is said."""
    values = source.features[feature]
    if node is None:
        return dict.fromkeys(values, 1 / len(values))
    at = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        found = {str(node.value): 1.0}
    else:
        found = {key: _number(source.path, value, key) for key, value, _ in _pairs(source.path, node, argument)}
    for value in found:
        if value not in values:
            raise error_at(
                source.path, at, f"{argument}: {value}: not a value of {feature}; give some of {', '.join(values)}"
            )
    total = math.fsum(found.values())
    return {value: weight / total for value, weight in found.items()}


def _define(source: Source, text: str, line: int, again: bool) -> Symbol:
    """The symbol on a left side. Rules may have several blocks of one name (`again`), all with the same
    features."""
    symbol = _symbol(source, text, line)
    features = tuple(source.feature(argument) or "" for argument in symbol.arguments)
    if symbol.name in source.kinds and (not again or source.kinds[symbol.name] != features):
        before = source.lines[symbol.name]
        raise error_at(
            source.path, line, f"{text}: {symbol.name} stands in line {before} already; give it one meaning"
        )
    if not again and (
        len(set(symbol.arguments)) < len(symbol.arguments) or any(map(source.is_value, symbol.arguments))
    ):
        raise error_at(source.path, line, f"{text}: a word category takes different variables")
    source.kinds[symbol.name] = features
    source.lines.setdefault(symbol.name, line)
    return symbol


def _symbol(source: Source, text: str, line: int) -> Symbol:
    match = _SYMBOL.fullmatch(text)
    if not match:
        raise error_at(
            source.path, line, f"{text}: not a symbol; write Name or Name[feature, ...], with a capital first"
        )
    arguments = tuple(part.strip() for part in match[2].split(",")) if match[2] is not None else ()
    for argument in arguments:
        if source.feature(argument) is None:
            known = "; ".join(f"{name}: {', '.join(values)}" for name, values in source.features.items()) or "none"
            raise error_at(source.path, line, f"{text}: {argument}: unknown feature or value; there are {known}")
    return Symbol(match[1], arguments)


def _right_side(source: Source, text: str, line: int) -> tuple[Symbol | str, ...]:
    """What starts with a capital is a symbol, everything else is a word."""
    items = _ITEM.findall(text)
    return tuple(_symbol(source, item, line) if re.match(r"[A-Z]", item) else item for item in items)


def _check_use(source: Source, item: Symbol, line: int) -> None:
    if item.name not in source.kinds:
        raise error_at(source.path, line, f"{item}: undefined; give {item.name} rules or words")
    features = tuple(source.feature(argument) for argument in item.arguments)
    if features != source.kinds[item.name]:
        wanted = Symbol(item.name, source.kinds[item.name])
        raise error_at(
            source.path, line, f"{item}: does not fit {wanted}, which line {source.lines[item.name]} defines"
        )


def _pairs(path: Path, node: yaml.Node | None, what: str) -> list[tuple[str, yaml.Node, int]]:
    """Key, value and line of a mapping's entries. Keys stay as they are written: ``on`` and ``no`` are words
    here."""
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise error_at(
            path, node.start_mark.line + 1 if node else 1, f"{what}: must be a mapping of key: value lines"
        )
    result: list[tuple[str, yaml.Node, int]] = []
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        text = _text(path, key, what)
        if text in seen:
            raise error_at(path, line, f"{text}: stands here twice; keep one")
        seen.add(text)
        result.append((text, value, line))
    return result


def _text(path: Path, node: yaml.Node, what: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise error_at(path, node.start_mark.line + 1, f"{what}: must be plain text")
    return " ".join(str(node.value).split())


def _number(path: Path, node: yaml.Node, what: str) -> float:
    text = _text(path, node, what)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise error_at(
            path, node.start_mark.line + 1, f"{what or 'nothing'}: found the weight {text}; give a number above 0"
        )
    return value
