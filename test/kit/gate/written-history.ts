// A journal of some days as the engine, the outages, the operators and the writer of segments leave it, by chance: outages, full disks,
// stops of days, kills, break-glass, locks, drains, reloads, hostile names. Only sockets, clocks and threads are not the real ones.

import { strict as assert } from 'node:assert';
import { closeSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { RunningExchange } from '../../../src/gate/command/overdue.js';
import { makeNow } from '../../../src/gate/daemon/now-source.js';
import { NowWatch } from '../../../src/gate/daemon/now-watch.js';
import { Acknowledged, createAct } from '../../../src/gate/daemon/operator.js';
import { createOutages } from '../../../src/gate/daemon/outages.js';
import { faultNow } from '../../../src/gate/daemon/running.js';
import type { DoorNow, MadeNow } from '../../../src/gate/door/door.js';
import type { Running } from '../../../src/gate/now/running.js';
import { type CountedExchanges, createMetrics } from '../../../src/gate/telemetry/metrics.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import { carryOutSlowly } from '../../../src/journal/files/keeper.js';
import { formatRing, RingReader, RingWriter } from '../../../src/journal/files/ring.js';
import { createWriter } from '../../../src/journal/files/writer.js';
import { encodeRecord } from '../../../src/journal/records/encode.js';
import type { AuditRecord, RecordRoom } from '../../../src/journal/records/record.js';
import { troubleOf } from '../../../src/page/trouble-words.js';
import { policyListOf } from '../../../src/rules/config/policy-list.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { noHuman } from '../../../src/rules/identity/human.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { settle } from '../plain/fake-clock.js';
import { replyPacket } from './memory-backend.js';
import {
  type MemoryClient,
  type MemoryEngine,
  type MemoryEngineOptions,
  openMemoryEngine,
} from './memory-engine.js';
import { backend as backendOf, healthy } from './running.js';

export interface WrittenHistory {
  readonly directory: string;
  /** What metrics counted in each run, the first one first. */
  readonly counted: readonly CountedExchanges[];
  /** What the page got for Now at the end of the last run, from its JSON. */
  readonly now: MadeNow['now'];
  readonly endMs: number;
}

const notAsked = (): never => assert.fail('not asked');

/** At least 0, less than 1. */
export type Chance = () => number;

const people: Readonly<Record<string, number>> = {
  anna: 1001,
  bob: 1002,
  'eve 7': 1003,
  'requester=zoe 9': 1004,
  '","event":"start","x":"': 1005,
};
const mailUsers = ['alice@example.org', 'bob@other.org', 'boss@example.org', 'zoë@nowhere.net'];
const commands = [
  ['quota get'],
  ['mailbox list'],
  ['expunge', 'mailbox', 'INBOX', 'all'],
  ['mailbox subscribe', 'a","event":"stop"'],
  ['search', 'mailbox', 'INBOX', 'subject', '\\"failed'],
  ['no such'],
] as const;
const answers = ['\n+\n', '\n+\n', '\n+\n', '\n-NOUSER\n', '\n-TEMPFAIL\n', '1\t\n-NOTFOUND\n', 'broken'];

function settingsText(chance: Chance): string {
  const some = [
    'quota get',
    '{ command: mailbox list, limit: 3/hour }',
    'expunge',
    'mailbox subscribe',
  ].filter(() => chance() < 0.7);
  const always = ['{ command: search, content: true }', '{ command: quota recalc, all_users: true }'];
  const allow = [...always, ...some].join(', ');
  // Only then are commands for all users permitted.
  const isForAll = chance() < 0.4;
  const users = isForAll ? '"*"' : '"*@example.org", "*@other.org"';
  const except = !isForAll && chance() < 0.5 ? '\n    except: ["boss@example.org"]' : '';
  const deny = chance() < 0.3 ? '\n    deny: [expunge]' : '';
  return `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support, sessions: 90 } }
backends:
  mail1: { address: "unix:/run/mail1/doveadm-server", connections: 4, shared_namespaces: [] }
  mail2: { address: "unix:/run/mail2/doveadm-server", connections: 4, shared_namespaces: [] }
routes: [{ users: ["*@example.org"], backend: mail1 }, { users: ["*@other.org"], backend: mail2 }]
audit: { sign_key: /etc/dovegate/sign.key }
persons: { anna: { users: [anna] }, bob: { users: [bob] } }
policies:
  support:
    users: [${users}]${except}${deny}
    allow: [${allow}]
    on_request: [{ command: mailbox status, approvals: 0, for: 1h, uses: 20 }]
    approve: [support]
`;
}

export async function writeHistory(directory: string, chance: Chance): Promise<WrittenHistory> {
  mkdirSync(directory);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(chance() * list.length)] ?? assert.fail();
  const ms = (from: number, to: number): number => Math.floor(from + chance() * (to - from));
  const drained = new Map<string, { readonly by: string; readonly since: string }>();
  const counted: CountedExchanges[] = [];
  let atEnd: WrittenHistory['now'] | undefined;
  let wallMs = Date.UTC(2026, 9, 20) + ms(0, 86_400_000);
  let text = settingsText(chance);
  // Commands for all users are of Dovecot 2.4.
  const minor = chance() < 0.5 ? 2 : 4;
  let was: string | undefined;

  for (let run = 0, runs = ms(2, 6); run < runs; run += 1) {
    if (chance() < 0.3) text = settingsText(chance);
    counted.push(await oneRun(run === runs - 1));
    wallMs += pick([ms(100, 5_000), ms(5_000, 600_000), ms(3_600_000, 3 * 86_400_000)]);
  }
  closeLeft(directory);
  const names = readdirSync(directory).filter((name) => /^\d+\.jsonl$/.test(name));
  const isCompressed = chance() < 0.5;
  for (const name of isCompressed ? names.toSorted().slice(0, -2) : [])
    assert.equal(carryOutSlowly(directory, { do: 'compress', name }).kind, 'done');
  assert.ok(atEnd);
  return { directory, counted, now: atEnd, endMs: wallMs };

  async function oneRun(isLast: boolean): Promise<CountedExchanges> {
    const listed = policyListOf(openMemoryEngine({ settings: text }).settings);
    const writer = createWriter(
      {
        directory,
        segmentBytes: 48 << 10,
        program: 'dovegate test',
        catalog: '',
        signKey: undefined,
        reserveBytes: 0,
        memory: { path: undefined, bytes: 1 << 20 },
        policies: listed.hash,
      },
      'ab'.repeat(16),
    );
    const locked = writer.carryOut({ do: 'open', lock: undefined, wallMs });
    assert.ok(locked.kind === 'lock', JSON.stringify(locked));
    const opened = writer.carryOut({ do: 'open', lock: locked.descriptor, wallMs });
    assert.ok(opened.kind === 'opened', JSON.stringify(opened));
    const memory = new SharedArrayBuffer(1 << 20);
    formatRing(new Uint8Array(memory), { bytes: 1 << 20, journal: opened.found.journal, generation: 0n });
    const [ring, reader] = [new RingWriter(memory, 0n), new RingReader(memory, 0n)];
    writer.attach(reader);
    const found: AuditRecord[] = [...opened.found.access.records];
    /** While nothing reaches the disk. */
    let kept: [AuditRecord, RecordRoom | undefined][] | undefined;
    const append = (record: AuditRecord, room?: RecordRoom): undefined => {
      if (kept !== undefined) {
        kept.push([record, room]);
        return undefined;
      }
      if (record.event === 'access' || record.event === 'lock') found.push(record);
      assert.ok(ring.publish(encodeRecord(record, room), 1 << 20));
      return undefined;
    };
    const open = (): MemoryEngine =>
      openEngine({
        found: found.slice(),
        onRecord: ({ record, room }) => append(record, room),
        onEvent(event) {
          outages.observe(event);
          metrics.observe(event);
          watch.observe(event);
        },
      });
    let engine = open();
    keepPolicies(engine.settings);
    was = listed.hash;

    let clients = new Map<string, MemoryClient>();
    let passedMs = 0;
    const clock = {
      now: () => engine.clock.now() + passedMs,
      wallMs: () => engine.clock.wallMs(),
      nextTurn: () => engine.clock.nextTurn(),
      setTimer: (after: number, fire: () => void) => engine.clock.setTimer(after, fire),
    };
    const watch = new NowWatch(clock);
    const outages = createOutages(clock);
    outages.recordIn(
      { space: 'normal', append },
      {
        whyDown: (backend) => `${backend}: connection refused`,
        running: () =>
          engine.service.running().map((each) => ({ ...Object(each) }) satisfies RunningExchange),
      },
    );
    const metrics = createMetrics({
      commands: new Set<string>(),
      snapshot: notAsked,
      onError: notAsked,
    });
    const flush = (): void => {
      const flushed = writer.flush(ring.head, 0);
      assert.ok(flushed === undefined || !('kind' in flushed) || flushed.kind === 'written');
      ring.tail = ring.head;
    };
    const pass = async (by: number): Promise<void> => {
      await engine.clock.advance(by);
      flush();
    };
    const act = createAct({
      clock,
      log: { report: () => undefined },
      journal: {
        async appendDurable(record) {
          if (kept !== undefined) throw new JournalFault('write-failed', 'no disk');
          append(record);
        },
      },
      service: { find: (id) => engine.service.find(id), kill: (id) => engine.service.kill(id) },
      pools: {
        byName: new Map([['mail1', {}]]),
        applyDrains: () => engine.pool.setDrained(drained.has('mail1')),
      },
      served: { now: { settings: engine.settings, persons: new Persons(new Map()) } },
      drained: {
        find: (name) => drained.get(name),
        put: (name, value) => void (value === undefined ? drained.delete(name) : drained.set(name, value)),
      },
      reloader: {
        async reload({ by, peer, deed }) {
          const none = { atMs: clock.wallMs(), hash: '', problems: [], restart: [] };
          if (chance() < 0.2)
            return { ...none, isSuccess: false, problems: ['dovegate.yaml:3: no such key'] };
          text = settingsText(chance);
          passedMs = clock.now();
          wallMs = clock.wallMs();
          engine = open();
          passedMs -= engine.clock.now();
          clients = new Map();
          keepPolicies(engine.settings);
          const { hash } = policyListOf(engine.settings);
          append({ time: wallMs, event: 'reload', policies: hash, was, by, peer, deed });
          was = hash;
          return { ...none, isSuccess: true };
        },
      },
      access: { end: notAsked },
      users: { moved: [], confirm: notAsked },
      outages,
      acknowledged: new Acknowledged(),
      seenPolicies: { whyNot: () => undefined, take: () => false, changedBy: () => undefined },
    });
    const operator = (by: string) => ({ by, human: noHuman });
    engine.pool.setDrained(drained.has('mail1'));

    const send = async (who: string, line: string): Promise<void> => {
      let client = clients.get(who);
      if (client === undefined || client.peer.isEnded) {
        const uid = people[who];
        client = await engine.client(2, { uid, user: who, loginUid: uid });
        clients.set(who, client);
      }
      await client.line(line);
      await settle();
    };
    const command = (): Promise<void> => {
      engine.setAnswer(() => {
        const answer = pick(answers);
        engine.clock.advanceNow(ms(1, 900));
        return answer === 'broken' ? Buffer.from('\0\0\0\xffnonsense') : replyPacket(answer);
      });
      const line = chance() < 0.1 ? '||quota recalc|-A' : `|${pick(mailUsers)}|${pick(commands).join('|')}`;
      return send(pick(Object.keys(people)), line);
    };
    const setAway = async (isAway: boolean): Promise<void> => {
      engine.dialler.setAnswer(isAway ? 'refuse' : 'accept');
      if (isAway) for (const { peer } of engine.dialler.open) peer.end();
      await pass(isAway ? ms(0, 3_000) : 12_000);
    };
    const hang = async (): Promise<void> => {
      engine.setAnswer(() => undefined);
      clients.clear();
      await send(pick(Object.keys(people)), `|${pick(mailUsers)}|${pick(commands).join('|')}`);
      await pass(ms(1_000, 9_000));
    };
    let [isAway, space] = [false, 'normal' as 'normal' | 'reserve'];
    const doings: readonly (() => unknown)[] = [
      async () => {
        isAway = !isAway;
        await setAway(isAway);
      },
      () => {
        space = space === 'normal' ? 'reserve' : 'normal';
        engine.setSpace(space);
        outages.observeJournal({ kind: 'space', space, why: 'full' });
      },
      () => {
        if (kept === undefined) {
          outages.observeJournal({ kind: 'failed', fault: new JournalFault('write-failed', 'no disk') });
          kept = [];
          engine.setJournal('refuse');
          return;
        }
        const waiting = kept;
        kept = undefined;
        engine.setJournal('take');
        for (const [record, room] of waiting) append(record, room);
        outages.observeJournal({ kind: 'writable' });
      },
      () => act({ kind: drained.has('mail1') ? 'enable' : 'drain', backend: 'mail1' }, operator('carol')),
      async () => {
        await hang();
        const [running] = engine.service.running();
        if (running !== undefined) await act({ kind: 'kill', id: running.id }, operator('carol'));
        await pass(100);
        engine.service.abort();
        await pass(100);
      },
      async () => {
        if (isAway || kept !== undefined || space !== 'normal') return;
        flush();
        await act({ kind: 'reload' }, operator('carol'));
        engine.pool.setDrained(drained.has('mail1'));
      },
      async () => {
        const { locks: now } = engine.exchanges.access;
        const [lock] = now.entries;
        if (lock !== undefined && chance() < 0.5) {
          // Meanwhile there is a reason not to lift it.
          const whyNot = [undefined, chance() < 0.3 ? { text: 'a name is unknown' } : undefined];
          return now.lift(lock, { by: 'root', reason: 'found' }, () => whyNot.shift());
        }
        const of = pick([
          { to: 'eve 7', identities: ['uid:1003'] },
          { user: 'alice@example.org', isHold: true },
          { backend: 'mail2' },
        ]);
        now.lock({ by: 'root', reason: 'stolen', forMs: pick([4_000, 3_600_000]), ...of }, 16, () => 0);
        return undefined;
      },
      async () => {
        // More than a burst has records of.
        const name = pick(['no such', 'no such', 'quota get']);
        engine.setAnswer(() => replyPacket('\n+\n'));
        for (let count = 0; count < 115; count += 1) await send('bob', `|${pick(mailUsers)}|${name}`);
        await pass(ms(2_000, 20_000));
      },
      async () => {
        const user = pick(mailUsers.slice(0, 2));
        await send(
          'anna',
          `||dovegate request|-u|${user}|--reason|a","fire|--|mailbox status|messages|INBOX`,
        );
        await send('anna', `|${user}|mailbox status|messages|INBOX`);
      },
    ];
    for (let step = 0, steps = ms(4, 40); step < steps; step += 1) {
      if (chance() < 0.3) await pick(doings)();
      else await command();
      flush();
      await pass(pick([ms(0, 50), ms(50, 8_000), ms(8_000, 90_000)]));
    }
    const isKilled = !isLast && chance() < 0.4;
    if (isKilled && kept === undefined) await hang();
    flush();
    atEnd = nowAsJson();
    watch.end();
    if (!isKilled) {
      if (kept === undefined) {
        outages.end();
        flush();
        wallMs = clock.wallMs();
        if (!isLast || chance() < 0.5) writer.carryOut({ do: 'stop', behind: ring.head, wallMs });
      }
    }
    wallMs = clock.wallMs();
    return metrics.exchanges;

    function nowAsJson(): MadeNow['now'] {
      const { locks } = engine.exchanges.access;
      const running: Running = {
        ...healthy,
        atMs: clock.wallMs(),
        backends: [...engine.pools].map(([name, pool]) => {
          const { fault, isNewer: _, ...now } = pool.snapshot();
          const by = drained.get(name);
          return backendOf(name, {
            ...now,
            fault: faultNow(fault),
            drained: by === undefined ? [] : [by],
            lost: outages.lost(name),
            refused: outages.refused(name).count,
            refusedPerSecond: outages.refusedPerSecond(name),
          });
        }),
        routes: ['mail1', 'mail2'].map((name) => ({ place: 'dovegate.yaml:6', backends: [name] })),
        journal: { ...healthy.journal, state: kept === undefined ? 'writable' : 'failed', space },
        locks: locks.entries.map((lock) => locks.shown(lock)),
        exchanges: engine.service.running(),
      };
      const now: DoorNow['now'] = JSON.parse(JSON.stringify(makeNow(running, watch, clock.now()).now));
      return { ...now, troubles: now.troubles.map(troubleOf) };
    }

    function keepPolicies(settings: Settings): void {
      const list = policyListOf(settings);
      const texts = [...settings.policies.values()].map(({ version, effectiveText }) => [
        version,
        effectiveText,
      ]);
      for (const [version = '', policy = ''] of [...texts, [list.hash, list.text]])
        writer.carryOut({ do: 'keep-policy', behind: 0, version, text: policy });
    }
  }

  function openEngine(more: MemoryEngineOptions): MemoryEngine {
    const engine = openMemoryEngine({ settings: text, uids: people, minor, ...more });
    engine.clock.leap(wallMs - engine.clock.wallMs());
    return engine;
  }
}

/** What runs that were killed have left open. */
function closeLeft(directory: string): void {
  for (const descriptor of readdirSync('/proc/self/fd'))
    try {
      if (readlinkSync(join('/proc/self/fd', descriptor)).startsWith(directory))
        closeSync(Number(descriptor));
    } catch {
      // Of the listing itself.
    }
}
