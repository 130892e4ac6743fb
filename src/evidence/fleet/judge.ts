// Present faults of the gates, and the rows of their table. Nothing is stored: everything is evaluated each time.

import { formatTime, parseTime } from '../../host/words/instants.js';
import { plural } from '../../host/words/words.js';
import { type Chain, openMax } from './chain.js';
import type { ExpectedHost, FleetFinding, FleetLock, GateRow } from './shapes.js';

export interface Gates {
  /** By the word of the host. */
  readonly hosts: ReadonlyMap<string, ExpectedHost>;
  readonly chains: ReadonlyMap<string, readonly Chain[]>;
  /** An exchange without end is a finding after this time: longer than the longest deadline of the gates. */
  readonly openMs: number;
  /** A clock that is further ahead of the store's is a finding. Undefined: the store has no clock of its own. */
  readonly driftMs: number | undefined;
}

/** The present journal: of those that have records, the one with the latest block. */
export function currentOf(chains: readonly Chain[]): Chain | undefined {
  let current: Chain | undefined;
  for (const chain of chains) {
    const had = current?.seen ?? chain.seen;
    // A journal without a proved record replaces no other: anybody with the credential can make one.
    const order =
      Math.sign(chain.state.seq) - Math.sign((current ?? chain).state.seq) ||
      Math.sign(chain.seen.seq) - Math.sign(had.seq) ||
      chain.seen.storedMs - had.storedMs;
    if (order >= 0) current = chain;
  }
  return current;
}

/** Records without a trusted signature, although they are old enough to have one: for a host listed with a key. */
export function unsignedOf(chain: Chain, expected: ExpectedHost | undefined, nowMs: number) {
  const { state } = chain;
  if (expected?.key === undefined) return undefined;
  if (state.untrusted !== undefined) return state.untrusted;
  const sinceMs = state.unsignedMs ?? chain.unproved?.sinceMs;
  if (sinceMs === undefined || nowMs - sinceMs <= expected.silentMs) return undefined;
  const { host, journal, signedSeq } = state;
  const since = formatTime(sinceMs);
  const text = `no checkpoint of the listed key since ${since}: nothing vouches for its records ${signedSeq + 1} to ${Math.max(signedSeq + 1, chain.seen.seq)}; look whether the gate still signs (audit.sign_key)`;
  const finding: FleetFinding = { kind: 'untrusted', host, journal, seq: signedSeq + 1, time: since, text };
  return finding;
}

/** A journal belongs to the host whose listed key signed it, otherwise to the host that sent it first. */
export function judgeCopies(hosts: Gates['hosts'], chains: readonly Chain[]): readonly FleetFinding[] {
  const owners = new Map<string, Chain>();
  const order = ({ state: { host, signedSeq, beganMs } }: Chain) =>
    (signedSeq > 0 && hosts.get(host)?.key !== undefined ? 0 : 1e16) + (beganMs || 1e15);
  // If nothing else decides, the names do: the result must not depend on the order of reading.
  const byName = chains.toSorted((one, other) => (one.state.host < other.state.host ? -1 : 1));
  for (const chain of byName.toSorted((one, other) => order(one) - order(other)))
    if (!owners.has(chain.state.journal)) owners.set(chain.state.journal, chain);
  return chains.flatMap(({ state: { host, journal } }): readonly FleetFinding[] => {
    const owner = owners.get(journal)?.state.host;
    if (owner === host) return [];
    const text = `this is the journal of host ${owner}: one machine was copied, or somebody writes under a wrong name`;
    return [{ kind: 'forked', host, journal, text }];
  });
}

export function judgeNow(gates: Gates, nowMs: number): readonly FleetFinding[] {
  const findings: FleetFinding[] = [];
  for (const [host, { silentMs }] of gates.hosts) {
    const current = currentOf(gates.chains.get(host) ?? []);
    if (current === undefined || current.seen.seq === 0) {
      const what = current === undefined ? 'nothing' : 'no record';
      const text = `${what} came from it yet; look whether it has a receiver "store" in audit.ship, and "host: ${host}" there`;
      findings.push({ kind: 'never-seen', host, text });
      continue;
    }
    const { journal } = current.state;
    // Unproved lines may be a thief's: they do not show that the gate is alive. `unsignedOf` reports a gate that never signed.
    const { storedMs, seq } = current.state.seq > 0 ? current.state : current.seen;
    if (nowMs - storedMs > silentMs) {
      const time = formatTime(storedMs);
      const how = current.isStopped ? ' (its last record says that it was stopped)' : '';
      const text = `nothing came from it since ${time}${how}; look whether it runs, and reaches the store`;
      findings.push({ kind: 'silent', host, journal, seq, time, text });
    }
  }
  for (const chains of gates.chains.values()) {
    for (const chain of chains) findings.push(...judgeOpen(chain, gates.openMs, nowMs));
    const current = currentOf(chains);
    if (current !== undefined) findings.push(...judgeClock(current, gates.driftMs));
  }
  for (const [host, words] of compareGates(gates)) {
    const { journal } = currentOf(gates.chains.get(host) ?? [])?.state ?? {};
    const named = words.slice(0, shownMax).map(({ word, own, most }) => `${word} is ${own}, not ${most}`);
    const more = words.length > shownMax ? `, and ${words.length - shownMax} more` : '';
    const text = `it differs from most other hosts: ${named.join('; ')}${more}; install or configure what it lacks`;
    findings.push({ kind: 'differs', host, journal, text });
  }
  return findings;
}

/** `mirroredMs`: by host, everything stored before is in the mirror. `keepMs`: after that time the store drops a record; 0: never. */
export function judgeMirror(
  mirroredMs: ReadonlyMap<string, number>,
  keepMs: number,
  nowMs: number,
): readonly FleetFinding[] {
  return [...mirroredMs]
    .filter(([, ms]) => keepMs > 0 && nowMs - ms > keepMs / 2)
    .map(([host, ms]) => {
      const time = formatTime(ms);
      const until = formatTime(ms + keepMs);
      const text = `its records since ${time} are not in the mirror, and the store drops the first of them at ${until}: look whether its mirror is full (mirror_share), and let the store keep them for longer`;
      return { kind: 'not-mirrored', host, time, text } as const;
    });
}

const shownMax = 5;

function judgeOpen(chain: Chain, openMs: number, nowMs: number): readonly FleetFinding[] {
  const { host, journal, unfollowed } = chain.state;
  let count = 0;
  let oldest: { readonly seq: number; readonly storedMs: number } | undefined;
  // In the order of arrival.
  for (const one of chain.open.values()) {
    if (nowMs - one.storedMs <= openMs) break;
    oldest ??= one;
    count += 1;
  }
  if (oldest === undefined && unfollowed === 0) return [];
  const lost =
    unfollowed === 0
      ? ''
      : `; more than ${openMax} were open at once, and ${unfollowed} of them could not be followed`;
  const many = plural(count, 'exchange has no end', 'exchanges have no end');
  const first = oldest === undefined ? '' : `, the first is record ${oldest.seq}`;
  const text = `${many}${first}${lost}; look there with "dovegate audit search --outcome open"`;
  const time = oldest === undefined ? undefined : formatTime(oldest.storedMs);
  return [{ kind: 'open', host, journal, seq: oldest?.seq, time, text }];
}

/** Only a clock that is ahead: one behind looks like a late block, since blocks are stored some time after their records were written. */
function judgeClock(chain: Chain, driftMaxMs: number | undefined): readonly FleetFinding[] {
  const { driftMs, state } = chain;
  if (driftMs === undefined || driftMaxMs === undefined || driftMs <= driftMaxMs) return [];
  const { host, journal } = state;
  const text = `its clock is ${Math.round(driftMs / 1000)} s ahead of the store's; look at the time service of both`;
  return [{ kind: 'clock-apart', host, journal, ...timeOf(state.time), text }];
}

function compareGates(
  gates: Gates,
): ReadonlyMap<string, readonly { readonly word: string; readonly own: string; readonly most: string }[]> {
  const facts = new Map<string, ReadonlyMap<string, string>>();
  const votes = new Map<string, Map<string, number>>();
  for (const host of gates.hosts.keys()) {
    const current = currentOf(gates.chains.get(host) ?? []);
    if (current === undefined) continue;
    const own = factsOf(current);
    facts.set(host, own);
    for (const [word, value] of own) {
      const counts = votes.get(word) ?? new Map<string, number>();
      counts.set(value, (counts.get(value) ?? 0) + 1);
      votes.set(word, counts);
    }
  }
  const most = new Map<string, string>();
  for (const [word, counts] of votes) {
    const ranked = [...counts].toSorted(
      ([one, count], [other, others]) => others - count || (one < other ? -1 : 1),
    );
    if (ranked[0] !== undefined) most.set(word, ranked[0][0]);
  }
  const differing = new Map<string, { word: string; own: string; most: string }[]>();
  for (const [host, own] of facts) {
    const words = [...own]
      .map(([word, value]) => ({ word, own: value, most: most.get(word) ?? value }))
      .filter((one) => one.own !== one.most);
    if (words.length > 0) differing.set(host, words);
  }
  return differing;
}

function factsOf({ state, policies }: Chain): ReadonlyMap<string, string> {
  const facts = new Map<string, string>();
  if (state.program !== undefined) facts.set('program', state.program);
  if (state.catalog !== undefined) facts.set('catalog', state.catalog);
  for (const [name, version] of policies) facts.set(`policy ${name}`, version);
  return facts;
}

/** One row for each host, listed or not. `found`: all findings. */
export function rowsOf(gates: Gates, found: readonly FleetFinding[]): readonly GateRow[] {
  const differing = compareGates(gates);
  const hosts = new Set([...gates.hosts.keys(), ...gates.chains.keys()]);
  return [...hosts].toSorted().map((host) => {
    const current = currentOf(gates.chains.get(host) ?? []);
    const findings = found.filter((one) => one.host === host).length;
    const isKeyless = gates.hosts.get(host)?.key === undefined || undefined;
    if (current === undefined || current.seen.seq === 0)
      return { host, isKeyless, policies: {}, open: 0, findings, differs: [] };
    const { journal, hash, signedSeq, signedTime, time, program, catalog, unfollowed } = current.state;
    const { seq, storedMs } = current.seen;
    return {
      host,
      isKeyless,
      journal,
      seq,
      hash,
      signedSeq: signedSeq === 0 ? undefined : signedSeq,
      signedTime,
      lastSeen: formatTime(storedMs),
      lastTime: timeOf(time).time,
      driftMs: current.driftMs,
      waitMs: current.state.waitMs,
      program,
      catalog,
      policies: Object.fromEntries(current.policies),
      open: current.open.size + unfollowed,
      findings,
      differs: (differing.get(host) ?? []).map(({ word }) => word),
    };
  });
}

const lockedMs = 7 * 86_400_000;

/** Locks of the last 7 days that are in force on some listed host. */
export function locksOf({ hosts, chains }: Gates, nowMs: number): readonly FleetLock[] {
  const found = new Map<string, Map<string, number>>();
  for (const host of hosts.keys()) {
    for (const [, target, atMs] of currentOf(chains.get(host) ?? [])?.state.locks ?? []) {
      if (nowMs - atMs > lockedMs) continue;
      const on = found.get(target) ?? new Map<string, number>();
      found.set(target, on.set(host, Math.max(atMs, on.get(host) ?? 0)));
    }
  }
  return [...found].map(([target, on]) => ({
    target,
    since: formatTime(Math.max(...on.values())),
    on: on.size,
    lacking: [...hosts.keys()].filter((host) => !on.has(host)),
  }));
}

/** Checked for the form of a time, because it comes from a record. */
function timeOf(text: string): { readonly time?: string } {
  return parseTime(text) === undefined ? {} : { time: text };
}
