/**
 * Main thread. Bytes ► the head of a request, by the grammar of RFC 9112 and 9110 and nothing else. One pass, line by line:
 * what is too long is refused before the rest of it is read, and a head that comes byte by byte costs time in its length.
 */
import { FieldCollector } from '../environ.js';
import type { Refusal } from '../gate.js';
import {
  CODING_BIT,
  CONNECTION_BIT,
  copyText,
  EXPECT_BIT,
  findCodingFault,
  findTargetFault,
  HOST_BIT,
  isHost,
  isLength,
  isToken,
  isValue,
  LENGTH_BIT,
  lookUpName,
} from '../grammar.js';
import type { KeptText } from './kept-text.js';

export interface HeadLimits {
  /** Longest request line, in bytes. */
  readonly requestLine: number;
  /** Most header fields, those of a trailer counted with them. */
  readonly fields: number;
  /** Longest header field, name and value, in bytes. */
  readonly fieldSize: number;
}

/** A head that keeps to the grammar, or as much of one as was read before it did not. */
export interface RequestHead {
  /** What is wrong with it; null where nothing is. */
  readonly refusal: Refusal | null;
  readonly method: string;
  readonly target: string;
  readonly version: '1.0' | '1.1';
  readonly fields: FieldCollector;
  readonly fieldCount: number;
  /** Bytes of the longest field, and of the request line. */
  readonly longestField: number;
  readonly lineLength: number;
  /** As declared: 0 where there is no body, null where it comes in chunks. */
  readonly bodyLength: number | null;
  readonly expectsContinue: boolean;
  /** Whether the client wants the connection to last. RFC 9112, section 9.3. */
  readonly keepsConnection: boolean;
}

const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/** Read from a packet at once: most heads are shorter, and what follows may be a long body. Bytes. */
const WINDOW = 4096;
/** RFC 9110, section 9.1: those that are known are in capitals. Others would be new to every application. */
const METHOD = /^[A-Z][A-Z0-9_-]{0,31}$/;
const VERSION = /^HTTP\/(\d)\.(\d)$/;
/** What no part of a head may have: it need not come whole to be refused. */
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;

/** Reads one head after the other. */
export class HeadParser {
  readonly #limits: HeadLimits;
  readonly #kept: KeptText | null;
  /** The pieces of a line whose end has not come. */
  #pieces: string[] = [];
  #piecesLength = 0;
  #method = '';
  #target = '';
  #version: '1.0' | '1.1' = '1.1';
  #fields = new FieldCollector();
  #fieldCount = 0;
  #longestField = 0;
  #lineLength = 0;
  /** The bits of the fields that came; see grammar.ts. */
  #seen = 0;
  #length = '';
  #coding = '';
  #expect = '';
  #connection = '';
  /** Set once the head is whole, or is refused and its request line is known; until the next one is asked for. */
  head: RequestHead | null = null;
  /** What is wrong; nothing behind it is looked at. */
  refusal: Refusal | null = null;

  /** `kept`: where the text of heads is kept as it came; null where nobody wants it. */
  constructor(limits: HeadLimits, kept: KeptText | null = null) {
    this.#limits = limits;
    this.#kept = kept;
  }

  /** True while a head has begun and is not whole. The half of an empty line before it is no beginning. */
  get isWithin(): boolean {
    if (this.#method !== '' || this.#piecesLength > 1) return true;
    return this.#piecesLength === 1 && this.#pieces[0] !== '\r';
  }

  /** Reads on from `start`; returns where it stopped: behind the head, or at the packet's end. */
  read(packet: Buffer, start: number): number {
    let position = start;
    while (position < packet.length && this.head === null && this.refusal === null) {
      const text = packet.toString('latin1', position, Math.min(position + WINDOW, packet.length));
      const end = this.#readText(text);
      this.#kept?.keep(text.slice(0, end));
      position += end;
    }
    return position;
  }

  #readText(text: string): number {
    let position = 0;
    while (this.head === null && this.refusal === null) {
      const end = text.indexOf('\n', position);
      if (end < 0) {
        this.#keep(position === 0 ? text : text.slice(position));
        return text.length;
      }
      if (this.#piecesLength === 0) this.#readLine(text, position, end - 1);
      else {
        const line = this.#pieces.join('') + text.slice(position, end);
        this.#pieces = [];
        this.#piecesLength = 0;
        this.#readLine(line, 0, line.length - 1);
      }
      position = end + 1;
    }
    return position;
  }

  /** Keeps the beginning of a line, unless it is known to be none already. */
  #keep(piece: string): void {
    if (piece === '') return;
    this.#pieces.push(piece);
    this.#piecesLength += piece.length;
    if (CONTROL.test(piece)) this.#refuse(400, 'a control character in the head', '9110, 5.5');
    // The line's end, which is not counted, may be half here.
    else this.#checkLength(this.#piecesLength - 1);
  }

  /** A line from `start` up to its CR, which is at `end`. */
  #readLine(text: string, start: number, end: number): void {
    if (text.charCodeAt(end) !== CR || end < start)
      this.#refuse(400, 'a line ends with CR and LF', '9112, 2.2');
    else if (!this.#checkLength(end - start)) return;
    else if (this.#method === '') this.#readRequestLine(text, start, end);
    else if (start === end) this.#finish();
    else this.#readField(text, start, end);
  }

  /** RFC 9112, section 3, and 2.2 for empty lines before it. */
  #readRequestLine(text: string, start: number, end: number): void {
    if (start === end) return;
    const first = text.indexOf(' ', start);
    const second = first < 0 ? -1 : text.indexOf(' ', first + 1);
    if (second < 0 || second > end) {
      this.#refuse(400, 'a request line is a method, a target and a version', '9112, 3');
      return;
    }
    const method = text.slice(start, first);
    const target = text.slice(first + 1, second);
    if (!this.#readVersion(text.slice(second + 1, end))) return;
    const fault = findTargetFault(method, target);
    if (!isToken(method)) this.#refuse(400, 'malformed method', '9110, 9.1');
    else if (method === 'CONNECT') this.#refuse(501, 'CONNECT is not served here', '9110, 9.3.6');
    else if (!METHOD.test(method)) this.#refuse(501, 'no such method is served here', '9110, 9.1');
    else if (fault !== null) this.#refuse(400, fault, '9112, 3.2');
    this.#method = method;
    this.#target = target;
    this.#lineLength = end - start;
  }

  /** RFC 9112, section 2.3; RFC 9110, section 15.6.6. */
  #readVersion(text: string): boolean {
    if (text === 'HTTP/1.1') this.#version = '1.1';
    else if (text === 'HTTP/1.0') this.#version = '1.0';
    else {
      const [, major = '0'] = VERSION.exec(text) ?? [];
      if (major === '0') this.#refuse(400, 'no version of HTTP in use', '9112, 2.3');
      else this.#refuse(505, `${text} is not served here: use HTTP/1.1`, '9110, 15.6.6');
      return false;
    }
    return true;
  }

  /** RFC 9112, section 5. A line that is folded begins with white space, which no name has. */
  #readField(text: string, start: number, end: number): void {
    const colon = text.indexOf(':', start);
    const field = colon < 0 || colon > end ? null : lookUpName(text.slice(start, colon));
    if (field === null) {
      this.#refuse(400, 'malformed header field', '9112, 5');
      return;
    }
    const value = trim(text, colon + 1, end);
    this.#fieldCount += 1;
    if (end - start > this.#longestField) this.#longestField = end - start;
    if (!isValue(value)) this.#refuse(400, 'malformed header field', '9110, 5.5');
    else if (this.#fieldCount > this.#limits.fields) this.#refuse(431, 'too many header fields', '6585, 5');
    else if (field.isDisguised)
      this.#refuse(400, `${text.slice(start, colon)} poses as a field that frames`, '9112, 6');
    else {
      if (field.key !== null) this.#fields.add(field.key, value);
      if (field.bit !== 0) this.#note(field.bit, value);
    }
  }

  /** Fields that say what becomes of the request, and fields that may come once. RFC 9110, section 5.3. */
  #note(bit: number, value: string): void {
    if (bit === CONNECTION_BIT) {
      this.#connection = this.#connection === '' ? value : `${this.#connection},${value}`;
      return;
    }
    if ((this.#seen & bit) !== 0) this.#refuse(400, 'a field that may come once came twice', '9110, 5.3');
    this.#seen |= bit;
    if (bit === HOST_BIT && !isKnownHost(value)) this.#refuse(400, 'malformed Host', '9110, 7.2');
    else if (bit === LENGTH_BIT) this.#length = value;
    else if (bit === CODING_BIT) this.#coding = value;
    else if (bit === EXPECT_BIT) this.#expect = value.toLowerCase();
  }

  /** The head is whole: what its fields say together. */
  #finish(): void {
    const seen = this.#seen;
    const isNew = this.#version === '1.1';
    const hasLength = (seen & LENGTH_BIT) !== 0;
    const hasCoding = (seen & CODING_BIT) !== 0;
    if (isNew && (seen & HOST_BIT) === 0) this.#refuse(400, 'no Host field', '9112, 3.2');
    else if (hasCoding) this.#checkCoding(hasLength, isNew);
    else if (hasLength && !isLength(this.#length)) this.#refuse(400, 'malformed Content-Length', '9110, 8.6');
    // An HTTP/1.0 client's expectation is ignored.
    const expects = isNew && (seen & EXPECT_BIT) !== 0;
    if (expects && this.#expect !== '100-continue')
      this.#refuse(417, 'no expectation but 100-continue is met here', '9110, 10.1.1');
    if (this.refusal !== null) return;
    const bodyLength = hasCoding ? null : hasLength ? Number(this.#length) : 0;
    this.head = this.#describe(bodyLength, expects, keeps(this.#connection, isNew));
  }

  #describe(bodyLength: number | null, expectsContinue: boolean, keepsConnection: boolean): RequestHead {
    return {
      refusal: this.refusal,
      method: this.#method,
      target: this.#target,
      version: this.#version,
      fields: this.#fields,
      fieldCount: this.#fieldCount,
      longestField: this.#longestField,
      lineLength: this.#lineLength,
      bodyLength,
      expectsContinue,
      keepsConnection,
    };
  }

  #checkCoding(hasLength: boolean, isNew: boolean): void {
    const fault = findCodingFault(this.#coding);
    if (hasLength) this.#refuse(400, 'both Content-Length and Transfer-Encoding', '9112, 6.1');
    else if (!isNew) this.#refuse(400, 'no Transfer-Encoding in HTTP/1.0', '9112, 6.1');
    else if (fault !== null) this.#refuse(fault.status, fault.reason, '9112, 6.1');
  }

  /** Makes ready for the next head. */
  reset(): void {
    this.head = null;
    this.#method = '';
    this.#fields = new FieldCollector();
    this.#fieldCount = 0;
    this.#longestField = 0;
    this.#seen = 0;
    this.#connection = '';
  }

  #checkLength(length: number): boolean {
    const { requestLine, fieldSize } = this.#limits;
    if (this.#method === '') {
      if (length <= requestLine) return true;
      this.#refuse(414, 'the request line is too long', '9112, 3');
    } else {
      if (length <= fieldSize) return true;
      this.#refuse(431, 'a header field is too long', '6585, 5');
    }
    return false;
  }

  #refuse(status: number, reason: string, section: string): void {
    if (this.refusal !== null) return;
    this.refusal = { status, reason: `${reason} (RFC ${section})` };
    if (this.#method !== '') this.head = this.#describe(0, false, false);
  }
}

/** A value without the white space around it. RFC 9112, section 5.1. */
export function trim(text: string, start: number, end: number): string {
  let first = start;
  let last = end;
  while (first < last && isBlank(text.charCodeAt(first))) first += 1;
  while (first < last && isBlank(text.charCodeAt(last - 1))) last -= 1;
  return text.slice(first, last);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** RFC 9112, section 9.3: HTTP/1.1 keeps a connection unless it says otherwise, HTTP/1.0 only where it says so. */
function keeps(connection: string, isNew: boolean): boolean {
  if (connection === '') return isNew;
  const options = connection
    .toLowerCase()
    .split(',')
    .map((option) => option.trim());
  if (options.includes('close')) return false;
  return isNew || options.includes('keep-alive');
}

/** Nearly all requests of a server name the same host. */
let lastHost = '';

function isKnownHost(value: string): boolean {
  if (value === lastHost) return true;
  if (!isHost(value)) return false;
  lastHost = copyText(value);
  return true;
}
