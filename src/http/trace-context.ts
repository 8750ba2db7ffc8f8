/** Main thread. W3C Trace Context: by which name a request is known across services. Pure. */

/** Section 3.2: version, trace, parent, flags. Version ff is none, and later ones may have more behind; zeros name nothing. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/;

/** The trace id of a `traceparent` field; undefined where there is none. */
export function readTraceId(traceparent: string | undefined): string | undefined {
  return traceparent === undefined ? undefined : TRACEPARENT.exec(traceparent)?.[1];
}
