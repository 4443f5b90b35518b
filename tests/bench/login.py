"""Makes alice's account in the gateway that has just started, signs her in, and prints what a
case sends: login.py CONFIG WHAT, where WHAT is `cookie` for a Cookie header, `token` for an
access token, or `tokens N` for a file of N access tokens, one a line, all different."""
import json
import ssl
import subprocess
import sys
import urllib.request

FOLDER, PASSWORD = "@DIR@", "@SECRET@"
config, what = sys.argv[1:3]
tls = config.endswith("-tls.toml")
origin = "https://127.0.0.1:@PORT:tls@" if tls else "http://127.0.0.1:@PORT:signed-in@"
# The certificate is the harness's own, made for this run on this machine.
context = ssl.create_default_context(cafile="@CERT@") if tls else None
if tls:
    context.check_hostname = False

added = subprocess.run(
    ["portcullis", "user", "add", "alice", "--email", "alice@bench.example", "--password-stdin", "-c", f"{FOLDER}/{config}"],
    input=PASSWORD + "\n", text=True, stdout=sys.stderr)
if added.returncode:
    sys.exit("alice could not be added")


def post(path, fields):
    request = urllib.request.Request(origin + path, json.dumps(fields).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        return answer.headers, json.load(answer)


transport = "cookie" if what == "cookie" else "token"
headers, body = post("/login/local", {"username": "alice", "password": PASSWORD, "transport": transport})
if what == "cookie":
    lines = headers.get_all("Set-Cookie", [])
    print(next(line.split(";")[0] for line in lines if "portcullis=" in line.split(";")[0]))
elif what == "token":
    print(body["token"])
else:
    # Each refresh is a new token of the same session; a login each would cost a hash each.
    file = f"{FOLDER}/tokens"
    with open(file, "w") as out:
        for _ in range(int(sys.argv[3])):
            _, body = post("/auth/refresh", {"refresh_token": body["refresh_token"]})
            out.write(body["token"] + "\n")
    print(file)
