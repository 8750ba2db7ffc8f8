/** What a Python application takes of the processor for one request, without any server: the best of several tries. */
import { pythonApps } from './paths.mjs';
import { python } from './peers.mjs';

/** Seconds for each request, or null when the application could not be called. */
export function measureOwnCost(app, path, environment) {
  const code = `
import importlib, os, sys, time
from wsgiref.util import setup_testing_defaults
os.environ.update(${JSON.stringify(environment)})
sys.path.insert(0, ${JSON.stringify(pythonApps)})
application = importlib.import_module(${JSON.stringify(app)}).application
environ = {}
setup_testing_defaults(environ)
environ["PATH_INFO"] = ${JSON.stringify(path)}
def once():
    result = application(dict(environ), lambda status, headers, error=None: None)
    for block in result:
        pass
    if hasattr(result, "close"):
        result.close()
def take(count):
    start = time.thread_time()
    for _ in range(count):
        once()
    return (time.thread_time() - start) / count
take(200)
print(min(take(200) for _ in range(7)))`;
  const seconds = python(code);
  return seconds === null ? null : Number(seconds);
}
