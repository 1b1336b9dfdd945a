"""``rnnlm config``: the configuration as it is resolved, and its JSON Schema."""

from __future__ import annotations

import json

import typer

from rnnlm.cli.arguments import ConfigArgument, SetOption, load_config
from rnnlm.cli.help import Command, Group, epilog

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="The configuration: its JSON Schema, and what a file comes to.",
)


@app.command("schema", cls=Command, epilog=epilog("config schema"))
def schema_command() -> None:
    """The JSON Schema of a configuration, for editors."""
    from rnnlm.config.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command("show", cls=Command, epilog=epilog("config show"))
def show_command(config: ConfigArgument, overrides: SetOption = None) -> None:
    """The resolved configuration as YAML: every key, every section with its type."""
    from rnnlm.config import file as config_file

    typer.echo(config_file.dump(load_config(config, overrides)), nl=False)
