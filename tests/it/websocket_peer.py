"""A real WebSocket server and client (the `websockets` package), and a server of events.

serve [CERTIFICATE KEY [CA]]: prints the ports of both servers, then serves until it is
killed. The WebSocket server greets with the Remote-User that it was sent, and echoes; with
a certificate it speaks TLS, and with an authority it asks its clients for theirs.
client URL ORIGIN COOKIE: prints what it receives, sends each line of its input, and says
`closed` at the end.
"""

import asyncio
import http.server
import ssl
import sys
import threading
import time

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Events(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                event = f"data: {self.headers['Remote-User']}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


async def echo(socket):
    await socket.send(f"hello {socket.request.headers.get('Remote-User')}")
    async for message in socket:
        await socket.send(message)


def tls(certificate=None, key=None, ca=None):
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.load_cert_chain(certificate, key)
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def serve_both(*files):
    events = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Events)
    events.daemon_threads = True
    threading.Thread(target=events.serve_forever, daemon=True).start()
    async with serve(echo, "127.0.0.1", 0, ssl=tls(*files)) as server:
        print(server.sockets[0].getsockname()[1], events.server_address[1], flush=True)
        await asyncio.get_running_loop().create_future()


def client(url, origin, cookie):
    with connect(url, origin=origin, additional_headers={"Cookie": cookie}, proxy=None) as socket:
        def send():
            for line in sys.stdin:
                socket.send(line.rstrip("\n"))

        threading.Thread(target=send, daemon=True).start()
        try:
            while True:
                print(socket.recv(), flush=True)
        except ConnectionClosed:
            print("closed", flush=True)


if sys.argv[1] == "serve":
    asyncio.run(serve_both(*sys.argv[2:]))
else:
    client(*sys.argv[2:])
