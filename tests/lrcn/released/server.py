"""A local HTTP server that misbehaves as it is told."""

import contextlib
import http.server
import re
import threading


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path, or what `answers` (path -> (status, headers, body)) says.

    etag: what it calls the content's state; ranges: whether it knows Range; cut: after how many bytes of a body it ends
    the connection; pause: (bytes, event), after how many it waits for what, `paused` says that it does; length: the
    Content-Length that it claims, "" for none; kind: Content-Type. `asked`: the headers of the requests that came.
    """

    daemon_threads = True

    def __init__(self, content=b""):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.etag, self.ranges, self.cut, self.length = content, '"one"', True, None, None
        self.pause, self.paused = None, threading.Event()
        self.kind, self.answers, self.asked = "application/octet-stream", {}, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.headers)
        if self.path in server.answers:
            status, headers, body = server.answers[self.path]
            self._answer(status, {"Content-Length": str(len(body)), **headers}, body)
            return
        whole, headers = server.content, {"ETag": server.etag, "Content-Type": server.kind}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        status, body = 200, whole
        if asked and server.ranges and self.headers.get("If-Range", server.etag) == server.etag:
            first = int(asked[1])
            if first >= len(whole):
                self._answer(416, {"Content-Range": f"bytes */{len(whole)}", "Content-Length": "0"}, b"")
                return
            status, body = 206, whole[first:]
            headers["Content-Range"] = f"bytes {first}-{len(whole) - 1}/{len(whole)}"
        length = str(len(body)) if server.length is None else server.length
        self._answer(status, headers | ({"Content-Length": length} if length else {}), body[: server.cut])

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.server.pause:
            count, go_on = self.server.pause
            self.wfile.write(body[:count])
            self.server.paused.set()
            go_on.wait()
            return
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(content=b""):
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
