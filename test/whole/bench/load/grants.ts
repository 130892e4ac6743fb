// Live grants for a measurement: a journal that the program's own writer has written and signed, from which a daemon starts. Requests and
// approvals over sockets would take an hour, since a principal may ask ten times a minute. And a journal of many segments before it, of
// which a start reads only the names.

import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createUlidSource } from '../../../../src/gate/daemon/ulid.js';
import { formatTime } from '../../../../src/host/words/instants.js';
import { encodeBody } from '../../../../src/journal/records/encode.js';
import { Ledger } from '../../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../../src/journal/records/record.js';
import { type Place, type Run, startRun, stop, write } from '../../../journal/files/forged-run.js';
import { approved, granted, requested } from '../../../kit/plain/access-records.js';
import { settingsOf, withPolicies } from '../../../rules/config/sound.js';
import { exchange } from './journal.js';

export const segmentBytes = 64 << 20;
const hour = 3_600_000;
const journal = 'ab'.repeat(16);
/** Records that one write of the writer takes: they must fit in its ring. */
const batch = 100;

/** What may be asked for at the listener `desk`, as YAML. */
const onRequest = 'on_request: [{ command: search, content: true, scope: user, for: 12h }]';

/** The policies of the requesters and of the approvers, and who they are: lines of a configuration's end of `policies`. */
export function accessPolicies(allow = 'quota get'): string {
  return `  desk:
    users: ["*@example.org"]
    allow: [${allow}]
    ${onRequest}
  leads:
    users: ["*@example.org"]
    allow: [quota get]
    approve: [desk]
persons:
  carol: { users: [carol] }`;
}

/** The hash of that rule, to which a grant is bound. */
function ruleHash(): string {
  const settings = settingsOf(
    withPolicies(`  support:\n    users: ["*@example.org"]\n    allow: [quota get]\n    ${onRequest}
  leads: { users: ["*@example.org"], allow: [quota get], approve: [support] }
`)
      .replace('listeners: {', 'listeners: { leads: { unix: /run/dovegate/leads.sock, policy: leads },')
      .concat('persons: { carol: { users: [carol] } }\naudit: { sign_key: /etc/k.pem }\n'),
  );
  const [rule] = settings.policies.get('support')?.onRequest ?? [];
  if (rule === undefined) throw new Error('the policy has no rule of on_request');
  return rule.hash;
}

/** `count` grants for 12 hours, `own` of them those of `owner`, and each other one that of a principal of its own. */
export function grantsOf(
  count: number,
  time: number,
  { owner, own }: { readonly owner: string; readonly own: number },
): readonly AuditRecord[] {
  const rule = ruleHash();
  return Array.from({ length: count }, (_, at): AuditRecord[] => {
    const id = `G${String(at).padStart(25, '0')}`;
    const to = at < own ? owner : `agent${at}@desk`;
    const user = `user${at}@example.org`;
    const terms = { command: 'search', user, users: [user], uses: undefined, scope: 'user' } as const;
    const asked = {
      ...terms,
      listener: 'desk',
      principal: to,
      policy: 'desk',
      args: ['mailbox', 'INBOX', 'all'],
      duration_ms: 12 * hour,
      bound: { rule },
    };
    const until = formatTime(time + 12 * hour);
    return [
      requested(id, time, asked),
      approved(id, time, { ...terms, to }),
      granted(id, time, { ...terms, to, until, duration_ms: 12 * hour }),
    ];
  }).flat();
}

/** The folders of a daemon's journal and `state`, with an orderly stop behind these records. */
export function writeRun(place: Place, secretPem: string, fill: (run: Run) => void): void {
  mkdirSync(place.state, { recursive: true, mode: 0o700 });
  const run = startRun(place, { secretPem, segmentBytes });
  fill(run);
  stop(run);
}

export function writeAll(run: Run, records: readonly AuditRecord[]): void {
  for (let at = 0; at < records.length; at += batch) write(run, ...records.slice(at, at + batch));
}

/** Exchanges of a busy gate, until `isEnough`; one in ten is under a grant. */
export function writeExchanges(run: Run, grants: number, isEnough: () => boolean): void {
  const nextId = createUlidSource();
  for (let count = 0; !isEnough(); count += batch / 2) {
    const time = Date.now();
    const records = Array.from({ length: batch / 2 }, (_, at) => {
      const grant = `G${String((count + at) % Math.max(1, grants)).padStart(25, '0')}`;
      const isUnder = grants > 0 && at % 10 === 0;
      return exchange(count + at, time, nextId(time, randomBytes(10))).map((record) =>
        isUnder ? { ...record, grant } : record,
      );
    });
    write(run, ...records.flat());
  }
}

/**
 * A signed journal of so many segments of 64 MiB, as names and sizes have it: each begins with the record that a daemon writes there, and
 * then is a hole, which takes no space. The last one has its first record only, so a daemon goes on in it.
 */
export function makeHollow(directory: string, segments: number, secretPem: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const ledger = new Ledger('dovegate bench', secretPem, journal);
  const time = Date.now();
  const nameOf = (number: number): string => `${String(number).padStart(8, '0')}.jsonl`;
  let line = ledger.seal(encodeBody({ time, event: 'start', journal, format: 1, program: 'dovegate bench' }));
  for (let number = 1; number <= segments; number += 1) {
    const descriptor = openSync(join(directory, nameOf(number)), 'wx', 0o600);
    if (number > 1)
      line = ledger.sealSigned({ ...ledger.checkpoint(time), ...ledger.beginSegment(nameOf(number - 1)) });
    writeSync(descriptor, line);
    if (number < segments) ftruncateSync(descriptor, segmentBytes);
    closeSync(descriptor);
  }
  writeFileSync(join(directory, 'checkpoint.json'), line, { mode: 0o600 });
}
