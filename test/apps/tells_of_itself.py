"""What Python is bound to, and what it has of the interpreter that it stands for: the same in Lido and outside."""

import ctypes
import hashlib
import json
import os
import sqlite3
import ssl
import subprocess
import sys
import zlib


def describe():
    return {
        "openssl": ssl.OPENSSL_VERSION,
        "verify paths": list(ssl.get_default_verify_paths()),
        "certificates": ssl.create_default_context().cert_store_stats(),
        "zlib": [zlib.ZLIB_VERSION, zlib.ZLIB_RUNTIME_VERSION],
        "zlib works": len(zlib.decompress(zlib.compress(b"x" * 100000))),
        "hashes": sorted(hashlib.algorithms_available),
        "sqlite": sqlite3.sqlite_version,
        "ctypes": ctypes.CDLL(None).abs(-3),
        "flags": list(sys.flags),
        "flags for children": subprocess._args_from_interpreter_flags(),
        "prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.executable],
        "environment": {name: value for name, value in os.environ.items() if name != "LIDO_TEST"},
        "site": sorted(name for name in sys.modules if "site" in name and "_lido" not in name and "packages" not in name),
    }


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(describe()).encode()]


if __name__ == "__main__":
    print(json.dumps(describe()))
