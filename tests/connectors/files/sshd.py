"""A real OpenSSH server for tests: unprivileged, on a free port, files only.

It runs as another user than root where the tests are root, so that what it may write is what a
server's user may write. A server that cannot be started fails the tests that need it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.scenario.local_postgres import other_user
from hub.topics.local_ports import free_port
from tests.patience import PATIENCE

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
AuthorizedKeysFile {home}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
AllowTcpForwarding no
X11Forwarding no
PermitTTY no
Subsystem sftp internal-sftp {options}
ForceCommand internal-sftp {options}
LogLevel ERROR
"""


class SshServer:
    """One sshd. `folder(name)` makes an empty folder there; paths are the same on both sides."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.key = home / "id_ed25519"
        self._user = other_user()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def user(self) -> str:
        return self._user or _me()

    @property
    def host_key(self) -> str:
        kind, key, *_ = (self.home / "host_key.pub").read_text().split()
        return f"{kind} {key}"

    def start(self, options: str = "", limit: int | None = None) -> None:
        """options: of internal-sftp. limit: no process of it may write a larger file."""
        program = shutil.which("sshd") or "/usr/sbin/sshd"
        if not Path(program).exists():
            raise RuntimeError("sshd is not installed: make test-services (openssh-server)")
        for name in ("host_key", "id_ed25519"):
            if not (self.home / name).exists():
                subprocess.run(
                    ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.home / name)],
                    check=True,
                )
        shutil.copy(self.home / "id_ed25519.pub", self.home / "authorized_keys")
        config = self.home / "sshd_config"
        config.write_text(_CONFIG.format(port=self.port, home=self.home, options=options))
        self.home.chmod(0o755)
        if self._user is not None:
            shutil.chown(self.home / "host_key", self._user)
        before = [] if limit is None else ["prlimit", f"--fsize={limit}"]
        with (self.home / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*before, program, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError((self.home / "sshd.log").read_text()[-1500:])
            with socket.socket() as one:
                one.settimeout(1)
                if one.connect_ex(("127.0.0.1", self.port)) == 0 and one.recv(4) == b"SSH-":
                    return
            time.sleep(0.02)
        raise RuntimeError("sshd did not answer")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pid in _descendants(process.pid):  # each is a session of its own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        deadline = time.monotonic() + PATIENCE
        while _descendants(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)  # until they are waited for
        process.terminate()
        process.wait(PATIENCE)

    def folder(self, name: str) -> Path:
        made = self.home / name
        made.mkdir(parents=True)
        if self._user is not None:
            shutil.chown(made, self._user)
        return made


def _descendants(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except FileNotFoundError:
        return []
    children = [int(one) for one in text.split()]
    return [one for child in children for one in (child, *_descendants(child))]


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


@contextmanager
def ssh_server(options: str = "", limit: int | None = None) -> Iterator[SshServer]:
    with tempfile.TemporaryDirectory(prefix="nrm-sshd-") as home:
        server = SshServer(Path(home))
        server.start(options, limit)
        try:
            yield server
        finally:
            server.stop()
