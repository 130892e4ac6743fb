// A TCP forwarder whose way back can be shut: what the server answers is held then, as if it had not answered yet.
import type { Owner } from '../../kit/plain/folder.js';
import { openForwarder } from './forwarder.js';

export interface Sluice {
  readonly port: number;
  /** Shuts the way back. Resolves when the first bytes that are held have come. */
  shut(): Promise<void>;
  /** What comes from now on goes through again; what is held stays so. */
  open(): void;
}

/** Forwards from a free port of 127.0.0.1, until the owner ends. */
export async function openSluice(owner: Owner, target: { host: string; port: number }): Promise<Sluice> {
  let held: (() => void) | undefined;
  const port = await openForwarder(owner, target, ({ client, backend }) => {
    client.on('data', (chunk) => backend.write(chunk));
    backend.on('data', (chunk) => {
      if (held === undefined) client.write(chunk);
      else held();
    });
  });
  return {
    port,
    shut: () =>
      new Promise((resolve) => {
        held = resolve;
      }),
    open() {
      held = undefined;
    },
  };
}
