"""`weft serve`: the door for programs on the same machine."""

import os
import secrets
from pathlib import Path
from typing import Any, Final

import click

from weft.cli.common import look_at, settings_options, take_settings
from weft.model.errors import UsageError

PORT: Final = 3000
"""The documented one."""
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@click.command("serve")
@click.option("--folder", metavar="DIR", default="workflows", show_default=True, help="Where the workflow files are.")
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any that is free.")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen: other machines can ask too."
)
@settings_options("format", "size_max")
def serve(folder: str, port: int, host: str, **options: Any) -> None:
    """Let programs on this machine list the workflow files of a folder, and run them.

    `GET /api/workflows` lists them, `POST /api/workflows/NAME/run` runs one and tells how its steps went. Requests carry the
    token that is printed, or that of the environment variable WEFT_TOKEN, as `Authorization: Bearer …`.
    """
    try:
        import uvicorn

        from weft.server.rest import Rest
    except ImportError:
        raise UsageError("`weft serve` needs a library that is missing: pip install 'weft[ui]'") from None
    settings = take_settings(options)
    if not Path(folder).is_dir():
        raise UsageError(f"there is no folder `{folder}`: name one with --folder")
    token = os.environ.get("WEFT_TOKEN") or secrets.token_urlsafe(24)
    rest = Rest(Path(folder), Path.cwd(), token, lambda file: look_at(file, settings)[0])
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
