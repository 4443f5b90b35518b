"""A real mail server (the `aiosmtpd` package) that keeps what it takes.

FOLDER CERTIFICATE KEY: prints two ports, then serves until it is killed. It takes nothing before
AUTH as `gateway` with `p@ss/word`, at the first port after STARTTLS, at the second over TLS
from the first byte on, and there only as that. Each message becomes a file of the
folder. A recipient that begins with `refused` is refused for good, one that begins with
`later` the first time only.
"""

import asyncio
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder, certificate, key = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"gateway", b"p@ss/word")
    return AuthResult(success=good, handled=good)


class Keep:
    taken = 0
    late = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 <" + address + "> is nobody here"
        if address.startswith("later") and address not in self.late:
            self.late.add(address)
            return "451 4.3.0 later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Keep.taken += 1
        name = os.path.join(folder, f"{Keep.taken:04}.eml")
        with open(name + ".new", "wb") as file:
            file.write(b"X-Envelope: " + envelope.rcpt_tos[0].encode() + b"\r\n" + envelope.content)
        os.rename(name + ".new", name)
        return "250 OK"


async def main():
    handler = Keep()
    common = {"hostname": "mail.test", "auth_required": True, "authenticator": authenticate}
    upgraded = lambda: SMTP(handler, tls_context=context, require_starttls=True, **common)  # noqa: E731
    # It cannot see that there is TLS below it.
    within = lambda: SMTP(handler, auth_require_tls=False, **common)  # noqa: E731
    serve = asyncio.get_running_loop().create_server
    servers = [await serve(upgraded, "127.0.0.1", 0), await serve(within, "127.0.0.1", 0, ssl=context)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
