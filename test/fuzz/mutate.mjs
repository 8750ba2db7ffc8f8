// Raw requests made from legal and illegal ones by small, nasty changes.

const NASTY = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '%',
  '%00',
  '#',
  '?',
  '/',
  '*',
  '"',
  '\x7f',
  '\xff',
  '-1',
  '0x',
  '+1',
  'chunked',
  '0\r\n\r\n',
  'HTTP/1.1',
  'Host: a\r\n',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Expect: 100-continue\r\n',
  '99999999999999999999',
];

const CHANGES = [
  (text, random) => insert(text, random.below(text.length + 1), random.pick(NASTY)),
  (text, random) => insert(text, random.below(text.length + 1), String.fromCharCode(random.below(256))),
  (text, random) => {
    const at = random.below(text.length);
    return text.slice(0, at) + text.slice(at + 1 + random.below(4));
  },
  (text, random) => {
    const at = random.below(text.length);
    return (
      text.slice(0, at) +
      String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(8))) +
      text.slice(at + 1)
    );
  },
  (text, random) => {
    const lines = text.split('\r\n');
    const at = random.below(lines.length);
    return [...lines.slice(0, at + 1), ...lines.slice(at)].join('\r\n');
  },
  (text, random) => text.slice(0, random.below(text.length)),
  (text, random) => text.replace(/\d+/, String(random.below(200))),
  (text, random) =>
    insert(
      text,
      random.below(text.length + 1),
      random.pick(['x', '0', ' ', '\r\n']).repeat(random.below(3000)),
    ),
];

export function mutate(text, random) {
  let mutated = text;
  for (let count = random.below(4); count >= 0; count -= 1) {
    if (mutated.length > 0) mutated = random.pick(CHANGES)(mutated, random);
  }
  return mutated;
}

function insert(text, at, piece) {
  return text.slice(0, at) + piece + text.slice(at);
}
