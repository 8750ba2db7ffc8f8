/** Main thread. Bytes ► a body that comes in chunks, by the grammar of RFC 9112, section 7.1, and nothing else. */
import type { Refusal } from '../gate.js';
import { isValue, lookUpName } from '../grammar.js';
import type { BodyReader } from './body-reader.js';
import { type HeadLimits, trim } from './head-parser.js';

/** What the next byte belongs to. */
enum At {
  Size,
  SizeMore,
  ExtensionName,
  ExtensionNameMore,
  ExtensionValue,
  ExtensionToken,
  ExtensionQuoted,
  ExtensionEscaped,
  ExtensionEnd,
  SizeLf,
  Data,
  DataCr,
  DataLf,
  Trailer,
}

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Hexadecimal digits of a size: more could not be counted. */
const MAX_SIZE_DIGITS = 12;
/** Bytes of a chunk's extensions, which nobody reads. As many as node:http allows. */
const MAX_EXTENSIONS = 16 * 1024;

export class ChunkedBody implements BodyReader {
  readonly #limits: HeadLimits;
  #at = At.Size;
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  /** The pieces of a trailer's line whose end has not come. */
  #line: string[] = [];
  #lineLength = 0;
  #fieldsLeft: number;
  readonly longRest = 0;
  isWhole = false;
  refusal: Refusal | null = null;
  taken: Buffer | null = null;
  readonly trailers: string[] = [];

  /** `fieldCount`: of the head; those of the trailer count with them. */
  constructor(limits: HeadLimits, fieldCount: number) {
    this.#limits = limits;
    this.#fieldsLeft = limits.fields - fieldCount;
  }

  /**
   * Moves the data of all chunks in the packet together, to where the first one begins: a thousand tiny chunks are handed
   * on as one piece. What is moved never reaches what is yet to be read.
   */
  read(packet: Buffer, start: number): number {
    let from = -1;
    let to = 0;
    let position = start;
    while (position < packet.length && !this.isWhole && this.refusal === null) {
      if (this.#at === At.Data) {
        const end = Math.min(packet.length, position + this.#size);
        if (from < 0) {
          from = position;
          to = end;
        } else {
          if (end - position < 64)
            for (let index = position; index < end; ) packet[to++] = packet[index++] as number;
          else {
            packet.copyWithin(to, position, end);
            to += end - position;
          }
        }
        this.#size -= end - position;
        position = end;
        if (this.#size === 0) this.#at = At.DataCr;
      } else if (this.#at === At.Trailer) position = this.#readTrailer(packet, position);
      else this.#step(packet[position++] as number);
    }
    this.taken = from < 0 ? null : packet.subarray(from, to);
    return position;
  }

  /** A byte that frames. */
  #step(byte: number): void {
    switch (this.#at) {
      case At.Size:
      case At.SizeMore:
        this.#readSize(byte);
        return;
      case At.SizeLf:
        this.#beginChunk(byte);
        return;
      case At.DataCr:
        if (byte !== CR) this.#refuse(400, 'a chunk is longer than its size');
        this.#at = At.DataLf;
        return;
      case At.DataLf:
        if (byte !== LF) this.#refuse(400, 'a chunk ends with CR and LF');
        this.#at = At.Size;
        return;
      default:
        this.#readExtension(byte);
    }
  }

  #readSize(byte: number): void {
    const digit = HEX[byte] as number;
    if (digit >= 0) {
      this.#digits += 1;
      this.#size = this.#size * 16 + digit;
      this.#at = At.SizeMore;
      if (this.#digits > MAX_SIZE_DIGITS) this.#refuse(400, 'a chunk size that cannot be counted');
    } else if (this.#at === At.Size) this.#refuse(400, 'malformed chunk size');
    else this.#readEnd(byte, 'malformed chunk size');
  }

  /** RFC 9112, section 7.1.1. The white space that it has for bad is not taken. */
  #readExtension(byte: number): void {
    this.#extensionBytes += 1;
    if (this.#extensionBytes > MAX_EXTENSIONS) this.#refuse(413, 'chunk extensions are too long');
    const isName = IS_TOKEN[byte] === 1;
    switch (this.#at) {
      case At.ExtensionName:
        if (!isName) this.#refuse(400, 'malformed chunk extension');
        this.#at = At.ExtensionNameMore;
        return;
      case At.ExtensionNameMore:
        if (isName) return;
        if (byte === EQUALS) this.#at = At.ExtensionValue;
        else this.#readEnd(byte, 'malformed chunk extension');
        return;
      case At.ExtensionValue:
        if (byte === QUOTE) this.#at = At.ExtensionQuoted;
        else if (isName) this.#at = At.ExtensionToken;
        else this.#refuse(400, 'malformed chunk extension');
        return;
      case At.ExtensionToken:
        if (!isName) this.#readEnd(byte, 'malformed chunk extension');
        return;
      case At.ExtensionQuoted:
        if (byte === QUOTE) this.#at = At.ExtensionEnd;
        else if (byte === BACKSLASH) this.#at = At.ExtensionEscaped;
        else if (!isText(byte)) this.#refuse(400, 'malformed chunk extension');
        return;
      case At.ExtensionEscaped:
        if (!isText(byte)) this.#refuse(400, 'malformed chunk extension');
        this.#at = At.ExtensionQuoted;
        return;
      default:
        this.#readEnd(byte, 'malformed chunk extension');
    }
  }

  /** What may stand behind a size, an extension's name or its value. */
  #readEnd(byte: number, fault: string): void {
    if (byte === SEMICOLON) this.#at = At.ExtensionName;
    else if (byte === CR) this.#at = At.SizeLf;
    else this.#refuse(400, fault);
  }

  #beginChunk(byte: number): void {
    if (byte !== LF) this.#refuse(400, "a chunk's size ends with CR and LF");
    this.#at = this.#size === 0 ? At.Trailer : At.Data;
    this.#digits = 0;
    this.#extensionBytes = 0;
  }

  /** RFC 9112, section 7.1.2. */
  #readTrailer(packet: Buffer, start: number): number {
    const lf = packet.indexOf(LF, start);
    const end = lf < 0 ? packet.length : lf;
    const piece = packet.toString('latin1', start, end);
    this.#lineLength += piece.length;
    if (this.#lineLength - 1 > this.#limits.fieldSize)
      this.#refuse(431, 'a trailer field is too long', '6585, 5');
    this.#line.push(piece);
    if (lf < 0) return end;
    this.#readTrailerLine(this.#line.join(''));
    this.#line = [];
    this.#lineLength = 0;
    return lf + 1;
  }

  #readTrailerLine(line: string): void {
    const end = line.length - 1;
    if (line.charCodeAt(end) !== CR) {
      this.#refuse(400, 'a line ends with CR and LF', '9112, 2.2');
      return;
    }
    if (end === 0) {
      this.isWhole = true;
      return;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    const field = lookUpName(name);
    this.#fieldsLeft -= 1;
    if (field === null || !isValue(trim(line, colon + 1, end)))
      this.#refuse(400, 'malformed trailer field', '9112, 5');
    else if (field.isDisguised) this.#refuse(400, `${name} poses as a field that frames`, '9112, 6');
    else if (this.#fieldsLeft < 0) this.#refuse(431, 'too many fields', '6585, 5');
    else this.trailers.push(name);
  }

  #refuse(status: number, reason: string, section = '9112, 7.1'): void {
    this.refusal ??= { status, reason: `${reason} (RFC ${section})` };
  }
}

/** RFC 9110, section 5.6.4. */
function isText(byte: number): boolean {
  return byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
}

/** The value of each byte as a hexadecimal digit, -1 for what is none. */
const HEX = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit += 1) {
  const text = digit.toString(16);
  HEX[text.charCodeAt(0)] = digit;
  HEX[text.toUpperCase().charCodeAt(0)] = digit;
}

/** 1 for each byte that a token may have. RFC 9110, section 5.6.2. */
const IS_TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  IS_TOKEN[character.charCodeAt(0)] = 1;
