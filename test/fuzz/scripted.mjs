// An application that does what the query says, within the rules of PEP 3333; scripted.py does the same.

export function application(environ, startResponse) {
  const plan = JSON.parse(decodeURIComponent(environ.QUERY_STRING));
  if (plan.reads) environ['wsgi.input'].read(plan.reads === 'all' ? -1 : plan.reads);
  const headers = [['Content-Type', 'text/plain']];
  if (plan.declares) headers.push(['Content-Length', String(total(plan))]);
  const blocks = plan.blocks.map((size) => Buffer.alloc(size, 'b'));
  if (plan.kind === 'list') {
    startResponse(plan.status, headers);
    return blocks;
  }
  const run = function* () {
    if (plan.lazy) yield Buffer.alloc(0);
    const write = startResponse(plan.status, headers);
    for (const size of plan.writes) write(Buffer.alloc(size, 'w'));
    yield* blocks;
  };
  return run();
}

function total({ writes, blocks, kind }) {
  const sum = (sizes) => sizes.reduce((left, right) => left + right, 0);
  return sum(blocks) + (kind === 'list' ? 0 : sum(writes));
}
