/** Main thread. The files that a traceback names, of Python or of JavaScript, and those that it misses. Pure. */
import { join } from 'node:path';

/** A path that ends with a source's ending, behind a space, a bracket, a quote or file://. */
const PATH = /(?:^|[\s("'])(?:file:\/\/)?(\/[^\s"'():]*\.(?:py|[cm]?[jt]s|json))(?=[\s"'():]|$)/gm;
const QUOTED = /File "([^"<]+)"/g;
const MISSING = /No module named '([\w.]+)'/g;
/** Nobody mends their application there. */
const LIBRARIES = /[\\/](node_modules|site-packages|dist-packages)[\\/]|\/lib\/python\d/;

/** As absolute paths, each once. `folder` is where Python looks for modules. */
export function findFilesIn(text: string, folder: string): string[] {
  const named = [...text.matchAll(QUOTED), ...text.matchAll(PATH)].map(([, path = '']) => decode(path));
  const missing = [...text.matchAll(MISSING)].flatMap(([, name = '']) => {
    const path = join(folder, name.replaceAll('.', '/'));
    return [`${path}.py`, join(path, '__init__.py')];
  });
  return [...new Set([...named, ...missing])].filter((path) => path.startsWith('/') && !LIBRARIES.test(path));
}

/** URLs of files have their spaces as %20. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
