// A gate in the process of the test, as `openGate` opens it: real sockets, a real journal, a scripted Dovecot. For what needs no process,
// no signal and no exit.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Opened } from '../../../src/gate/daemon/life.js';
import { Lifecycle } from '../../../src/gate/daemon/lifecycle.js';
import { type JournalEnd, type OpenGate, openGate } from '../../../src/gate/daemon/open-gate.js';
import type { DaemonEvent, Log } from '../../../src/gate/telemetry/log.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { createFindPeer } from '../../../src/host/machine/find-peer.js';
import { createNameService } from '../../../src/host/machine/name-service.js';
import { loadNative } from '../../../src/host/machine/native.js';
import { exitCodes } from '../../../src/host/ports/machine.js';
import { loadConfiguration } from '../../../src/rules/setup/configuration.js';
import { addMemory, type Owner, openFolder } from '../plain/folder.js';

export interface OwnGate {
  readonly gate: OpenGate;
  readonly folder: string;
  /** What it reported of itself. */
  readonly events: readonly DaemonEvent[];
  /** Everything that it opened, the last first. Resolves to how the journal ended. */
  readonly close: () => Promise<JournalEnd>;
}

export interface OwnGateOptions {
  readonly config: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Default: a new one. */
  readonly folder?: string;
}

/** Rejects as `openGate` does; what it had opened is closed then. */
export async function openOwnGate(owner: Owner, options: OwnGateOptions): Promise<OwnGate> {
  const folder = options.folder ?? openFolder(owner);
  if (options.folder === undefined) addMemory(folder);
  for (const [name, text] of Object.entries({ ...options.files, 'dovegate.yaml': options.config }))
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  const events: DaemonEvent[] = [];
  const log: Log = {
    observe: () => undefined,
    report: (event) => void events.push(event),
    configure: () => undefined,
    dropped: 0,
    suppressed: new Map(),
    flush: () => Promise.resolve(),
  };
  const file = join(folder, 'dovegate.yaml');
  const loaded = loadConfiguration(file);
  if (loaded.settings === undefined) throw new Error(loaded.problems.join('\n'));
  const opened = new Opened(log);
  const end: JournalEnd = { code: exitCodes.ok, isHanging: false };
  const close = async (): Promise<JournalEnd> => {
    await opened.close(new Promise<string>(() => undefined));
    return end;
  };
  owner.after(async () => void (await close()));
  const native = await loadNative();
  const names = createNameService(systemClock);
  opened.add('the name service', () => names.close());
  const findPeer = createFindPeer(native, systemClock, names);
  const machine = { log, clock: systemClock, native, names, findPeer, passed: [] };
  const configuration = { ...loaded, settings: loaded.settings, file };
  try {
    const gate = await openGate(configuration, machine, new Lifecycle(), opened, end);
    return { gate, folder, events, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}
