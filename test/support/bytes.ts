// Bytes by which a body that was mixed up is known.
import { createHash } from 'node:crypto';

export function makeBytes(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let n = 0; n < size; n += 1) bytes[n] = ((n * 2654435761) >>> 13) & 255;
  return bytes;
}

export function digest(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}
