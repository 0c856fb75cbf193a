"""Running actions from the command line: typed parameters, live output, exit codes, and patience."""

from __future__ import annotations

import re
import signal
import socket
import threading
from contextlib import suppress

import pytest

from tests.cli.conftest import script
from tests.conftest import until

pytestmark = pytest.mark.embedded_only


@pytest.fixture
def speak(installed):
    """An action that gives back its parameters, prints to both streams, and ends as it is told."""
    text = """
        INPUT=$(cat)
        echo "to stderr" >&2
        printf '%s' "$INPUT" | jq -Sc 'del(.token)'
        exit "$(printf '%s' "$INPUT" | jq -r '.code // 0')"
    """
    parameters = {
        "code": {"type": "integer", "default": 0},
        "text": {"type": "string", "required": True},
        "tags": {"type": "array"},
        "token": {"type": "string", "secret": True},
    }
    installed("speaker", script("speak", text, "speaker", parameters=parameters, output_format="json"))
    return "speaker.speak"


def test_an_action_is_run_with_parameters_of_their_types_and_watched(attune, speak):
    said = attune("action", "execute", speak, "text=3", "code=0", 'tags=["a"]', "--watch")
    assert said.out == '{"code":0,"tags":["a"],"text":"3"}\n'
    assert "to stderr\n" in said.err and "completed after" in said.err


def test_an_execution_that_fails_fails_the_command(attune, speak):
    said = attune("action", "execute", speak, "text=x", "code=7", "--watch", code=1)
    assert '"code":7' in said.out
    assert "failed" in said.err and "attune execution show" in said.err


def test_machines_get_the_whole_execution_and_people_its_output_elsewhere(attune, speak):
    said = attune("action", "execute", speak, "text=x", "code=7", "--watch", "-o", "json", code=1)
    assert said.data["status"] == "failed" and said.data["result"]["exit_code"] == 7
    assert '"text":"x"' in said.err


def test_without_watching_it_says_where_to_look(attune, speak):
    said = attune("action", "execute", speak, "text=x")
    number = said.out.split()[1]
    assert f"attune execution watch {number}" in said.err
    attune("execution", "watch", number)
    assert attune.json("execution", "show", number)["parameters"] == {"code": 0, "text": "x"}
    assert attune("execution", "result", number).out == '{\n  "code": 0,\n  "text": "x"\n}\n'
    assert attune("execution", "logs", number, "--stream", "stderr").out == "to stderr\n"
    assert attune.json("execution", "logs", number) == {"stdout": '{"code":0,"text":"x"}\n', "stderr": "to stderr\n"}


def test_parameters_come_all_at_once_too(attune, speak, tmp_path):
    (tmp_path / "all.json").write_text('{"text": "file", "code": 0}')
    assert '"text":"file"' in attune("action", "execute", speak, "--params-json", f"@{tmp_path}/all.json", "-w").out
    said = attune(
        "action", "execute", speak, "--params-json", "-", "text=over", "-w", stdin='{"text": "in", "code": 0}'
    )
    assert '"text":"over"' in said.out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["code=x"], 2, "code should be a whole number"),
        (["code:=1"], 1, "text"),
        (["text=a", "nope=1"], 1, "nope"),
        (["--params-json", "[1]"], 2, "JSON object"),
        (["--params-json", "{"], 2, "not JSON"),
    ],
)
def test_wrong_parameters_are_refused_with_the_way_to_the_right_ones(attune, speak, words, code, told):
    said = attune("action", "execute", speak, *words, code=code)
    assert told in said.err
    assert code == 2 or f"attune action show {speak}" in said.err


def test_secrets_are_asked_for_and_shown_as_such(attune, speak):
    assert "string (secret)" in attune("action", "show", speak).out
    said = attune("action", "execute", speak, "text=x", "token=geheim", "-w")
    number = said.err.split("Execution ")[1].split()[0]
    assert "geheim" not in attune("execution", "show", number).out


def test_a_rerun_takes_the_old_parameters_or_some_new_ones(attune, speak):
    first = attune.json("action", "execute", speak, "text=old", 'tags=["a"]', "-w")
    assert '"tags":["a"],"text":"new"' in attune("execution", "rerun", str(first["id"]), "text=new", "-w").out
    again = attune.json("execution", "rerun", str(first["id"]), "-w")
    assert again["original_execution"] == first["id"] and again["parameters"] == first["parameters"]


def test_ten_thousand_lines_with_everything_in_them_arrive_as_they_were(attune, installed):
    line = "ä\u2028😀\u0085 %s"
    loop = f"for i in $(seq 10000); do printf '{line}\\n' \"$i\"; done; printf 'no newline at the end'"
    installed("flood", script("much", loop, "flood"))
    expected = "".join(f"{line % number}\n" for number in range(1, 10001)) + "no newline at the end"
    assert attune("action", "execute", "flood.much", "--watch").out == expected
    number = str(attune.json("execution", "list", "--action", "flood.much")[0]["id"])
    assert attune("execution", "logs", number).out == expected
    assert attune("execution", "logs", number, "--follow").out == expected


def test_no_line_is_lost_over_a_line_that_breaks_again_and_again(attune, installed, server, tmp_path):
    enough = tmp_path / "enough"
    loop = f"n=0; until [ -e '{enough}' ]; do n=$((n+1)); echo line $n; sleep 0.01; done; echo the end"
    installed("slowly", script("count", loop, "slowly"))
    with BreakingLine(server.port, breaks=5, enough=enough) as line:
        there = {"ATTUNE_API_URL": line.url, "ATTUNE_API_TOKEN": attune.token}
        said = attune("action", "execute", "slowly.count", "--watch", **there)
    lines = said.out.splitlines()
    assert lines == [*(f"line {number}" for number in range(1, len(lines))), "the end"]
    assert line.broken == 5


class BreakingLine:
    """Passes everything on to the server; so many times it hangs up on a stream of output, after one whole event."""

    def __init__(self, port, *, breaks, enough):
        self.target, self.breaks, self.enough, self.broken = port, breaks, enough, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _pass(self, client, server):
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)

    def _answer(self, server, client):
        events = b""
        with suppress(OSError):
            while data := server.recv(256):
                events += data
                client.sendall(data)
                if self._is_time_to_break(events):
                    break
        for end in (server, client):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _is_time_to_break(self, passed):
        """After a whole event with lines in it, and a part of what follows, unless it broke often enough."""
        if self.broken >= self.breaks or not re.search(rb'"text".*?\n\n.', passed, re.DOTALL):
            return False
        self.broken += 1
        if self.broken == self.breaks:
            self.enough.touch()
        return True


@pytest.fixture
def sleeping(attune):
    """The number of an execution that is running, and would for a minute."""
    number = attune.json("action", "execute", "core.sleep", "seconds=60")["id"]
    until(lambda: attune.json("execution", "show", str(number))["status"] == "running")
    yield str(number)
    attune("execution", "cancel", str(number), code=None)


def test_who_waits_no_longer_is_told_that_it_goes_on(attune, sleeping):
    said = attune("execution", "watch", sleeping, "--max-wait", "0.5", code=8)
    assert f"attune execution watch {sleeping}" in said.err
    assert attune.json("execution", "show", sleeping)["status"] == "running"


def test_an_execution_that_is_cancelled_ends_the_watch(attune, sleeping):
    watcher = attune.start("execution", "watch", sleeping)
    assert "running" in watcher.stderr.readline()
    attune("execution", "cancel", sleeping)
    _, told = watcher.communicate(timeout=60)
    assert watcher.returncode == 1 and "was cancelled" in told
    assert attune("execution", "cancel", sleeping, code=1).err.startswith("Error:")
    assert "cancelled" in attune("execution", "result", sleeping, code=1).err


def test_ctrl_c_ends_the_watch_and_not_the_execution(attune, sleeping):
    watcher = attune.start("execution", "watch", sleeping)
    assert "running" in watcher.stderr.readline()
    watcher.send_signal(signal.SIGINT)
    _, told = watcher.communicate(timeout=60)
    assert watcher.returncode == 130 and f"attune execution cancel {sleeping}" in told and "Traceback" not in told
    assert attune.json("execution", "show", sleeping)["status"] == "running"


def test_a_result_that_is_not_there_yet_is_no_result(attune, sleeping):
    assert "is running" in attune("execution", "result", sleeping, code=1).err
