/** Main thread. One bound for what all clients together make this process hold in memory. */

/** From this part of the limit on, those who hold most are to hold less. The rest of it is for all others. */
const PRESSED = 3 / 4;
/** Below this part of the limit everybody may hold more again. Far enough from PRESSED that it does not go to and fro. */
const RELAXED = 1 / 2;

/** Who makes the process hold something: a connection, a body, an answer. */
export interface Holder {
  /** It holds more than others, and there is little room left: hold no more, or less. May be called again and again. */
  relieve(): void;
  /** There is room again. Called only after relieve(). */
  resume(): void;
}

/** Counts bytes of memory by who holds them. Disks have a bound of their own, in SpoolFiles. */
export class Budget {
  /** Bytes. */
  readonly limit: number;
  readonly #accounts = new Set<Account>();
  #used = 0;
  #holding = 0;
  #isPressed = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** True when nothing new may begin: who comes now is told to come back later. */
  get isSpent(): boolean {
    return this.#used >= this.limit;
  }

  /** True when what can lie elsewhere should not lie in memory. */
  get isPressed(): boolean {
    return this.#isPressed;
  }

  /** Opens an account for one holder; it is to be closed, once. */
  open(holder: Holder): Account {
    const account = new Account(holder, this.#count);
    this.#accounts.add(account);
    return account;
  }

  readonly #count = (account: Account, before: number, isClosed: boolean): void => {
    const { held } = account;
    this.#used += held - before;
    if (before === 0 && held > 0) this.#holding += 1;
    else if (before > 0 && held === 0) this.#holding -= 1;
    if (isClosed) this.#accounts.delete(account);
    if (this.#isPressed) {
      if (this.#used < this.limit * RELAXED) this.#relax();
      else if (held > before && this.#holdsMuch(account)) account.relieve();
    } else if (this.#used >= this.limit * PRESSED) this.#press();
  };

  /** Looking at everybody is dear, and happens only when a quarter of the limit has come and gone since the last time. */
  #press(): void {
    this.#isPressed = true;
    for (const account of [...this.#accounts]) {
      // Those before it may have made room enough.
      if (!this.#isPressed) return;
      if (this.#holdsMuch(account)) account.relieve();
    }
  }

  #relax(): void {
    this.#isPressed = false;
    for (const account of [...this.#accounts]) account.resume();
  }

  /** No less than the mean of those who hold anything. */
  #holdsMuch({ held }: Account): boolean {
    return held > 0 && held * this.#holding >= this.#used;
  }
}

/** What one holder makes the process hold. */
export class Account {
  readonly #holder: Holder;
  readonly #count: (account: Account, before: number, isClosed: boolean) => void;
  #held = 0;
  #isRelieved = false;
  #isClosed = false;

  constructor(holder: Holder, count: (account: Account, before: number, isClosed: boolean) => void) {
    this.#holder = holder;
    this.#count = count;
  }

  /** Bytes. */
  get held(): number {
    return this.#held;
  }

  /** Counts so many bytes more, or less where it is negative. Nothing once the account is closed. */
  add(bytes: number): void {
    if (this.#isClosed || bytes === 0) return;
    const before = this.#held;
    this.#held += bytes;
    this.#count(this, before, false);
  }

  /** What it held is held no more. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const before = this.#held;
    this.#held = 0;
    this.#count(this, before, true);
  }

  /** For the budget. */
  relieve(): void {
    this.#isRelieved = true;
    this.#holder.relieve();
  }

  /** For the budget. */
  resume(): void {
    if (!this.#isRelieved || this.#isClosed) return;
    this.#isRelieved = false;
    this.#holder.resume();
  }
}
