"""Makes alice's account in the gateway that has just started, signs her in, and prints
what a case sends: `cookie` a Cookie header, `token` an access token."""
import json, subprocess, sys, urllib.request

CONFIG, ORIGIN, PASSWORD = "@DIR@/portcullis.toml", "http://127.0.0.1:@PORT:signed-in@", "@SECRET@"

added = subprocess.run(
    ["portcullis", "user", "add", "alice", "--email", "alice@bench.example", "--password-stdin", "-c", CONFIG],
    input=PASSWORD + "\n", text=True, stdout=sys.stderr)
if added.returncode:
    sys.exit("alice could not be added")

transport = sys.argv[1]
body = json.dumps({"username": "alice", "password": PASSWORD, "transport": transport}).encode()
request = urllib.request.Request(ORIGIN + "/login/local", body, {"Content-Type": "application/json"})
with urllib.request.urlopen(request, timeout=30) as answer:
    if transport == "token":
        print(json.load(answer)["token"])
    else:
        lines = answer.headers.get_all("Set-Cookie", [])
        print(next(line.split(";")[0] for line in lines if line.startswith("portcullis=")))
