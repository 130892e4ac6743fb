// What the driver did to the run, and which trouble of a command that explains.
import { count, type Json, text } from './read-lines.js';

export interface Fault {
  at: number;
  /** When its effect may last until: its end, and the time until the gate was seen to serve again. */
  until: number;
  kind: string;
  target: string;
  /** Its own times, without what is added for the time of recovery. */
  began: number;
  ended: number;
  /** Nothing that the journal syncs comes to an end meanwhile. */
  isTotal: boolean;
}

/** The times of the driver are taken a moment after what they name. */
const beforeMs = 1500;
/** After the gate was seen to serve again, another backend or another client may still be served by what broke. */
const recoveredMs = 4000;
/** The same where nobody looked. */
const unseenMs = 25_000;
/** A connection that was cut, or a client: what breaks is what ran on it, and the next dial. */
const passing = new Set([
  'cut',
  'tear',
  'delay',
  'slow-client',
  'hostile-client',
  'reload',
  'broken-reload',
  'page-kill',
]);
const passingMs = 2000;
const passingUnseenMs = 6000;
const bucketMs = 10_000;

export interface Faults {
  all: readonly Fault[];
  /** True if a fault of one of the kinds (all kinds without them) may have touched the time, at this backend if one is named. */
  explain(from: number, to: number, kinds?: ReadonlySet<string>, backend?: string): boolean;
  of(kind: string): Fault[];
}

/** `backends`: names of backends; a fault with another target (the gate, the page) touches every command. */
export function createFaults(lines: readonly Json[], backends: ReadonlySet<string>): Faults {
  const all = lines.map((one): Fault => {
    const at = count(one.at) ?? 0;
    const end = Math.max(at, count(one.until) ?? at);
    const recovered = count(one.recovered);
    const kind = text(one.kind);
    const isPassing = passing.has(kind);
    return {
      at: at - beforeMs,
      until:
        recovered === undefined
          ? end + (isPassing ? passingUnseenMs : unseenMs)
          : Math.max(end, recovered) + (isPassing ? passingMs : recoveredMs),
      kind,
      target: text(one.target),
      began: at,
      ended: end,
      isTotal: kind === 'disk-stall' && one.total !== false,
    };
  });
  const buckets = new Map<number, Fault[]>();
  for (const fault of all) {
    for (let at = Math.floor(fault.at / bucketMs); at <= Math.floor(fault.until / bucketMs); at += 1) {
      const list = buckets.get(at);
      if (list === undefined) buckets.set(at, [fault]);
      else list.push(fault);
    }
  }
  return {
    all,
    explain(from, to, kinds, backend) {
      for (let at = Math.floor(from / bucketMs); at <= Math.floor(to / bucketMs); at += 1) {
        for (const fault of buckets.get(at) ?? []) {
          if (fault.at > to || fault.until < from || (kinds !== undefined && !kinds.has(fault.kind)))
            continue;
          if (backend === undefined || !backends.has(fault.target) || fault.target === backend) return true;
        }
      }
      return false;
    },
    of: (kind) => all.filter((fault) => fault.kind === kind),
  };
}

/** The gate itself was killed, stopped, or kept from its memory, its descriptors or its clock. */
const ofProcess = ['kill', 'stop', 'memory', 'descriptors', 'clock'];
export const processKinds: ReadonlySet<string> = new Set(ofProcess);
const ofBackend = [
  'cut',
  'delay',
  'tear',
  'half-open',
  'hostile-server',
  'backend-stop',
  'certificate',
  'key',
];
const ofDisk = ['disk-full', 'disk-stall', 'disk-error'];
const ofReload = ['reload', 'broken-reload', 'certificate', 'key'];
const ofClient = ['slow-client', 'hostile-client', 'half-open'];

export const backendKinds: ReadonlySet<string> = new Set([...ofBackend, ...ofProcess, 'reload']);
export const diskKinds: ReadonlySet<string> = new Set([...ofDisk, ...ofProcess]);
export const reloadKinds: ReadonlySet<string> = new Set([...ofReload, ...ofProcess]);
export const gateKinds: ReadonlySet<string> = new Set([...ofDisk, ...ofProcess, ...ofReload]);
export const clientKinds: ReadonlySet<string> = new Set([...ofClient, ...ofProcess]);
/** What can keep commands waiting for an upstream, so that one is refused or ended for others. */
export const queueKinds: ReadonlySet<string> = new Set([
  ...ofBackend,
  ...ofProcess,
  ...ofDisk,
  ...ofReload,
  ...ofClient,
]);

/** The faults that explain that an allowed command ended with this code; undefined: none does. */
export function kindsOfCode(code: string): ReadonlySet<string> | undefined {
  if (code === 'internal' || code === 'over-limit' || code === 'limits-full') return undefined;
  if (code.startsWith('audit-')) return diskKinds;
  if (code === 'changed-meanwhile' || code.endsWith('-differ'))
    return new Set([...reloadKinds, ...ofBackend]);
  if (/^(?:draining|killed|stopped|sessions-limit|not-configured|lookup-.*|no-room)$/.test(code))
    return gateKinds;
  // Also the answer to a referral to a server that is not configured, which a hostile one gives.
  if (code === 'no-route') return new Set([...gateKinds, 'hostile-server']);
  if (/^(?:queue-full|queue-timeout|over-share)$/.test(code)) return queueKinds;
  if (/^(?:client-gone|client-stall|client-slow|input-cut|input-late)$/.test(code)) return clientKinds;
  return backendKinds;
}
