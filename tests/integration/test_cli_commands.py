"""The commands as a person runs them: exit codes, one clear line, twice at once."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from core.settings import ROOT
from core.testing.databases import Storage
from core.testing.processes import Program, guanxi, ran
from core.testing.site import free_port, wait_until_ready

PROGRAM = "from core.cli import main; main(prog_name='guanxi')"


@pytest.fixture(scope="module")
def home(backend, tmp_path_factory):
    """An environment with an empty instance folder and an empty database."""
    folder = tmp_path_factory.mktemp(f"cli-{backend}")
    storage = Storage(backend, folder)
    yield {
        **{key: value for key, value in os.environ.items() if not key.startswith("GUANXI_")},
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "GUANXI_HOME": str(folder / "home"),
        "GUANXI_DATABASE_URL": storage.text,
    }
    storage.drop()


def start(home, *arguments, **environ):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**home, **environ},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(home, *arguments, stdin="", **environ):
    return ran(*arguments, environ={**home, **environ}, stdin=stdin)


@pytest.fixture(scope="module")
def installed(home):
    """The same environment after `init` was started twice at once."""
    both = [start(home, "init") for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("Administrator: admin / " in out for out, _ in outputs) == 1
    return home


def test_nothing_works_before_init_and_says_so(backend, tmp_path, home):
    empty = {**home, "GUANXI_HOME": str(tmp_path), "GUANXI_DATABASE_URL": ""}
    for command in ("serve", "worker", "verify", "export store"):
        code, _out, err = run(empty, *command.split())
        assert (code, err.count("\n")) == (1, 1), (command, err)
        assert "guanxi init" in err


def test_what_the_system_refuses_is_one_line(installed, tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    for arguments, environ, names in (
        (["schema", "export", str(tmp_path)], {}, str(tmp_path)),
        (["schema", "fmt", str(binary)], {}, str(binary)),
        (["verify"], {"GUANXI_DATABASE_URL": nowhere}, "Connection refused"),
        (["init"], {"GUANXI_HOME": "/dev/null/home"}, "/dev/null"),
        (["serve", "--host", "192.0.2.1"], {}, "192.0.2.1:8000"),
    ):
        code, _out, err = run(installed, *arguments, **environ)
        assert (code, len(err.splitlines())) == (1, 1), (arguments, err)
        assert names in err


def test_serve_refuses_a_port_that_is_taken(installed):
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        code, _out, err = run(installed, "serve", "--port", port)
    assert (code, len(err.splitlines())) == (1, 1), err
    assert f"127.0.0.1:{port}" in err


def test_problems_of_a_file_are_told_under_its_name(installed, tmp_path):
    file = tmp_path / "broken.yaml"
    file.write_text("customize: member\nfields: [\n")
    code, _out, err = run(installed, "schema", "check", str(file))
    assert code == 1
    assert "broken.yaml:3:1:" in err


def test_init_again_changes_nothing(installed):
    code, out, err = run(installed, "init")
    assert (code, out) == (0, "")
    assert err.startswith("Ready: release 1,")


def test_user_add_takes_the_password_from_environment_or_input(installed):
    assert (
        run(
            installed,
            "user",
            "add",
            "lin",
            "--role",
            "clerk",
            GUANXI_USER_PASSWORD="river-stone-lamp",
        )[0]
        == 0
    )
    assert (
        run(installed, "user", "add", "wang", "--role", "clerk", stdin="river-stone-lamp\n")[0]
        == 0
    )
    code, _out, err = run(
        installed, "user", "add", "LIN", "--role", "clerk", GUANXI_USER_PASSWORD="river-stone-lamp"
    )
    assert (code, err) == (1, "There is a user called LIN already.\n")


@pytest.mark.parametrize(
    ("arguments", "password", "names"),
    [
        (["x", "--role", "nothing"], "river-stone-lamp", "role"),
        (["x", "--role", "clerk", "--store", "nowhere"], "river-stone-lamp", "store"),
        (["x", "--role", "clerk"], "short", "password"),
        (["\t", "--role", "clerk"], "river-stone-lamp", "name"),
    ],
)
def test_user_add_names_what_is_not_right(installed, arguments, password, names):
    code, _out, err = run(installed, "user", "add", *arguments, GUANXI_USER_PASSWORD=password)
    assert code == 1
    assert f"{names}:" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["serve", "--port", "0"],
        ["user", "add", "x"],
        ["import", "member", "/nowhere.csv"],
    ],
)
def test_wrong_usage_exits_with_2(installed, arguments):
    assert run(installed, *arguments)[0] == 2


def test_production_refuses_the_demo_and_weak_keys(installed):
    code, _out, err = run(installed, "init", "--demo", GUANXI_ENV="production")
    assert (code, "demo" in err) == (1, True)
    code, _out, err = run(installed, "init", GUANXI_ENV="production", GUANXI_SECRET_KEY="secret")
    assert (code, "GUANXI_SECRET_KEY" in err) == (1, True)


def test_schema_files_are_planned_and_applied(installed, tmp_path):
    file = tmp_path / "member.yaml"
    file.write_text(
        "customize: member\nfields:\n  - {name: nickname, type: text, label: {zh: 昵称, en: Nickname}}\n",
        encoding="utf-8",
    )
    code, out, _err = run(installed, "schema", "plan", str(file))
    assert (code, "nickname" in out) == (0, True)
    code, out, _err = run(installed, "schema", "apply", str(file))
    assert (code, out.startswith("Published release 2 in ")) == (0, True)
    assert run(installed, "schema", "apply", str(file))[:2] == (0, "Nothing to publish.\n")
    file.write_text("customize: member\nfields:\n  - {name: x, typ: text}\n", encoding="utf-8")
    code, _out, err = run(installed, "schema", "check", str(file))
    assert (code, "member.yaml:3:" in err) == (1, True)
    assert run(installed, "verify")[0] == 0


def test_role_of_a_published_file_can_be_given_at_once(installed):
    file = Path(installed["GUANXI_HOME"]) / "schemas" / "flow_roles.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("roles:\n  - {name: finance_reviewer}\n", encoding="utf-8")
    assert run(installed, "schema", "apply")[0] == 0
    arguments = ("user", "add", "caiwu", "--role", "finance_reviewer")
    code, out, err = run(installed, *arguments, GUANXI_USER_PASSWORD="river-stone-lamp")
    assert (code, out) == (0, "Added caiwu.\n"), err


def test_import_reports_refused_rows_and_exits_with_1(installed, tmp_path):
    file = tmp_path / "members.csv"
    file.write_text("no,name\nM1,Ann\nM2,\n", encoding="utf-8")
    code, out, err = run(installed, "import", "member", str(file))
    assert (code, "Created 1" in out, "members.csv.refused.csv" in err) == (1, True, True)
    assert f"1 refused, see {file}.refused.csv" in err
    file.write_text("no,name,phone\nM3,Bo,137 0000 0001\nM4,Bo,+8613700000001\n", "utf-8")
    code, out, err = run(installed, "import", "member", str(file), "--alike", "skip", "--dry-run")
    assert (code, "1 look like others" in out, "looks like line 2" in err) == (0, True, True)
    code, out, _err = run(installed, "export", "member")
    assert (code, out.count("M1"), out.count("M2")) == (0, 1, 0)
    code, out, _err = run(installed, "export", "member", "--format", "json")
    assert (code, [one["no"] for one in json.loads(out)]) == (0, ["M1"])
    with (
        (tmp_path / "members.xlsx").open("wb") as book,
        Program(
            guanxi,
            "export",
            "member",
            "--format",
            "xlsx",
            environ=installed,
            streams=(None, book, 2),
        ) as exporting,
    ):
        assert exporting.wait() == 0
    assert "xl/worksheets/sheet1.xml" in zipfile.ZipFile(tmp_path / "members.xlsx").namelist()
    assert run(installed, "export", "member", "--format", "pdf")[0] == 2


def on_terminal(home, *arguments):
    """Run a command whose output and errors go to a terminal; return its status and text."""
    ours, theirs = os.openpty()
    with Program(guanxi, *arguments, environ=home, streams=(None, theirs, theirs)) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:
            pass  # how a terminal says that nobody writes to it any more
        code = process.wait()
    os.close(ours)
    return code, shown.decode()


def test_import_shows_a_bar_on_a_terminal_only(installed, tmp_path):
    file = tmp_path / "many.csv"
    file.write_text("no,name\n" + "".join(f"T{n},x\n" for n in range(500)), encoding="utf-8")
    code, shown = on_terminal(installed, "import", "member", str(file), "--dry-run")
    assert (code, "100%" in shown, "500 rows" in shown) == (0, True, True)
    code, out, err = run(installed, "import", "member", str(file), "--dry-run")
    assert (code, err) == (0, "")
    assert (
        out == "Would create 500, skipped 0 that exist, refused 0 (rows read: 500, left out: 0)\n"
    )
    code, shown = on_terminal(installed, "export", "member", "--format", "xlsx")
    assert (code, "> FILE.xlsx" in shown) == (2, True)


def children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(part) for part in text.split()]


def test_serve_replaces_a_killed_process_and_ends_on_sigterm(installed):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = ("serve", "--port", str(port), "--workers", "2")
    with Program(guanxi, *arguments, environ=installed, streams=(None, 1, 2)) as server:
        wait_until_ready(address)
        first = children(server.pid)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        deadline = time.monotonic() + 30
        while (
            len(children(server.pid)) < 2 or first[0] in children(server.pid)
        ) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(set(children(server.pid)) - set(first)) == 1
        with urllib.request.urlopen(f"{address}/healthz", timeout=10) as answer:
            assert answer.status == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


# The file is the same whatever the database; that the demo loads into both says test_demo_import.
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")
def test_init_loads_the_whole_demo_and_writes_its_users_for_their_owner(backend, tmp_path, home):
    environ = {**home, "GUANXI_HOME": str(tmp_path / "home"), "GUANXI_DATABASE_URL": ""}
    code, _out, err = run(environ, "init", "--demo")
    assert (code, err.count("Demo: ")) == (0, 4)
    for told in ("product: 2,657 created", "member: 768 created", "order: 1,458 created"):
        assert f"Demo: {told}" in err
    path = tmp_path / "home" / "demo-users.txt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.split()[0] for line in path.read_text().splitlines()] == [
        "clerk",
        "approver",
        "cashier",
    ]
