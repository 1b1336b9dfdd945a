"""Places in a YAML file: the line and column of every key, for error messages.

PyYAML passes over a key that stands twice; here it is refused.
"""

from __future__ import annotations

import yaml

from rnnlm.errors import ConfigError

# The keys, and the indices of list items, that lead to a value.
Place = tuple[str | int, ...]


def note_places(
    node: yaml.Node, path: str, within: Place = (), above: tuple[yaml.Node, ...] = ()
) -> dict[Place, str]:
    """``path:line:column`` of every key and list item of `node`; `within` is the place of `node` itself, `above` the
    nodes that hold it.

    Raises:
        ConfigError: a key that is no plain word, or stands twice in one mapping; an alias that stands inside itself.
    """
    if node in above:
        raise ConfigError(f"{_where(node, path)}: an alias of itself; write the value out")
    above = (*above, node)
    places: dict[Place, str] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            where = _where(key, path)
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{where}: a key must be a plain word")
            place = (*within, str(key.value))
            if place in places:
                raise ConfigError(f"{where}: {'.'.join(map(str, place))}: the key stands here twice; keep one")
            places[place] = where
            places |= note_places(value, path, place, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            place = (*within, index)
            places[place] = _where(item, path)
            places |= note_places(item, path, place, above)
    return places


def _where(node: yaml.Node, path: str) -> str:
    return f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
