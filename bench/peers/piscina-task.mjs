/** One request, in a Piscina thread. */
import { answer } from './handler.mjs';

export default function run(path) {
  return answer(path);
}
