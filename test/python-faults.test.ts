// What a Python application may do to its worker while others load the server: it costs that request, and nothing else.
import { describe, expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { load, untilWhole } from './support/load.js';
import { exchange, get } from './support/raw-client.js';
import { type RunningServer, startServer, venv } from './support/server.js';

const source = `
import re, sys, threading, time

stuck = 0
go_on = threading.Event()
background = threading.Thread(target=go_on.wait)

def forever():
    while True:
        pass

def recurse():
    recurse()

class Closing:
    def __iter__(self):
        return iter([b"hello"])

    def close(self):
        forever()

def loop_in_finally():
    global stuck
    stuck += 1
    try:
        try:
            forever()
        finally:
            forever()
    finally:
        stuck -= 1

def answer(path):
    if path == "/loops-in-finally":
        loop_in_finally()
    if path == "/blocks":
        time.sleep(2)
    if path == "/exits":
        sys.exit()
    if path == "/recurses":
        recurse()
    if path == "/matches":
        re.match("(a+)+$", "a" * 26 + "b")
    if path == "/leaves-a-thread":
        background.start()
    if path == "/joins":
        go_on.set()
        background.join()
        return b"joined"
    if path == "/stuck":
        return b"%d" % stuck
    return b"hello"

def application(environ, start_response):
    block = answer(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(block)))])
    return Closing() if environ["PATH_INFO"] == "/closes-forever" else [block]
`;

function serve(): Promise<RunningServer> {
  const application = `${makeFolder({ 'faulty.py': source })}/faulty.py`;
  return startServer({ application, python: venv, threads: 2, timeout: 0.3 });
}

describe('a Python worker', () => {
  it.each([
    ['/loops-in-finally', 504],
    ['/blocks', 504],
    ['/exits', 500],
    ['/recurses', 500],
    ['/closes-forever', 200],
    ['/leaves-a-thread', 200],
  ])('that runs %s answers %d to it, and all others are served', async (path, status) => {
    const running = await serve();
    const others = load(running.port);
    expect((await exchange(running.port, get(path))).status).toBe(status);
    expect(await others.stop()).toBeGreaterThan(3);
    if (path === '/leaves-a-thread') {
      expect((await exchange(running.port, get('/joins'))).body.toString()).toBe('joined');
    }
    await untilWhole(running);
  });

  it('is interrupted again where the application went on after the first time', async () => {
    const { port } = await serve();
    expect((await exchange(port, get('/loops-in-finally'))).status).toBe(504);
    while ((await exchange(port, get('/stuck'))).body.toString() !== '0');
  });

  it('serves again once a regular expression lets go of the GIL', async () => {
    const { port } = await serve();
    expect((await exchange(port, get('/matches'))).status).toBe(504);
    while ((await exchange(port, get('/'))).status !== 200);
  });
});
