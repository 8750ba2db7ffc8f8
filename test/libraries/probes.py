"""Compiled packages at work: each probe uses one, and returns what it found, which is to be the same in Lido and outside."""

import contextlib
import datetime
import io
import ipaddress
import json
import os
import socket
import ssl
import sys
import tempfile
import threading


def probe_numpy():
    import numpy

    return [numpy.__version__, float(numpy.linalg.inv(numpy.eye(200) * 2).trace()), abs(numpy.fft.fft(numpy.ones(64))[0])]


def probe_pandas():
    import pandas

    frame = pandas.read_csv(io.StringIO("a,b\n" + "1,2\n" * 1000))
    return [pandas.__version__, int(frame.groupby("a")["b"].sum().iloc[0])]


def probe_scipy():
    import numpy
    import scipy
    from scipy import linalg, optimize

    root = optimize.brentq(lambda x: x * x - 2, 0, 2)
    return [scipy.__version__, round(float(root), 9), float(linalg.det(numpy.eye(50)))]


def probe_pillow():
    from PIL import Image, features

    sizes = []
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        file = io.BytesIO()
        Image.effect_noise((200, 200), 50).save(file, kind)
        sizes.append(Image.open(io.BytesIO(file.getvalue())).convert("L").size)
    return [sizes, [features.version(name) for name in ("zlib", "jpg", "libtiff", "freetype2", "webp")]]


def probe_opencv():
    import cv2
    import numpy

    image = numpy.arange(120000, dtype=numpy.uint8).reshape(200, 200, 3)
    found, data = cv2.imencode(".png", image)
    return [cv2.__version__, found, bool((cv2.imdecode(data, cv2.IMREAD_COLOR) == image).all())]


def probe_lxml():
    from lxml import etree

    try:
        etree.fromstring("<a><b></a>")
    except etree.XMLSyntaxError as error:
        message = str(error)
    sheet = etree.XSLT(etree.XML('<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"/>'))
    return [etree.LIBXML_VERSION, etree.LIBXSLT_VERSION, message, str(sheet(etree.XML("<a>text</a>")))]


def probe_cryptography():
    from cryptography.fernet import Fernet
    from cryptography.hazmat.backends.openssl import backend

    box = Fernet(Fernet.generate_key())
    return [backend.openssl_version_text(), box.decrypt(box.encrypt(b"secret")).decode()]


def probe_psycopg2():
    import psycopg2
    import psycopg2.extensions

    return [psycopg2.__version__, psycopg2.extensions.libpq_version(), shake_hands_with_postgres(psycopg2.connect)]


def probe_psycopg():
    import psycopg
    import psycopg.pq

    return [psycopg.pq.__impl__, psycopg.pq.version(), shake_hands_with_postgres(psycopg.connect)]


def probe_mysqlclient():
    import MySQLdb

    try:
        MySQLdb.connect(host="127.0.0.1", port=1)
    except MySQLdb.OperationalError as error:
        return [MySQLdb.version_info, MySQLdb.get_client_info(), error.args[0]]


def probe_uvloop():
    import asyncio

    import uvloop

    async def work():
        served = await asyncio.start_server(lambda _, writer: (writer.write(b"served"), writer.close()), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*served.sockets[0].getsockname())
        text = await reader.read()
        writer.close()
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec("/usr/bin/env", stdout=pipe, env={"ONLY": "this"})
        environment, _ = await child.communicate()
        return [text.decode(), environment.decode()]

    loop = uvloop.new_event_loop()
    try:
        return [uvloop.__version__, loop.run_until_complete(work())]
    finally:
        loop.close()


def probe_gevent(loop):
    os.environ["GEVENT_LOOP"] = loop
    import gevent
    import gevent.pool
    from gevent import socket as sockets
    from gevent.server import StreamServer

    server = StreamServer(("127.0.0.1", 0), lambda connection, address: connection.sendall(b"served"))
    server.start()
    client = sockets.create_connection(server.address)
    text = client.recv(100)
    server.stop()
    slept = gevent.pool.Pool(10).map(lambda number: gevent.sleep(0.01) or number, range(10))
    return [gevent.__version__, type(gevent.get_hub().loop).__module__, text.decode(), slept]


def probe_gevent_libev():
    return probe_gevent("libev-cext")


def probe_gevent_libuv():
    return probe_gevent("libuv-cffi")


def probe_pycares():
    import pycares

    return [pycares.__version__, resolve(pycares)]


def probe_pycurl():
    import pycurl

    body = io.BytesIO()
    with TlsServer(lambda connection: connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nserved")) as server:
        curl = pycurl.Curl()
        for option, value in (
            (pycurl.URL, f"https://127.0.0.1:{server.port}/"),
            (pycurl.SSL_VERIFYPEER, 0),
            (pycurl.SSL_VERIFYHOST, 0),
            (pycurl.WRITEDATA, body),
        ):
            curl.setopt(option, value)
        curl.perform()
        curl.close()
    return [pycurl.version, body.getvalue().decode()]


def probe_brotli():
    import brotli

    return [brotli.__version__, len(brotli.decompress(brotli.compress(b"x" * 100000)))]


def probe_zstandard():
    import zstandard

    return [zstandard.__version__, zstandard.ZSTD_VERSION, len(zstandard.decompress(zstandard.compress(b"x" * 100000)))]


def probe_grpcio():
    from concurrent import futures

    import grpc

    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request[::-1])
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a", {"b": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = channel.unary_unary("/a/b")(b"served")
    server.stop(None).wait()
    return [grpc.__version__, answer.decode()]


def probe_pyarrow():
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"a": list(range(10000))})
    read = []
    for codec in ("zstd", "brotli", "gzip", "snappy", "lz4"):
        with tempfile.NamedTemporaryFile() as file:
            parquet.write_table(table, file.name, compression=codec)
            read.append(parquet.read_table(file.name).equals(table))
    return [pyarrow.__version__, read]


def probe_orjson():
    import orjson

    return [orjson.__version__, orjson.loads(orjson.dumps({"a": [1, 2.5, None]}))]


def probe_pydantic():
    import pydantic

    class Point(pydantic.BaseModel):
        x: int

    return [pydantic.VERSION, Point(x="3").x]


def probe_regex():
    import regex

    return [regex.__version__, regex.findall(r"\p{Lu}", "aBcD")]


def probe_pyzmq():
    import zmq

    context = zmq.Context()
    one, other = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    one.connect(f"tcp://127.0.0.1:{other.bind_to_random_port('tcp://127.0.0.1')}")
    one.send(b"served")
    text = other.recv()
    context.destroy()
    return [zmq.__version__, zmq.zmq_version(), text.decode()]


def probe_pynacl():
    import nacl
    import nacl.secret
    import nacl.utils

    box = nacl.secret.SecretBox(nacl.utils.random(32))
    return [nacl.__version__, box.decrypt(box.encrypt(b"secret")).decode()]


def probe_pymongo():
    import bson
    import pymongo

    return [pymongo.version, pymongo.has_c(), bson.decode(bson.encode({"a": [1, "b"]}))]


class TlsServer:
    """Answers one connection by TLS."""

    def __init__(self, answer, greet=None):
        self.answer = answer
        self.greet = greet
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.version = None
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(10)
        self.listener.close()

    def serve(self):
        plain, _ = self.listener.accept()
        if self.greet is not None:
            self.greet(plain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            context.load_cert_chain(write_certificate(folder))
        with context.wrap_socket(plain, server_side=True) as connection:
            self.version = connection.version()
            connection.recv(1000)
            self.answer(connection)
            with contextlib.suppress(OSError):
                connection.unwrap()


def write_certificate(folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "probe")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    path = os.path.join(folder, "both.pem")
    with open(path, "wb") as file:
        plain = serialization.NoEncryption()
        file.write(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
        file.write(certificate.public_bytes(encoding))
    return path


def shake_hands_with_postgres(connect):
    """libpq asks for TLS, and then hears nothing of the database that it wants: the handshake is what counts."""

    def greet(plain):
        plain.recv(8)
        plain.sendall(b"S")

    with TlsServer(lambda connection: None, greet) as server:
        try:
            connect(host="127.0.0.1", port=server.port, dbname="none", user="nobody", sslmode="require")
        except Exception as error:
            return [type(error).__name__, server.version]


def resolve(pycares):
    done = threading.Event()
    answers = []

    def answered(result, error):
        answers.append(sorted({str(node.addr[0]) for node in result.nodes} if error is None else [error]))
        done.set()

    pycares.Channel().getaddrinfo("127.0.0.1", 80, family=socket.AF_INET, callback=answered)
    done.wait(10)
    return answers


def application(environ, start_response):
    try:
        text = json.dumps(globals()["probe_" + environ["QUERY_STRING"]](), default=str)
        start_response("200 OK", [("Content-Type", "application/json")])
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
        start_response("500 Failed", [("Content-Type", "text/plain")])
    return [text.encode()]


if __name__ == "__main__":
    print(json.dumps(globals()["probe_" + sys.argv[1]](), default=str))
