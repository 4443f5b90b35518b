"""Hooks of schemathesis for a run signed in: tests/schemathesis names whom. Some operations end
the very session that they are sent with (signing out, above all), so the session is opened anew
when a token is no longer believed; what ended it is written down, and must be an operation
that is there to end it. The uuid of a path is that of an account which exists."""
import json, os, urllib.error, urllib.request, uuid
import schemathesis

URL, NAME, PASSWORD = (os.environ["GATE_" + name] for name in ["URL", "NAME", "PASSWORD"])
ADMIN, ENDED = os.environ["GATE_ADMIN"], os.environ["GATE_ENDED"]
state = {"token": None, "last": None, "victim": None, "made": 0}


def ask(method, path, token=None, body=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = "Bearer " + token
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        return error.code, None


def sign_in(name):
    status, body = ask("POST", "/login/local", body={"username": name, "password": PASSWORD, "transport": "token"})
    assert status == 200, f"{name} cannot sign in: {status}"
    return body["token"]


def is_uuid(given):
    try:
        return bool(uuid.UUID(str(given).strip()))
    except ValueError:
        return False


def victim():
    """An account that an admin's run may do anything to."""
    if not state["victim"] or ask("GET", "/auth/admin/users/" + state["victim"], state["token"])[0] != 200:
        state["made"] += 1
        account = {"name": f"victim-{state['made']}", "password": PASSWORD}
        status, made = ask("POST", "/auth/admin/users", state["token"], account)
        assert status == 201, f"no victim: {status}"
        state["victim"] = made["uuid"]
    return state["victim"]


@schemathesis.hook
def before_call(context, case, kwargs):
    if state["token"] and ask("GET", "/auth/me", state["token"])[0] == 401:
        with open(ENDED, "a") as file:
            file.write(f"{state['last']}\n")
        state["token"] = None
    state["token"] = state["token"] or sign_in(NAME)
    case.headers = {**(case.headers or {}), "Authorization": "Bearer " + state["token"]}
    state["last"] = case.operation.label
    # schemathesis learns from answers, and would one day delete the admin who it is.
    given = (case.path_parameters or {}).get("uuid")
    if ADMIN == "yes" and is_uuid(given):
        case.path_parameters["uuid"] = victim()
