#!/usr/bin/env python3
"""Serves a directory over HTTP on a free loopback port: serve.py DIRECTORY FILE_FOR_THE_URL.

Ends when its standard input closes, so that it cannot outlive who started it.
"""
import functools
import http.server
import os
import pathlib
import sys
import threading


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


def main(directory, announce):
    handler = functools.partial(Quiet, directory=directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = pathlib.Path(announce)
    unfinished = url.with_suffix(".new")
    unfinished.write_text(f"http://127.0.0.1:{server.server_port}/")
    unfinished.rename(url)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
