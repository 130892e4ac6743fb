// The abilities of Dovecot by its release, in the only such table. A server announces a minor of the protocol, and several releases
// announce the same one, so a server is known as the releases that it may be. The meaning of a minor within a session is in `minors.ts`.
// Sources: "measured" on real servers (2.3.13, 2.3.19.1, 2.3.21.1, 2.4.1, 2.4.5), else a file of Dovecot's source at the tag of a release.

import { newestMinor } from './minors.js';

/** A row counts from its release to the next row. */
interface Release {
  readonly name: string;
  readonly minor: number;
  readonly series: '2.3' | '2.4';
  readonly hasStartTls: boolean;
  /** It takes OPTION lines and flag x with proxy-ttl=N; others answer these with end of file. */
  readonly hasOptions: boolean;
  /** It sends a second status line after a failure. */
  readonly answersTwice: boolean;
  readonly late: LateColumns;
}

/**
 * By command: the columns of its rows that older releases lack. Those of `mailbox status` are its fields: `all` shows them, and the process
 * of a release without a field ends when the field is named.
 */
export type LateColumns = Readonly<Record<string, readonly string[]>>;

/** `2.3.0`: src/doveadm/doveadm-util.h and client-connection-tcp.c, 2.3.0 to 2.3.8. Also for servers that announce none. */
const oldest: Release = {
  name: '2.3.0',
  minor: 1,
  series: '2.3',
  hasStartTls: false,
  hasOptions: false,
  answersTwice: true,
  late: {},
};

/** Each with what changed since the row before; late columns are added. */
const changes: readonly (Partial<Release> & Pick<Release, 'name'>)[] = [
  // src/doveadm/doveadm-master.c.
  { name: '2.3.8', late: { 'service status': ['process_total'] } },
  // src/doveadm/doveadm-util.h.
  { name: '2.3.9', minor: 2, hasStartTls: true },
  // Measured.
  { name: '2.3.13' },
  // src/doveadm/client-connection-tcp.c has the second status line in 2.3.16, and not in 2.3.17.
  { name: '2.3.16' },
  { name: '2.3.17', answersTwice: false },
  // Measured.
  { name: '2.3.19' },
  // src/doveadm/doveadm-replicator.c.
  { name: '2.3.20', late: { 'replicator status': ['next sync secs'] } },
  // Measured.
  { name: '2.3.21' },
  // src/lib-doveadm/doveadm-protocol.h, src/doveadm/client-connection-tcp.c.
  { name: '2.4.0', minor: 3, series: '2.4', hasOptions: true },
  // Measured, also that its process ends at `mailbox status deleted`.
  { name: '2.4.1' },
  // src/doveadm/doveadm-mail-mailbox-status.c.
  { name: '2.4.2', late: { 'mailbox status': ['deleted'] } },
  // src/lib-doveadm/doveadm-protocol.h: the minor of 2.4.2. Nothing changes in the other files either.
  { name: '2.4.3' },
  { name: '2.4.4' },
  // Measured.
  { name: '2.4.5', minor: 4 },
  // A minor is compatible by its definition.
  { name: 'newer', minor: Number.POSITIVE_INFINITY },
];

const rows: readonly Release[] = changes.reduce(
  (before: readonly Release[], change) => {
    const last = before.at(-1) ?? oldest;
    const late = change.late === undefined ? last.late : { ...last.late, ...change.late };
    return [...before, { ...last, ...change, late }];
  },
  [oldest],
);

/** What is known of a server. Equal knowledge is the same object, so that it can be compared. */
export interface Server {
  /** The releases that it may be; never empty. */
  readonly releases: readonly string[];
  readonly series: Release['series'];
  readonly hasStartTls: boolean;
  readonly hasOptions: boolean;
  readonly mayAnswerTwice: boolean;
  /** The late columns of these releases; several where the releases differ, the newest first. */
  readonly late: readonly LateColumns[];
  /** Its minor version is above those that are known. */
  readonly isNewer: boolean;
  /** By its minor or its name: its rows may have columns that are not known here. */
  readonly isBeyond: boolean;
}

const servers = new Map<string, Server>();

/**
 * The server that announced a minor (undefined: no VERSION line came). `release`: as the configuration names it; only a later row of the
 * same minor narrows what the minor says.
 */
export function serverOf(announced: number | undefined, release?: string): Server {
  const minor = announced === undefined || announced < oldest.minor ? oldest.minor : announced;
  const isNewer = minor > newestMinor;
  const ofMinor = rows.filter((row) => (isNewer ? row.name === 'newer' : row.minor === minor));
  const named = release === undefined ? undefined : rowOf(release);
  if (release === undefined || named === undefined || !ofMinor.includes(named))
    return known(ofMinor, isNewer);
  return known([named], isNewer, isBeyond(release));
}

/** The server of a release that the configuration names, before it has announced anything. */
export function serverOfRelease(release: string): Server {
  return known([rowOf(release)], false, isBeyond(release));
}

function known(found: readonly Release[], isNewer: boolean, isAfterAll = isNewer): Server {
  const names = found.map(({ name }) => name);
  const key = `${names.join(' ')}${isAfterAll ? '+' : ''}`;
  const [first = oldest] = found;
  let server = servers.get(key);
  if (server === undefined) {
    server = Object.freeze({
      releases: names,
      series: first.series,
      hasStartTls: first.hasStartTls,
      hasOptions: first.hasOptions,
      mayAnswerTwice: found.some(({ answersTwice }) => answersTwice),
      late: distinct(found),
      isNewer,
      isBeyond: isAfterAll,
    });
    servers.set(key, server);
  }
  return server;
}

/** What `dovecot --version` prints, `2.4.1-4 (7d8c0e5759)`, or its numbers, which are the first group. */
export const releaseForm = /^(2\.[34]\.\d{1,3}(?:\.\d{1,3})?)(?:-[\w.+~]+)?(?: \([0-9a-f]+\))?$/;

/** The row of a release, as the first group of `releaseForm`. */
function rowOf(release: string): Release {
  const isUpTo = ({ name }: Release): boolean => name !== 'newer' && compare(name, release) <= 0;
  return rows.findLast(isUpTo) ?? oldest;
}

function compare(one: string, other: string): number {
  const others = other.split('.').map(Number);
  const ones = one.split('.').map(Number);
  for (let at = 0; at < Math.max(ones.length, others.length); at += 1) {
    const difference = (ones[at] ?? 0) - (others[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Later than the newest that is known here. */
function isBeyond(release: string): boolean {
  const newest = rows.findLast(({ name }) => name !== 'newer');
  return newest !== undefined && compare(release, newest.name) > 0;
}

export function isSince(release: string, since: string): boolean {
  return compare(release, since) >= 0;
}

export function minorOfRelease(release: string): number {
  return rowOf(release).minor;
}

/** The minors that servers of the series announce, without newer ones. */
export function minorsOf(series: Release['series']): readonly number[] {
  const minors = rows.filter((row) => row.series === series).map(({ minor }) => minor);
  return [...new Set(minors)].filter((minor) => minor <= newestMinor);
}

function distinct(found: readonly Release[]): readonly LateColumns[] {
  return [...new Set(found.map(({ late }) => late))].toReversed();
}

/** The late columns of all releases, the newest first. */
export const everyLate: readonly LateColumns[] = distinct(rows);

export const lateFields: ReadonlySet<string> = new Set(everyLate[0]?.['mailbox status']);
