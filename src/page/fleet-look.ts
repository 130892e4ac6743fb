// Answers the page about the other gates: the contents of the file that `dovegate audit fleet watch` writes, and how far they can be relied
// on. The file is used only if its shape is right, and no path is shown. A look never fails: it says what is wrong.

import { type FleetSeen, type FleetShown, fleetStatus } from '../evidence/views/fleet.js';
import { bounds } from '../host/bounds/bounds.js';
import { isSmallFile, readSmallFile, type SmallFile } from '../host/machine/small-file.js';
import type { Clock } from '../host/ports/machine.js';
import { parseLine } from '../host/values/values.js';
import { parseTime } from '../host/words/instants.js';
import type { Daemon } from './daemon.js';

/** 50 gates with 100 findings each are some 2 MiB. */
const bytesMax = bounds.fleetStatusBytes;
/** How long a result is reused: everybody may ask, and parsing a large file takes milliseconds. */
const toldMs = 1_000;
/** The file is written more than once a minute: if it is older, nothing writes it any more. */
const freshMs = 120_000;
const patienceMs = 2_000;
const findingsShown = 200;

const setting = 'the file of admin.page.fleet';
const writer = '"dovegate audit fleet watch"';

/** Looks into the file that is configured now; undefined: there is none. */
export function createFleetNow(
  daemon: Pick<Daemon, 'told'>,
  clock: Parameters<typeof createFleetLook>[1],
): () => Promise<FleetShown | undefined> {
  let known: { readonly file: string; readonly look: ReturnType<typeof createFleetLook> } | undefined;
  return async () => {
    const file = daemon.told?.settings.admin?.page?.fleetFile;
    if (known?.file !== file)
      known = file === undefined ? undefined : { file, look: createFleetLook(file, clock) };
    return known?.look();
  };
}

/** Concurrent requests share one read of the file, so that a file system that hangs blocks at most one thread of the process. */
export function createFleetLook(
  file: string,
  clock: Pick<Clock, 'now' | 'wallMs' | 'setTimer'>,
): () => Promise<FleetShown> {
  let told: { readonly atMs: number; readonly shown: Promise<FleetShown> } | undefined;
  let isLooking = false;
  return async () => {
    const nowMs = clock.now();
    if (told === undefined || (!isLooking && nowMs - told.atMs >= toldMs))
      told = { atMs: nowMs, shown: look() };
    const { shown } = told;
    return new Promise((resolve) => {
      const trouble = `${setting} could not be read within 2 s: its file system does not answer`;
      const timer = clock.setTimer(patienceMs, () => resolve({ trouble }));
      void shown.then((found) => {
        timer.cancel();
        resolve(found);
      });
    });
  };

  async function look(): Promise<FleetShown> {
    isLooking = true;
    const found = await readSmallFile(file, bytesMax);
    isLooking = false;
    if (!isSmallFile(found, 'text')) return { trouble: whyNot(found) };
    const status = parseStatus(found.text);
    if (status === undefined)
      return {
        trouble: `${setting} is not what ${writer} writes; name the status.json in its state directory`,
      };
    const { seen, away } = status;
    const trouble = whyOld(seen.at, clock.wallMs()) ?? away;
    return { seen, ...(trouble !== undefined && { trouble }) };
  }
}

function whyNot(found: Exclude<SmallFile, { readonly kind: 'text' }>): string {
  switch (found.kind) {
    case 'absent':
      return `${setting} is not there; ${writer} writes it as status.json into its state directory: start it, or correct the path`;
    case 'forbidden':
      return `${setting} may not be read by the user of the daemon; put that user into the group of its directory`;
    case 'no-file':
      return `${setting} is a directory, a pipe or a device; name a status.json`;
    case 'too-large':
      return `${setting} is larger than 4 MiB, so it is not shown; ask "dovegate audit fleet status"`;
    case 'fault':
      return `${setting} cannot be read (${found.text})`;
    default:
      return found satisfies never;
  }
}

function whyOld(at: string, nowMs: number): string | undefined {
  const ageMs = nowMs - (parseTime(at) ?? 0);
  if (ageMs > freshMs)
    return `${writer} wrote this last at {${at}}; what came since then nobody has checked: start it again, and read its log`;
  if (ageMs < -freshMs)
    return `this was written at {${at}}, which is still to come by the clock of this host; set the clocks`;
  return undefined;
}

function parseStatus(
  text: string,
): { readonly seen: FleetSeen; readonly away: string | undefined } | undefined {
  const status = fleetStatus.safeParse(parseLine(text)).data;
  if (status === undefined) return undefined;
  const { findings, away, ...seen } = status;
  const counted = seen.gates.reduce((sum, gate) => sum + gate.findings, 0);
  // The file lists only the first faults of a chain, but counts all of them.
  const findingCount = Math.max(counted, findings.length);
  return {
    seen: { ...seen, findingCount, findings: findings.slice(0, findingsShown) },
    away: away && `${writer} cannot read the store since {${away.since}}; its log says why`,
  };
}
