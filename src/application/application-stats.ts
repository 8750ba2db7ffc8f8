/** Main thread. What the public API tells of an application; nothing else, since its types are everybody's. */

/** An application as it stands at this moment: its workers, and the requests that they hold or that wait. */
export interface ApplicationStats {
  /** Where it is mounted: '/' or '/shop'. */
  readonly mount: string;
  /** As it was named: "shop.wsgi:application". */
  readonly application: string;
  /** What runs it: "Node.js 20.20.2", "Python 3.11.2". */
  readonly runtime: string;
  /** Workers that are there now. */
  readonly workers: number;
  /** Workers that hold a request. */
  readonly busy: number;
  /** Requests that workers hold, running or next. */
  readonly sent: number;
  /** Requests in the backlog. */
  readonly waiting: number;
  /** Requests that are over, since the application was loaded. */
  readonly answered: number;
}
