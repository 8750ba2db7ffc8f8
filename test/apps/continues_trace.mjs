// Continues the trace of its request as instrumentations do, and tells which trace and parent its own span has.
import { ROOT_CONTEXT } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const tracer = new NodeTracerProvider().getTracer('application');
const propagator = new W3CTraceContextPropagator();
const getter = {
  keys: (environ) => Object.keys(environ),
  get: (environ, name) => environ[`HTTP_${name.toUpperCase().replaceAll('-', '_')}`],
};

export function application(environ, startResponse) {
  const span = tracer.startSpan('page', {}, propagator.extract(ROOT_CONTEXT, environ, getter));
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  const { traceId } = span.spanContext();
  span.end();
  return [`${traceId} ${span.parentSpanContext.spanId}`];
}
