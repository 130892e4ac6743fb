// The cancellation of one exchange. An AbortController costs 2.8 us, and a listener of its signal 2 more: a tenth of a short exchange. So a
// signal is made only on request, and most waiters use a plain listener.

/** Notified of an abort. An object, so that a waiter needs no function of its own. */
export interface AbortListener {
  aborted(reason: unknown): void;
}

/** Can be aborted once. A class with plain fields, because every exchange has one. */
export class Abortable {
  isAborted = false;
  reason: unknown = undefined;
  #controller: AbortController | undefined;
  /** Usually at most one; more only if a command goes to several backends. */
  #listener: AbortListener | undefined;
  #others: AbortListener[] | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.isAborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  /** The first reason counts. */
  abort(reason: unknown): void {
    if (this.isAborted) return;
    this.isAborted = true;
    this.reason = reason;
    const listener = this.#listener;
    const others = this.#others ?? [];
    this.#listener = undefined;
    this.#others = undefined;
    listener?.aborted(reason);
    for (const other of others) other.aborted(reason);
    this.#controller?.abort(reason);
  }

  /** From now on `listener` is notified of the abort, once; an earlier abort is not reported. */
  listen(listener: AbortListener): void {
    if (this.#listener === undefined) this.#listener = listener;
    else (this.#others ??= []).push(listener);
  }

  unlisten(listener: AbortListener): void {
    if (this.#listener === listener) this.#listener = undefined;
    else this.#others = this.#others?.filter((other) => other !== listener);
  }
}

/**
 * The value, or undefined as soon as the signal is aborted; rejects as the promise does. No listener stays on the signal: a race against
 * one long-lived promise would keep a part of each wait until the abort, which for a stream is hours away.
 */
export function unlessAborted<T>(wait: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(undefined);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    wait.then(
      (value) => {
        signal.removeEventListener('abort', onAbort);
        resolve(value);
      },
      (fault: unknown) => {
        signal.removeEventListener('abort', onAbort);
        reject(fault);
      },
    );
  });
}
