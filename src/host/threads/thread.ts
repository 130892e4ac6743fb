// A thread of the program with orders and reports: each order gets exactly one report, also if the thread ends before. The thread has no
// flags and variables of the program. A fault in it ends it, and nothing else.

import { type MessagePort, Worker, type WorkerOptions } from 'node:worker_threads';

/** An order or its report, which have the same number. */
export interface Numbered<Body> {
  readonly number: number;
  readonly body: Body;
}

/** `Own`: messages of the thread without an order. */
export class Thread<Order, Report, Own = never> {
  /** False: it ended, or was given up. */
  isAlive = true;
  onSaid: ((own: Own) => void) | undefined;
  /** Called when it ends, after the reports. */
  onGone: ((cause: string) => void) | undefined;
  readonly #worker: Worker;
  readonly #lost: (cause: string) => Report;
  readonly #calls = new Map<number, (report: Report) => void>();
  #number = 0;
  #cause = 'it ended';

  /** `lost`: the report of a thread that ended before it made one. Throws where the system has no thread left. */
  constructor(entry: URL, options: WorkerOptions, lost: (cause: string) => Report) {
    this.#lost = lost;
    this.#worker = new Worker(entry, { env: {}, execArgv: [], ...options });
    this.#worker.on('message', (message: Numbered<Report> | Own) => this.#take(message));
    this.#worker.on('messageerror', () => this.giveUp('it sent what cannot be read'));
    this.#worker.on('error', (error) => {
      this.#cause = String(error);
    });
    this.#worker.on('exit', () => this.#ended());
  }

  /** `memory` is transferred. */
  give(order: Order, told: (report: Report) => void, memory: readonly ArrayBuffer[] = []): void {
    this.#number += 1;
    this.#calls.set(this.#number, told);
    if (this.isAlive) send(this.#worker, { number: this.#number, body: order }, memory);
    else queueMicrotask(() => this.#report());
  }

  ask(order: Order, memory?: readonly ArrayBuffer[]): Promise<Report> {
    return new Promise((resolve) => this.give(order, resolve, memory));
  }

  /** Ends it; resolves when it is gone. A thread that hangs in the kernel ends only when the kernel returns. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  /** Ends the thread without waiting: all missing reports are made now. */
  giveUp(cause: string): void {
    this.#cause = cause;
    this.#ended();
    void this.end();
    // Node refs a worker to be terminated: one that does not end would keep the process.
    this.#worker.unref();
  }

  #take(message: Numbered<Report> | Own): void {
    if (!isNumbered<Report>(message)) return this.onSaid?.(message);
    const told = this.#calls.get(message.number);
    this.#calls.delete(message.number);
    told?.(message.body);
  }

  #ended(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#report();
    this.onGone?.(this.#cause);
  }

  #report(): void {
    const report = this.#lost(this.#cause);
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const told of calls) told(report);
  }
}

/** The side of the thread. What `carryOut` throws ends the thread. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- a message has no type
export function serveOrders<Order>(port: MessagePort, carryOut: (order: Order) => unknown): void {
  const serve = async ({ number, body }: Numbered<Order>): Promise<void> =>
    send(port, { number, body: await carryOut(body) });
  port.on('message', (order: Numbered<Order>) => void serve(order));
}

export function send(to: Worker | MessagePort, message: unknown, memory: readonly ArrayBuffer[] = []): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  to.postMessage(message, memory);
}

function isNumbered<Report>(message: unknown): message is Numbered<Report> {
  return typeof message === 'object' && message !== null && 'number' in message;
}
