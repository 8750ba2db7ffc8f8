/** Main thread. Writes the answer that was chosen for a file. */
import { openSync } from 'node:fs';
import { LidoError } from '../../contract/errors.js';
import { type FileAnswer as Answerer, sendFile } from '../../dispatch/file-body.js';
import type { HttpRequest } from '../../http/request.js';
import type { FileAnswer } from './answer.js';

/** A file that is gone by now, or cannot be opened any more, fails. */
export function sendAnswer(answerer: Answerer, request: HttpRequest, { file, head, part }: FileAnswer): void {
  const { writer } = answerer;
  if (part === null || request.method === 'HEAD') writer.writeWhole(head, '');
  else if (file.content !== null) {
    const { position, length } = part;
    writer.writeWhole(head, file.content.subarray(position, position + length));
  } else sendLarge(answerer, head, file.path, part);
}

function sendLarge(
  answerer: Answerer,
  head: string,
  path: string,
  part: { readonly position: number; readonly length: number },
): void {
  try {
    sendFile(answerer, head, { fd: openSync(path, 'r'), ...part });
  } catch (error) {
    answerer.fail(new LidoError('LIDO_FILE_NOT_READABLE', [(error as Error).message], { cause: error }));
  }
}
