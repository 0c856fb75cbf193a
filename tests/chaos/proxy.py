"""A wire to PostgreSQL that can lose an answer: what was asked is done there, and who asked never hears of it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Proxy:
    """Passes everything on, until `lose_answer_to` says what to cut after."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.needle = b""
        self.lost = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answer_to(self, needle: bytes) -> None:
        """The next statement with that text is passed on; its answer is dropped and the connection with it."""
        self.lost.clear()
        self.needle = needle

    def close(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                cut = threading.Event()
                for work in (self._ask, self._answer):
                    threading.Thread(target=work, args=(client, server, cut), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.needle and self.needle in data:
                    self.needle = b""
                    cut.set()  # before the answer can come
                server.sendall(data)
        self._hang_up(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while (data := server.recv(65536)) and not cut.is_set():
                client.sendall(data)
        self._hang_up(client, server)
        if cut.is_set():
            self.lost.set()

    def _hang_up(self, *ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
