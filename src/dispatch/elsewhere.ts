/** Main thread. What a dispatcher knows of other processes that serve the same application. Types only. */

export interface Elsewhere<J> {
  /** Tells them whether a request could begin here at once. Called at each change. */
  tell(isVacant: boolean): void;
  /** Whether one of them could begin a request at once, as far as they tell. */
  readonly hasRoom: boolean;
  /** Lets one that could begin it at once have a request. False where none could, or the request cannot leave. */
  take(job: J): boolean;
}
