"""Serves the folder that the build has made."""
import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

handler = partial(SimpleHTTPRequestHandler, directory="static")
ThreadingHTTPServer(("", int(os.environ["PORT"])), handler).serve_forever()
