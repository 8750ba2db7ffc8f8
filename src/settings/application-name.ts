/** Main thread. MODULE:CALLABLE taken apart. Pure. */

export interface ApplicationName {
  /** A path, with or without its extension, or a dotted Python name. */
  readonly module: string;
  /** A dotted name or a factory call; null where it is left to the module. */
  readonly callable: string | null;
}

/** `app`, `site.app`, `create_app()`, `site.create_app("x", debug=True)`; the arguments are for the runtime to read. */
const CALLABLE = /^[\p{ID_Start}_$][\p{ID_Continue}$]*(\.[\p{ID_Start}_$][\p{ID_Continue}$]*)*(\(.*\))?$/su;

/** Null where the text is no MODULE:CALLABLE. The first colon parts the two: a factory's arguments may hold more. */
export function parseApplicationName(text: string): ApplicationName | null {
  const colon = text.indexOf(':');
  const module = colon < 0 ? text : text.slice(0, colon);
  const callable = colon < 0 ? '' : text.slice(colon + 1);
  if (module === '' || /[\0-\x1f]/.test(module)) return null;
  if (callable !== '' && !CALLABLE.test(callable)) return null;
  return { module, callable: callable === '' ? null : callable };
}
