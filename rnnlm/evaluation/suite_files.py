"""Files of SyntaxGym's test suites (Gauthier et al. 2020): sentences in regions, and predictions.

A JSON file with `meta` (`name`, `metric`: sum), `predictions` (`type`: formula, `formula`) and `items`
(`item_number`, and `conditions` with a `condition_name` and `regions`, each a `region_number` and its `content`). The
suites of Hu et al. (2020) have their formulas under `meta` as `string_predictions`; they are read where `predictions`
is empty. Whatever else stands in the file is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rnnlm.errors import TextError
from rnnlm.evaluation import formulas
from rnnlm.evaluation.formulas import Formula
from rnnlm.text import files


class Condition(NamedTuple):
    """A sentence: the texts of its regions by their numbers, in the sentence's order."""

    name: str
    regions: dict[int, str]


class SuiteItem(NamedTuple):
    """An item: its sentences."""

    number: int
    conditions: list[Condition]


class Suite(NamedTuple):
    """A test suite. source: the file's name, for messages."""

    name: str
    source: str
    predictions: list[Formula]
    items: list[SuiteItem]


class _Object(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Region(_Object):
    region_number: int
    content: str


class _Condition(_Object):
    condition_name: str
    regions: Annotated[list[_Region], Field(min_length=1)]


class _Item(_Object):
    item_number: int
    conditions: Annotated[list[_Condition], Field(min_length=1)]


class _Prediction(_Object):
    type: Literal["formula"]
    formula: str


class _Meta(_Object):
    name: str | None = None
    metric: Literal["sum"] = "sum"
    string_predictions: list[str] = Field(default_factory=list)


class _Suite(_Object):
    meta: _Meta
    predictions: list[_Prediction] = Field(default_factory=list)
    items: Annotated[list[_Item], Field(min_length=1)]


def read(path: Path) -> Suite:
    """The suite of a file, plain or gzip.

    Raises:
        TextError: the file cannot be read, or is no such JSON; a formula is none, or names what an item has not; a
            condition or region is missing, or there twice; a sentence without a word, or with a literal ``</s>``.
    """
    source = files.name(path)
    made = _checked(_json(path, source), source)
    if made.predictions:
        given = {f"predictions[{i}]": prediction.formula for i, prediction in enumerate(made.predictions)}
    else:
        given = {f"meta.string_predictions[{i}]": text for i, text in enumerate(made.meta.string_predictions)}
    if not given:
        raise TextError(f"{source}: predictions: there is none; must be at least one formula")
    predictions = {place: formulas.compile(text, f"{source}: {place}") for place, text in given.items()}
    _refuse_twice((item.item_number for item in made.items), f"{source}: items: the item_number")
    items = [_item(item, source) for item in made.items]
    first = items[0]
    for item in items:
        _refuse_other(first, item, source)
    for place, formula in predictions.items():
        conditions = {condition.name: condition.regions for condition in first.conditions}
        for reference in formula.references:
            there = conditions.get(reference.condition)
            if there is None:
                raise TextError(
                    f"{source}: {place}: {reference}: there is no condition {reference.condition}; there are "
                    f"{', '.join(conditions)}"
                )
            if reference.region is not None and reference.region not in there:
                raise TextError(
                    f"{source}: {place}: {reference}: there is no region {reference.region}; there are "
                    f"{', '.join(map(str, there))}"
                )
    name = made.meta.name or Path(path.name.removesuffix(".gz")).stem
    return Suite(name, source, list(predictions.values()), items)


def _json(path: Path, source: str) -> Any:
    raw = b"".join(block.data for block in files.blocks(path))
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise TextError(f"{source}: not UTF-8 at byte {error.start + 1}; convert it to UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise TextError(f"{source}: no JSON: {error}") from None


def _checked(found: Any, source: str) -> _Suite:
    try:
        return _Suite.model_validate(found)
    except ValidationError as errors:
        error = errors.errors()[0]
        keys = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
        place = ": ".join(filter(None, (source, "".join(keys).removeprefix("."))))
        if error["type"] == "missing":
            raise TextError(f"{place}: missing; a test suite of SyntaxGym has it") from None
        value = json.dumps(error["input"])
        value = value if len(value) <= 40 else f"{value[:40]}..."
        needed = error["msg"].replace("Input should be", "must be")
        if error["type"].startswith("model_"):
            needed = "must be an object"
        raise TextError(f"{place}: found {value}; {needed}") from None


def _item(item: _Item, source: str) -> SuiteItem:
    where = f"{source}: item {item.item_number}"
    _refuse_twice((condition.condition_name for condition in item.conditions), f"{where}: the condition")
    return SuiteItem(item.item_number, [_condition(condition, where) for condition in item.conditions])


def _condition(condition: _Condition, where: str) -> Condition:
    where = f"{where}, {condition.condition_name}"
    _refuse_twice((region.region_number for region in condition.regions), f"{where}: region")
    for region in condition.regions:
        text = region.content
        if "\n" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise TextError(f"{where}, region {region.region_number}: found {text!r}; must be one line of Unicode")
        if "</s>" in text.lower().split():
            raise TextError(f"{where}, region {region.region_number}: found the word </s>; must be left out")
    regions = {region.region_number: " ".join(region.content.split()) for region in condition.regions}
    if not any(regions.values()):
        raise TextError(f"{where}: all regions are empty; must have a word")
    return Condition(condition.condition_name, regions)


def _refuse_other(first: SuiteItem, item: SuiteItem, source: str) -> None:
    """Refuse an item whose conditions, or their regions, are not those of the first one."""
    names, own = ([condition.name for condition in one.conditions] for one in (first, item))
    if set(names) != set(own):
        raise TextError(
            f"{source}: item {item.number}: it has the conditions {', '.join(own)}; must be {', '.join(names)} as "
            f"item {first.number} has"
        )
    numbers = list(first.conditions[0].regions)
    for condition in item.conditions:
        if list(condition.regions) != numbers:
            raise TextError(
                f"{source}: item {item.number}, {condition.name}: it has the regions "
                f"{', '.join(map(str, condition.regions))}; must be {', '.join(map(str, numbers))} as elsewhere (an "
                'empty one has the content "")'
            )


def _refuse_twice(values: Iterable[object], what: str) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise TextError(f"{what} {value} is there twice; must be there once")
        seen.add(value)
