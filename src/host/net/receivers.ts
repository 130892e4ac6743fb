// What every way of sending to a receiver shares: how its name is looked up, who is trusted in TLS, and its files.

import { type LookupAddress, type LookupAllOptions, lookup as lookUpName } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { bounds } from '../bounds/bounds.js';
import { readRegularFile } from '../machine/regular-file.js';
import { systemContext } from '../machine/system-trust.js';

type Resolve = (
  name: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void;

/** At most two at once: each takes one of four threads that files need, too, for seconds if the name server does not answer. */
export function createLookup(resolve: Resolve = lookUpName): LookupFunction {
  let running = 0;
  const waiting: (() => void)[] = [];
  const next = (): void => {
    if (running >= 2) return;
    const run = waiting.shift();
    if (run === undefined) return;
    running += 1;
    run();
  };
  return (hostname, options, callback) => {
    const all = { ...options, all: true } as const;
    waiting.push(() =>
      resolve(hostname, all, (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => {
        running -= 1;
        next();
        const [first] = found ?? [];
        if (options.all === true) callback(error, found);
        else callback(error, first?.address ?? '', first?.family ?? 0);
      }),
    );
    next();
  };
}

export type Trust = SecureContextOptions | { readonly secureContext: ReturnType<typeof systemContext> };

/** Read at each attempt, so that a renewed file counts. `caFile`: undefined: the system's list. Rejects with the system's error. */
export async function trustIn(caFile: string | undefined): Promise<Trust> {
  if (caFile === undefined) return { secureContext: systemContext() };
  // In a list: for an empty text alone, Node would use its own authorities.
  return { ca: [await readText(caFile, bounds.certificateFileBytes)], minVersion: 'TLSv1.2' };
}

export async function readText(path: string, bytesMax: number): Promise<string> {
  return (await readRegularFile(path, bytesMax)).toString('utf8');
}
