"""`weft serve`: the door for programs on the same machine."""

import os
import secrets
from pathlib import Path
from typing import Any, Final

import click

from weft.cli.common import hwfe_config, look_at, settings_options, take_settings
from weft.model.errors import UsageError

PORT: Final = 3000
"""The documented one."""
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@click.command("serve")
@click.option(
    "--folder", metavar="DIR", help="Where the workflow files are, `workflows` unless the configuration says otherwise."
)
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), help="3000 unless the configuration says otherwise; 0: any.")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen: other machines can ask too."
)
@settings_options("format", "size_max")
def serve(folder: str | None, port: int | None, host: str, **options: Any) -> None:
    """Let programs on this machine list the workflow files of a folder, and run them.

    `GET /api/workflows` lists them, `POST /api/workflows/NAME/run` runs one and tells how its steps went. Requests carry the
    token that is printed, or that of the environment variable WEFT_TOKEN, as `Authorization: Bearer …`. The configuration is
    that of the Hybrid Workflow Engine, where there is one: HWFE_* variables, `.env`, config.toml, .json or .yaml.
    """
    try:
        import uvicorn

        from weft.server.rest import EXTENSIONS, Files, Rest
    except ImportError:
        raise UsageError("`weft serve` needs a library that is missing: pip install 'weft[ui]'") from None
    settings = take_settings(options)
    said = hwfe_config()
    for problem in said.problems:
        click.echo(f"warning: {problem}", err=True)
    folder = said["workflows.directory"] if folder is None else folder
    if port is None:
        port = PORT if said.settings["server.port"].origin == "default" else said["server.port"]
    given = said.settings["workflows.extensions"].origin != "default"
    endings = tuple(f".{ending.removeprefix('.')}" for ending in said["workflows.extensions"]) if given else EXTENSIONS
    if not Path(folder).is_dir():
        raise UsageError(f"there is no folder `{folder}`: name one with --folder")
    token = os.environ.get("WEFT_TOKEN") or secrets.token_urlsafe(24)
    files = Files(Path(folder), endings, said["workflows.max_workflows"])
    rest = Rest(files, Path.cwd(), token, lambda file: look_at(file, settings)[0])
    hosts = [*LOOPBACK, host] if host in LOOPBACK else ["*"]
    config = uvicorn.Config(rest.application(hosts), host=host, port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    config.load()
    try:
        listening = config.bind_socket()
    except SystemExit:
        raise UsageError(f"nobody can listen at {host}:{port}; choose another --port") from None
    click.echo(f"listening at http://{host}:{listening.getsockname()[1]}/api/workflows", err=True)
    if "WEFT_TOKEN" not in os.environ:
        click.echo(f"token: {token}", err=True)
    server.run(sockets=[listening])
