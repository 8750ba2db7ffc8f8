/** Main thread. Paths of the server that something is put at: an application, a folder. Pure. */

const SEGMENTS = /^\/$|^(\/[^/?#%\s]+)+$/;

export const URL_PATH_RULE = 'a path looks like /shop or /shop/admin, unescaped, and / is the root';

/** Whether a client may ask for it as it is written, so that nothing is out of reach. */
export function isUrlPath(path: string): boolean {
  return SEGMENTS.test(path) && !/\/\.\.?(\/|$)/.test(path);
}
