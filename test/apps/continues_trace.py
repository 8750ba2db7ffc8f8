"""Tells which trace and parent a span would have that it began for its request: W3C Trace Context, section 3.2."""


def application(environ, start_response):
    version, trace_id, parent_id, flags = environ['HTTP_TRACEPARENT'].split('-')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [f'{trace_id} {parent_id}'.encode()]
