// Reads the keys of an HTTP listener. One text is the key of one program only, so a repeated hash is an error.

import { describeEnd, type Key, keyWarnMs } from '../keys/key.js';
import type { Cursor } from './cursor.js';
import type { RawListener } from './listener-schema.js';

const dayMs = 86_400_000;
/** Longest recommended life of a key: each year more people and backups have a copy. */
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
      hashes: each.hash,
      expiresMs: each.expiresMs,
      from: each.from,
      ...(each.ownerReports && { ownerReports: true }),
    };
    checkHashes(key, here, seen, nowMs);
    if (nowMs !== undefined) warnOfEnd(key, here, nowMs);
    return key;
  });
}

/** `seen`: the owners of earlier hashes on this listener. */
function checkHashes(
  { name, hashes }: Key,
  at: Cursor,
  seen: Map<string, string>,
  nowMs: number | undefined,
): void {
  const isList = at.kind('hash') === 'list';
  for (const [index, { sha256, untilMs }] of hashes.entries()) {
    const whose = seen.get(sha256);
    if (whose !== undefined) {
      const message = whose === name ? 'is in this list already' : `is the hash of key ${whose} already`;
      at.error(isList ? ['hash', index, 'hash'] : ['hash'], message, 'defined-twice');
    }
    seen.set(sha256, whose ?? name);
    if (untilMs !== undefined && nowMs !== undefined && untilMs <= nowMs) {
      const message = 'is in the past: this hash is refused, and can be removed';
      at.warning(['hash', index, 'until'], message, 'key-expiry');
    }
  }
}

/** An expired key is refused, but it is not an error: the daemon must start without it. */
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
