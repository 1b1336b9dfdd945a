"""Places in a YAML file: the line and column of every key, for error messages.

PyYAML passes over a key that stands twice; here it is refused.
"""

from __future__ import annotations

from typing import Any

import yaml

from rnnlm.errors import ConfigError

# The keys, and the indices of list items, that lead to a value.
Place = tuple[str | int, ...]


# Far above any configuration. Aliases of aliases would make millions of values from a few lines.
_DEEPEST, _MOST = 50, 10_000


def compose(text: str, loader: Any = yaml.SafeLoader) -> yaml.Node | None:
    """The nodes of a YAML text; None for an empty one.

    Raises:
        yaml.YAMLError: not YAML, or nested so deeply that PyYAML cannot read it.
    """
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=loader)
    except RecursionError:
        raise yaml.YAMLError(f"nested more than {_DEEPEST} deep") from None
    return node


def note_places(node: yaml.Node, path: str, within: Place = ()) -> dict[Place, str]:
    """``path:line:column`` of every key and list item of `node`; `within` is the place of `node` itself.

    Raises:
        ConfigError: a key that is no plain word, or stands twice in one mapping; an alias that stands inside itself;
            more values, or deeper ones, than a configuration can have.
    """
    places: dict[Place, str] = {}

    def note(node: yaml.Node, within: Place, above: tuple[yaml.Node, ...]) -> None:
        if node in above:
            raise ConfigError(f"{_where(node, path)}: an alias of itself; write the value out")
        if len(above) > _DEEPEST:
            raise ConfigError(f"{_where(node, path)}: nested more than {_DEEPEST} deep; write it flatter")
        if len(places) > _MOST:
            raise ConfigError(
                f"{path}: more than {_MOST:,} values, counting what aliases repeat; write out what is meant"
            )
        above = (*above, node)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                where = _where(key, path)
                if not isinstance(key, yaml.ScalarNode):
                    raise ConfigError(f"{where}: a key must be a plain word")
                place = (*within, str(key.value))
                if place in places:
                    raise ConfigError(f"{where}: {'.'.join(map(str, place))}: the key stands here twice; keep one")
                places[place] = where
                note(value, place, above)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                place = (*within, index)
                places[place] = _where(item, path)
                note(item, place, above)

    note(node, within, ())
    return places


def _where(node: yaml.Node, path: str) -> str:
    return f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
