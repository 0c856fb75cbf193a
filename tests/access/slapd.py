"""OpenLDAP's server in a temporary folder, on free ports, with a few people and groups."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.live import wait
from tests.services import free_port

BASE, ROOT_DN, ROOT_PASSWORD = "dc=example,dc=org", "cn=root,dc=example,dc=org", "the directory's own"
READER, READER_PASSWORD = "cn=reader,dc=example,dc=org", "the reader's own"
_SCHEMAS = Path("/etc/ldap/schema"), Path("/etc/openldap/schema")
PEOPLE = ("anna", "otto", "vera", "nora", "admin", "dora (a*b)")
GROUPS = {"ops": ("otto", "dora (a*b)"), "editors": ("anna", "otto"), "admins": ("admin",), "choir": ("nora",)}


def programs_are_missing() -> str:
    """What a test of LDAP lacks here, and how it is installed; empty if nothing."""
    if _program() is None:
        return "No slapd on this machine; install slapd to test signing in by LDAP."
    if not (find_spec("ldap") and find_spec("django_auth_ldap")):
        return "python-ldap is not installed (it is built from source): install libldap2-dev, libsasl2-dev and gcc."
    return ""


def _program() -> str | None:
    return shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap:/usr/local/libexec")


class Slapd:
    """A server that can be stopped and started; what is in it is on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.tls_port = folder, free_port(), free_port()
        self.address = f"ldap://127.0.0.1:{self.port}"
        self.tls_address = f"ldaps://127.0.0.1:{self.tls_port}"
        self.ca_file = folder / "ca.pem"
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir()
        _certificate(self.ca_file, folder / "key.pem")
        schemas = next(path for path in _SCHEMAS if path.is_dir())
        lines = [f"include {schemas}/{name}.schema" for name in ("core", "cosine", "nis", "inetorgperson")]
        modules = next((path for path in map(Path, ("/usr/lib/ldap", "/usr/lib/openldap")) if path.is_dir()), None)
        lines += [f"modulepath {modules}", "moduleload back_mdb"] if modules else []
        lines += [f"TLSCertificateFile {self.ca_file}", f"TLSCertificateKeyFile {folder}/key.pem"]
        lines += ["allow bind_anon_cred bind_anon_dn"]  # a bind without a password succeeds, as in many directories
        lines += ["database mdb", f"directory {folder}/data", f'suffix "{BASE}"', f'rootdn "{ROOT_DN}"']
        lines += [f'rootpw "{ROOT_PASSWORD}"', "access to attrs=userPassword by anonymous auth by * none"]
        lines += [f'access to * by dn.exact="{READER}" read by * none']
        (folder / "slapd.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        program = _program()
        assert program is not None
        command = [program, "-f", "slapd.conf", "-h", f"{self.address}/ {self.tls_address}/", "-d", "0"]
        self.process = subprocess.Popen(command, cwd=self.folder, stderr=subprocess.DEVNULL)
        wait(self._answers, "slapd to answer")
        if not self._has_people():
            self._fill()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def change(self, group: str, *members: str) -> None:
        """Make these the members of a group."""
        import ldap

        values = [_dn(name).encode() for name in members]
        self._root().modify_s(f"cn={group},ou=groups,{BASE}", [(ldap.MOD_REPLACE, "member", values)])

    def remove(self, name: str) -> None:
        self._root().delete_s(_dn(name))

    def add(self, name: str) -> None:
        """A person whose password is `<name>-Password-1`."""
        self._add(
            _dn(name),
            objectClass="inetOrgPerson",
            uid=name,
            cn=name.title(),
            sn=name,
            mail=f"{name.split()[0]}@example.org",
            userPassword=f"{name}-Password-1",
        )

    def _fill(self) -> None:
        self._add(BASE, objectClass=["organization", "dcObject"], o="Example")
        self._add(READER, objectClass=["organizationalRole", "simpleSecurityObject"], userPassword=READER_PASSWORD)
        for unit in ("people", "groups"):
            self._add(f"ou={unit},{BASE}", objectClass="organizationalUnit")
        for name in PEOPLE:
            self.add(name)
        for group, members in GROUPS.items():
            dn = f"cn={group},ou=groups,{BASE}"
            self._add(dn, objectClass="groupOfNames", member=[_dn(name) for name in members])

    def _add(self, dn: str, **attributes: Any) -> None:
        values = {
            name: [each.encode() for each in ([value] if isinstance(value, str) else value)]
            for name, value in attributes.items()
        }
        self._root().add_s(dn, list(values.items()))

    def _root(self) -> Any:
        import ldap

        connection = ldap.initialize(self.address)
        connection.simple_bind_s(ROOT_DN, ROOT_PASSWORD)
        return connection

    def _answers(self) -> bool:
        import ldap

        with suppress(ldap.SERVER_DOWN):
            self._root()
            return True
        return False

    def _has_people(self) -> bool:
        import ldap

        with suppress(ldap.NO_SUCH_OBJECT):
            return bool(self._root().search_s(BASE, ldap.SCOPE_BASE))
        return False


def _dn(name: str) -> str:
    return f"uid={name},ou=people,{BASE}"


def _certificate(file: Path, key_file: Path) -> None:
    """One that signs itself, for 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
