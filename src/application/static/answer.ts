/** Main thread. A file and what the client asked of it ► status, fields, and the part that is sent. RFC 9110, 12 to 14. Pure. */
import { negotiate } from '@fastify/accept-negotiator';
import {
  choosePart,
  createEtag,
  isUnmodified,
  meetsPrecondition,
} from '../../../middleware/static/conditions.js';
import type { Environ } from '../../contract/wsgi.js';
import type { HttpRequest } from '../../http/request.js';
import type { StaticFile, Variants } from './folder.js';

export interface FileAnswer {
  readonly file: StaticFile;
  /** `status\nName\nvalue\n…`, as parseHead() takes it. */
  readonly head: string;
  /** What of the file is sent, in bytes; null for nothing. */
  readonly part: { readonly position: number; readonly length: number } | null;
}

/** What of a request says how a file is answered with. */
type Asked = Pick<HttpRequest, 'method' | 'headers'>;

/** Chooses the variant and the answer to a GET or a HEAD, which has these fields, too: names and values. */
export function chooseAnswer(request: Asked, variants: Variants, own: readonly string[]): FileAnswer {
  const file = chooseVariant(request, variants);
  const conditions = readConditions(request);
  const fields = [
    ...(variants.length > 1 ? ['Vary', 'Accept-Encoding'] : []),
    ...own,
    ...['Last-Modified', file.stats.mtime.toUTCString()],
    ...['ETag', createEtag(file.stats)],
  ];
  const answer = (status: string, part: FileAnswer['part'], ...more: string[]): FileAnswer => ({
    file,
    head: [status, ...fields, ...more].join('\n'),
    part,
  });
  if (!meetsPrecondition(conditions, file.stats))
    return answer('412 Precondition Failed', null, 'Content-Length', '0');
  if (isUnmodified(conditions, file.stats)) return answer('304 Not Modified', null);
  const { size } = file.stats;
  // RFC 9110, section 14.2: ranges are for GET alone.
  const range = request.method === 'GET' ? choosePart(conditions, file.stats) : null;
  if (range === 'unsatisfiable')
    return answer(
      '416 Range Not Satisfiable',
      null,
      'Content-Range',
      `bytes */${size}`,
      'Content-Length',
      '0',
    );
  const part = range ?? { position: 0, length: size };
  const described = [
    'Content-Type',
    file.type,
    'Content-Length',
    String(part.length),
    'Accept-Ranges',
    'bytes',
  ];
  if (file.coding !== null) described.push('Content-Encoding', file.coding);
  if (range === null) return answer('200 OK', part, ...described);
  const last = part.position + part.length - 1;
  return answer(
    '206 Partial Content',
    part,
    ...described,
    'Content-Range',
    `bytes ${part.position}-${last}/${size}`,
  );
}

/** A part is one of the plain file: a client that joins parts counts the bytes of what it sees. */
function chooseVariant({ headers }: Asked, [plain, ...compressed]: Variants): StaticFile {
  const accepted = headers['accept-encoding'];
  if (compressed.length === 0 || typeof accepted !== 'string' || headers.range !== undefined) return plain;
  const coding = negotiate(accepted, [...compressed.map((file) => file.coding as string), 'identity']);
  return compressed.find((file) => file.coding === coding) ?? plain;
}

/** lido/static knows the conditions by their keys in the environ. */
function readConditions({ headers }: Asked): Environ {
  return {
    HTTP_IF_MATCH: headers['if-match'],
    HTTP_IF_NONE_MATCH: headers['if-none-match'],
    HTTP_IF_MODIFIED_SINCE: headers['if-modified-since'],
    HTTP_IF_UNMODIFIED_SINCE: headers['if-unmodified-since'],
    HTTP_IF_RANGE: headers['if-range'],
    HTTP_RANGE: headers.range,
    HTTP_CACHE_CONTROL: headers['cache-control'],
  } as unknown as Environ;
}
