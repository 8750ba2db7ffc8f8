/** Main thread. `lido stats`, `lido top` and `lido stacks`: what another process, the server, does. */
import type { Overview } from '../../observe/hub.js';
import { askText, follow } from './ask.js';
import { drawScreen, ORDERS } from './screen.js';

/** Where what is drawn goes to: lines may be as long as they are. */
const UNBOUNDED = Number.POSITIVE_INFINITY;
/** A terminal that does not tell its size. */
const DEFAULT_WIDTH = 80;
const DEFAULT_HEIGHT = 24;

/** Prints once what the server at `where` does. Rejects with LIDO_NOT_REACHED. */
export async function printStats(where: string, json: boolean): Promise<void> {
  const text = await askText(where, '/stats');
  if (json) process.stdout.write(text);
  else {
    const lines = drawScreen(JSON.parse(text) as Overview, 'by worker', UNBOUNDED, UNBOUNDED);
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}

/** Prints where every worker stands. Rejects with LIDO_NOT_REACHED. */
export async function printStacks(where: string, json: boolean): Promise<void> {
  process.stdout.write(await askText(where, json ? '/stacks' : '/stacks.txt'));
}

/** Shows live what the server does until `q`, Ctrl-C, or the server's end. Without a terminal it prints one screen a second. */
export async function showTop(where: string): Promise<void> {
  const screen = new Screen();
  screen.open();
  try {
    for await (const overview of follow(where)) {
      if (screen.isClosed) break;
      screen.show(overview);
    }
  } finally {
    screen.close();
  }
}

class Screen {
  readonly #isTerminal = process.stdout.isTTY === true && process.stdin.isTTY === true;
  #overview: Overview | null = null;
  #order = 0;
  #isPaused = false;
  isClosed = false;

  open(): void {
    if (!this.#isTerminal) return;
    process.stdout.write('\x1b[?1049h\x1b[?25l');
    process.stdin.setRawMode(true);
    process.stdin.on('data', (keys: Buffer) => this.#press(keys.toString()));
    process.stdout.on('resize', () => this.#draw());
  }

  show(overview: Overview): void {
    if (this.#isPaused) return;
    this.#overview = overview;
    this.#draw();
  }

  /** Gives the terminal back as it was. Idempotent. */
  close(): void {
    if (!this.#isTerminal || this.isClosed) return;
    this.isClosed = true;
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdout.write('\x1b[?25h\x1b[?1049l');
  }

  #press(keys: string): void {
    if (keys === 's') this.#order = (this.#order + 1) % ORDERS.length;
    else if (keys === 'p') this.#isPaused = !this.#isPaused;
    else if (keys === 'q' || keys === '\x03') {
      this.close();
      process.exit(0);
    }
    this.#draw();
  }

  #draw(): void {
    if (this.#overview === null) return;
    const order = ORDERS[this.#order] ?? 'by worker';
    const { columns: width = DEFAULT_WIDTH, rows: height = DEFAULT_HEIGHT } = process.stdout;
    if (!this.#isTerminal) {
      process.stdout.write(`${drawScreen(this.#overview, order, UNBOUNDED, UNBOUNDED).join('\n')}\n\n`);
      return;
    }
    const keys = `s: ${order}   p: ${this.#isPaused ? 'go on' : 'pause'}   q: quit`;
    const lines = [...drawScreen(this.#overview, order, width, height - 2), '', keys];
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`);
  }
}
