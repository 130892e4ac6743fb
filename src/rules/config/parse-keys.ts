// Reads the keys of an HTTP listener: their names, hashes, validity and networks. One text is the key of one program only, so a repeated
// hash is an error. Also networks, which keys have like listeners.

import { describeEnd, type Key, type KeyHash, keyWarnMs, parseKeyHash } from '../keys/key.js';
import { parseInstant } from '../policy/policy.js';
import type { Cursor } from './cursor.js';
import type { RawKey, RawListener } from './listener-schema.js';

const dayMs = 86_400_000;
/** The number of people and backups with a key grows each year. */
const daysMax = 400;

/** All keys of the listener at `at`; faults are reported. `nowMs`: for warnings about their end; undefined: no warnings. */
export function parseKeys(raw: RawListener, at: Cursor, nowMs: number | undefined): Key[] {
  const seen = new Map<string, string>();
  return Object.entries(raw.keys).map(([name, each]) => {
    const here = at.down('keys', name);
    if (Object.hasOwn(raw.accounts, name))
      here.error([], `is the name of an account of this listener already`, 'defined-twice');
    const key: Key = {
      name,
      policy: each.policy,
      hashes: hashesOf(name, each, here, { seen, nowMs }),
      expiresMs: instantAt(here, ['expires'], each.expires),
      from: each.from,
      ...(each.ownerReports && { ownerReports: true }),
    };
    if (nowMs !== undefined) warnOfEnd(key, here, nowMs);
    return key;
  });
}

/** `seen`: the owners of earlier hashes on this listener. */
function hashesOf(
  name: string,
  { hash }: RawKey,
  at: Cursor,
  { seen, nowMs }: { readonly seen: Map<string, string>; readonly nowMs: number | undefined },
): KeyHash[] {
  const isList = at.kind('hash') === 'list';
  return hash.flatMap(({ hash: text, until }, index) => {
    const path = isList ? ['hash', index, 'hash'] : ['hash'];
    const untilPath = ['hash', index, 'until'];
    const parsed = parseKeyHash(text);
    const untilMs = instantAt(at, untilPath, until);
    if (typeof parsed === 'string') {
      at.error(path, parsed);
      return [];
    }
    const { sha256 } = parsed;
    const whose = seen.get(sha256);
    if (whose !== undefined) {
      const message = whose === name ? 'is in this list already' : `is the hash of key ${whose} already`;
      at.error(path, message, 'defined-twice');
    }
    seen.set(sha256, whose ?? name);
    if (untilMs !== undefined && nowMs !== undefined && untilMs <= nowMs)
      at.warning(untilPath, 'is in the past: this hash is refused, and can be removed', 'key-expiry');
    return [{ sha256, untilMs }];
  });
}

function instantAt(
  at: Cursor,
  path: readonly PropertyKey[],
  written: string | undefined,
): number | undefined {
  if (written === undefined) return undefined;
  const ms = parseInstant(written);
  if (ms === undefined) at.error(path, 'must be a day as 2027-06-30, or a time as 2027-06-30T18:00:00Z');
  return ms;
}

/** A key that has expired is refused, and no error: the daemon must start without it. */
function warnOfEnd({ expiresMs }: Key, at: Cursor, nowMs: number): void {
  if (expiresMs === undefined) {
    // An unreadable `expires` is reported already.
    if (!at.has('expires'))
      at.warning([], 'never expires; add expires: DATE, within a year or so', 'key-expiry');
    return;
  }
  const leftMs = expiresMs - nowMs;
  const path = ['expires'];
  if (leftMs <= 0) at.warning(path, 'is in the past: the key is refused', 'key-expiry');
  else if (leftMs < keyWarnMs)
    at.warning(path, `the key ${describeEnd(leftMs)}; add the hash of its successor`, 'key-expiry');
  else if (leftMs > daysMax * dayMs)
    at.warning(path, `is more than ${daysMax} days away; a key should be replaced before`, 'key-expiry');
}
