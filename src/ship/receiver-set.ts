// The receivers of one kind that the settings name. One whose settings, journal or host change is ended and begun again; the others notice
// nothing.

import type { ShipHead } from '../gate/door/ship.js';

/** The journal whose records and notices are sent. */
export type JournalHead = Pick<ShipHead, 'directory' | 'journal' | 'key' | 'host'>;

export interface Sending<Report> {
  readonly report: Report;
  /** Call when there may be more on disk. */
  nudge(): void;
  /** Resolves when nothing of it runs any more. Never rejects. */
  close(): Promise<void>;
}

/** `begin` never rejects. */
export function createReceiverSet<Settings extends { readonly name: string }, Report>(
  begin: (settings: Settings, head: JournalHead) => Promise<Sending<Report>>,
) {
  const running = new Map<string, { readonly key: string; readonly sending: Sending<Report> }>();
  let wanted = new Map<string, { readonly key: string; readonly start: () => Promise<Sending<Report>> }>();
  let changes: Promise<void> = Promise.resolve();
  let isClosed = false;

  return {
    /** Resolves when those that are gone have ended, and the others run. */
    replace(settings: readonly Settings[], head: JournalHead): Promise<void> {
      const { directory, journal, key, host } = head;
      wanted = new Map(
        settings.map((each) => [
          each.name,
          { key: JSON.stringify([each, directory, journal, key, host]), start: () => begin(each, head) },
        ]),
      );
      changes = changes.then(apply);
      return changes;
    },
    get reports(): readonly Report[] {
      return [...running.values()].map(({ sending }) => sending.report);
    },
    nudge(): void {
      for (const { sending } of running.values()) sending.nudge();
    },
    /** The reports keep their last state. */
    async close(): Promise<void> {
      isClosed = true;
      const before = [...running.values()];
      await Promise.all([endAll(before), changes]);
      // One that was just being begun.
      await endAll([...running.values()].filter((each) => !before.includes(each)));
    },
  };

  async function apply(): Promise<void> {
    const gone = [...running].filter(([name, { key }]) => wanted.get(name)?.key !== key);
    await endAll(gone.map(([, each]) => each));
    for (const [name] of gone) running.delete(name);
    for (const [name, { key, start }] of wanted)
      if (!running.has(name) && !isClosed) running.set(name, { key, sending: await start() });
  }
}

async function endAll(all: readonly { readonly sending: Sending<unknown> }[]): Promise<void> {
  await Promise.all(all.map(({ sending }) => sending.close()));
}
