"""Others at the same work: Node-RED from npm takes a POST, weighs a condition and starts a command.

It keeps nothing: neither event nor verdict nor result is anywhere when it ends.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import processor
from benchmarks.load import chain_rate, yardstick
from benchmarks.memory import held
from benchmarks.table import Figure, Table
from tests.services import free_port

PACKAGE = "node-red@4"
PATH = "/chain"
ROUNDS = 3
EVENTS = 1500
READY = 60.0  # seconds
BARE = ["/bin/true"]
TRUE = "/bin/true (native)"  # what the same is called in Attune's throughput

# POST /chain is answered with 202 at once; then n >= 0, `/bin/true`, and one is added to what GET /done gives.
_COUNT = "global.set('done', (global.get('done') || 0) + 1);"
_NODES: list[dict[str, Any]] = [
    {"id": "in", "type": "http in", "url": PATH, "method": "post", "wires": [["answer", "weigh"]]},
    {"id": "answer", "type": "http response", "statusCode": "202", "wires": []},
    {
        "id": "weigh",
        "type": "switch",
        "property": "payload.n",
        "propertyType": "msg",
        "rules": [{"t": "gte", "v": "0", "vt": "num"}],
        "wires": [["run"]],
    },
    {
        "id": "run",
        "type": "exec",
        "command": BARE[0],
        "addpay": "",
        "useSpawn": "true",
        "wires": [[], [], ["count"]],
    },
    {"id": "count", "type": "function", "func": _COUNT, "outputs": 0, "wires": []},
    {"id": "ask", "type": "http in", "url": "/done", "method": "get", "wires": [["look"]]},
    {"id": "look", "type": "function", "func": "msg.payload = '' + (global.get('done') || 0); return msg;",
     "outputs": 1, "wires": [["tell"]]},
    {"id": "tell", "type": "http response", "statusCode": "200", "wires": []},
]  # fmt: skip
FLOW = [{"id": "flow", "type": "tab", "label": "chain"}, *({**node, "z": "flow"} for node in _NODES)]


class NodeRed:
    """A Node-RED of its own with that one flow, driven as Attune is."""

    mode = "node-red"

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        (folder / "flows.json").write_text(json.dumps(FLOW))
        (folder / "settings.js").write_text("module.exports = {flowFile: 'flows.json', logging: {}};\n")
        program = folder / "node_modules" / "node-red" / "red.js"
        command = ["node", str(program), "--userDir", str(folder), "--port", str(self.port)]
        self.processes = [
            subprocess.Popen([*command, "-D", "uiHost=127.0.0.1"], cwd=folder, text=True, stdout=subprocess.DEVNULL)
        ]
        deadline = time.monotonic() + READY
        while not self._answers():
            if time.monotonic() > deadline or self.processes[0].poll() is not None:
                self.stop()
                raise RuntimeError("Node-RED did not come up.")
            time.sleep(0.2)

    def newest(self) -> int:
        """How many commands have ended so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/done")
            return int(connection.getresponse().read())

    def finished(self, *, after: int) -> int:
        return self.newest() - after

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)

    def _answers(self) -> bool:
        try:
            return self.newest() >= 0
        except (OSError, ValueError, http.client.HTTPException):
            return False


def compare(table: Table) -> None:
    """Node-RED's figures, and Attune's against them where both were measured in this run."""
    with node_red() as peer:
        chain_rate(peer, PATH, events=100)
        ratios, costs = [], []
        for _ in range(ROUNDS):
            bare, rates = yardstick(BARE, b"", seconds=3), []
            cost = processor.spent(peer, lambda rates=rates: rates.append(chain_rate(peer, PATH, events=EVENTS)))  # type: ignore[misc]
            ratios.append(rates[0] / bare)
            costs.append(1000 * cost / EVENTS)
            print(f"   Node-RED: {rates[0]:.0f}/s of {bare:.0f}/s bare = {ratios[-1]:.2f}", flush=True)
        memory = sum(size for _, size in held(peer.processes[0].pid).values())
    ratio = statistics.median(ratios)
    table.add(Figure(peer.mode, TRUE, ratio))
    table.add(Figure(peer.mode, f"{TRUE}: processor time per event", statistics.median(costs), " ms"))
    table.add(Figure(peer.mode, "memory", memory, " MiB"))
    for mode in ("embedded", "server"):
        ours = table.find(mode, TRUE)
        if ours is not None:
            table.add(Figure(mode, f"{TRUE}: times as fast as Node-RED", ours / ratio, least=1.0))


@contextlib.contextmanager
def node_red() -> Iterator[NodeRed]:
    """Installed from npm into a temporary folder, and started; gone afterwards."""
    if shutil.which("npm") is None:
        raise RuntimeError("--peers needs node and npm.")
    with tempfile.TemporaryDirectory(prefix="attune-bench-peer-") as name:
        install = ["npm", "install", "--prefix", name, "--no-audit", "--no-fund", "--loglevel=error", PACKAGE]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        peer = NodeRed(Path(name))
        try:
            yield peer
        finally:
            peer.stop()
