// What goes wrong on purpose in a simulated fleet: one fault a host, and what a verifier must say of that host, no more and no less. A
// thief has the credentials of the host's gate and its disk; the administrator of the server may do all that the server permits.

import { join } from 'node:path';
import { formatHead, hostStreamOf, subjectOf } from '../../../../src/evidence/fleet/block.js';
import type { FleetFindingKind } from '../../../../src/evidence/fleet/shapes.js';
import { openNats } from '../../../../src/evidence/nats/link.js';
import { encodeBody } from '../../../../src/journal/records/encode.js';
import { sealLine } from '../../../../src/journal/records/ledger.js';
import { makeSignKey } from '../../../../src/rules/keys/sign-key.js';
import type { Nats } from '../../../kit/gate/nats.js';
import { until } from '../../../kit/plain/until.js';
import { hashOf, rewritten, seqOf } from '../hand-journal.js';
import { type GateOptions, SimulatedGate } from './gate.js';

export interface Stage {
  readonly nats: Nats;
  readonly stream: string;
  readonly hourMs: number;
  /** A host on which nothing goes wrong. */
  readonly other: SimulatedGate;
  /** Resolves when the watch has read all that the host has sent. */
  readonly untilRead: (gate: SimulatedGate) => Promise<void>;
  /** Ends with the simulation. */
  readonly keep: (gate: SimulatedGate) => void;
}

/** Records after it are not the host's own: the mirror is compared up to there. */
interface Planted {
  readonly honestSeq?: number;
}

export interface Fault {
  readonly name: string;
  /** All kinds of findings that the host has at the end. */
  readonly kinds: readonly FleetFindingKind[];
  /** Others that a watch may see, and see end. */
  readonly passing?: readonly FleetFindingKind[];
  /** How its gate is, from the beginning. */
  readonly gate?: (stage: Pick<Stage, 'hourMs'>) => Partial<GateOptions>;
  readonly listed?: 'without-key' | 'soon-silent' | 'not';
  /** It never sends anything. */
  readonly isAbsent?: boolean;
  /** After the load: the verifier reads much again for it. */
  readonly isLate?: boolean;
  readonly plant?: (gate: SimulatedGate, stage: Stage) => Promise<Planted | void>;
}

interface Block {
  readonly headers: readonly (readonly [string, string])[];
  readonly bytes: Buffer;
  /** Default: the chain's own. */
  readonly subject?: string;
}

type Make = (lines: readonly string[], gate: SimulatedGate, stage: Stage) => readonly Block[];

function blockOf({ journal }: Pick<SimulatedGate, 'journal'>, lines: readonly string[]): Block {
  const [first, last] = [lines[0], lines.at(-1)];
  const head = { kind: 'block', first: seqOf(first), last: seqOf(last), head: hashOf(last) } as const;
  return { headers: formatHead(journal, head), bytes: Buffer.from(lines.join('')) };
}

const anyId = ([name]: readonly [string, string]): boolean => name !== 'Nats-Msg-Id';

/** The gate is stopped from sending; the thief sends its next lines, changed. */
function forged(make: Make): NonNullable<Fault['plant']> {
  return async (gate, stage) => {
    gate.isOut = true;
    await gate.park();
    const honestSeq = gate.seq;
    gate.work(4);
    gate.checkpoint();
    const lines = gate.lines().slice(honestSeq);
    const link = await openNats(gate.options.link);
    const own = subjectOf(gate.host, gate.journal);
    const { name } = hostStreamOf(stage.stream, gate.host);
    for (const { subject = own, headers, bytes } of make(lines, gate, stage)) {
      const expected = (await link.lastOf(name, subject))?.streamSeq ?? 0;
      await link.publish(subject, headers, bytes, expected);
    }
    await link.close();
    return { honestSeq };
  };
}

const spliced = (lines: readonly string[], at: number, count: number, ...others: string[]): string[] =>
  lines.toSpliced(at, count, ...others);

const otherDomain = (text: string): string => text.replace('@example.org', '@example.net');

const copied = (gate: SimulatedGate, name: string): string =>
  join(gate.options.folder, `${gate.host}-${name}`);

async function changeStream(
  { nats, stream }: Stage,
  { host }: SimulatedGate,
  change: (config: Readonly<Record<string, unknown>>) => object,
): Promise<() => Promise<void>> {
  const { name } = hostStreamOf(stream, host);
  const { config } = await nats.api(`STREAM.INFO.${name}`);
  const update = async (wanted: object): Promise<void> => {
    const { error } = await nats.api(`STREAM.UPDATE.${name}`, wanted);
    if (error !== undefined) throw new Error(JSON.stringify(error));
  };
  await update({ ...Object(config), ...change(Object(config)) });
  return () => update(Object(config));
}

export const faults: readonly Fault[] = [
  {
    name: 'a byte of a record changed',
    kinds: ['changed'],
    plant: forged((lines, gate) => [blockOf(gate, spliced(lines, 2, 1, otherDomain(lines[2] ?? '')))]),
  },
  {
    name: 'a record changed, with a hash that fits',
    kinds: ['unlinked'],
    plant: forged((lines, gate) => [
      blockOf(gate, spliced(lines, 2, 1, rewritten(lines[2] ?? '', otherDomain))),
    ]),
  },
  {
    name: 'a record removed',
    kinds: ['missing'],
    // An admission: without its completion a command would be open, too.
    plant: forged((lines, gate) => [blockOf(gate, spliced(lines, 2, 1))]),
  },
  {
    name: 'a record inserted',
    kinds: ['forked', 'unlinked'],
    plant: forged((lines, gate) => {
      const body = encodeBody({ time: gate.nowMs, event: 'log', text: 'nothing happened here' });
      const { line } = sealLine(seqOf(lines[4]), body, hashOf(lines[3]));
      return [blockOf(gate, spliced(lines, 4, 0, line))];
    }),
  },
  {
    name: 'two records in another order',
    kinds: ['missing', 'repeated'],
    plant: forged((lines, gate) => [blockOf(gate, spliced(lines, 2, 2, lines[3] ?? '', lines[2] ?? ''))]),
  },
  {
    name: 'a block that never came',
    kinds: ['missing'],
    plant: forged((lines, gate) => [blockOf(gate, lines.slice(0, 2)), blockOf(gate, lines.slice(5))]),
  },
  {
    name: 'a block that came twice',
    kinds: ['repeated'],
    plant: forged((lines, gate) => {
      const again = blockOf(gate, lines.slice(2, 5));
      return [blockOf(gate, lines), { ...again, headers: again.headers.filter(anyId) }];
    }),
  },
  {
    name: 'a signature that is not right',
    kinds: ['bad-signature'],
    plant: forged((lines, gate) => {
      const last = rewritten(lines.at(-1) ?? '', (body) =>
        body.replace(/"signature":"..../, '"signature":"AAAA'),
      );
      return [blockOf(gate, [...lines.slice(0, -1), last])];
    }),
  },
  {
    name: 'a message that is no block',
    kinds: ['malformed'],
    plant: forged(() => [{ headers: [], bytes: Buffer.from('never was a record\n') }]),
  },
  {
    name: 'a message under a subject of no gate',
    kinds: ['malformed'],
    plant: forged((lines, gate) => [
      { ...blockOf(gate, lines), subject: `dovegate.audit.${gate.host}.elsewhere` },
    ]),
  },
  {
    name: "another host's journal under this name",
    kinds: ['forked', 'new-journal', 'untrusted'],
    plant: forged((_, gate, { other }) => [
      {
        ...blockOf(other, other.lines().slice(0, 2)),
        subject: subjectOf(gate.host, other.journal),
      },
    ]),
  },
  {
    name: "the host's own end cut off: a disk that was put back",
    kinds: ['cut-at-host'],
    async plant(gate) {
      gate.isOut = true;
      gate.checkpoint();
      await gate.shipped();
      const honestSeq = gate.seq;
      gate.copyTo(copied(gate, 'backup'));
      gate.work(10);
      await gate.shipped();
      await gate.crash();
      gate.restoreFrom(copied(gate, 'backup'));
      gate.open();
      await gate.ship();
      return { honestSeq };
    },
  },
  {
    name: 'two machines with one journal',
    kinds: ['forked'],
    async plant(gate, { keep }) {
      gate.isOut = true;
      gate.checkpoint();
      await gate.shipped();
      const honestSeq = gate.seq;
      gate.copyTo(copied(gate, 'twin'));
      gate.work(10);
      await gate.shipped();
      const twin = new SimulatedGate(gate.options, copied(gate, 'twin'));
      keep(twin);
      twin.open();
      twin.work(30);
      await twin.ship();
      gate.work(1);
      await until(() => gate.isForked && twin.isForked, `${gate.host} stops sending`);
      return { honestSeq };
    },
  },
  {
    name: 'a host that fell silent',
    kinds: ['silent'],
    listed: 'soon-silent',
    async plant(gate) {
      gate.isOut = true;
      await gate.shipped();
      await gate.crash();
    },
  },
  {
    name: 'a journal that was thrown away',
    kinds: ['new-journal'],
    async plant(gate) {
      gate.isOut = true;
      gate.checkpoint();
      await gate.stop();
      gate.putAway();
      gate.open();
      await gate.ship();
      gate.isOut = false;
    },
  },
  { name: 'signed by another key', kinds: ['untrusted'], gate: () => ({ signKey: makeSignKey() }) },
  { name: 'not signed at all', kinds: ['untrusted'], gate: () => ({ isSigned: false }) },
  {
    name: 'a command without an end',
    kinds: ['open'],
    plant(gate) {
      gate.leaveOpen();
      return Promise.resolve();
    },
  },
  {
    name: 'another version of a policy',
    kinds: ['differs'],
    gate: () => ({ version: 'cd'.repeat(32) }),
  },
  { name: 'another release', kinds: ['differs'], gate: () => ({ program: 'dovegate 0.9.0' }) },
  { name: 'another catalog', kinds: ['differs'], gate: () => ({ catalog: 'cb'.repeat(32) }) },
  {
    name: 'a clock that is apart',
    kinds: ['clock-apart'],
    gate: ({ hourMs }) => ({ aheadMs: hourMs }),
  },
  {
    name: 'commands appended to the journal of a stopped gate',
    kinds: ['journal-appended'],
    async plant(gate) {
      gate.isOut = true;
      await gate.stop();
      gate.forgeEnd();
      gate.open();
      await gate.ship();
      gate.isOut = false;
    },
  },
  { name: 'a host that is not listed', kinds: ['unknown-host'], listed: 'not' },
  { name: 'a listed host that never came', kinds: ['never-seen'], isAbsent: true },
  {
    name: 'a stream that keeps less than it must',
    kinds: ['weakened'],
    async plant(gate, stage) {
      await changeStream(stage, gate, ({ max_age: age }) => ({ max_age: Number(age) / 2 }));
    },
  },
  {
    name: 'a stream that was emptied',
    kinds: ['cut-in-stream'],
    passing: ['weakened', 'never-seen'],
    isLate: true,
    async plant(gate, stage) {
      gate.isOut = true;
      gate.checkpoint();
      await gate.park();
      await stage.untilRead(gate);
      const short = 200_000_000;
      const back = await changeStream(stage, gate, () => ({ max_age: short, duplicate_window: short }));
      const { name } = hostStreamOf(stage.stream, gate.host);
      await until(async () => {
        const { state } = await stage.nats.api(`STREAM.INFO.${name}`);
        return JSON.stringify(state).includes('"messages":0');
      }, `${name} is empty`);
      await back();
    },
  },
  {
    name: 'a stream that was removed and made again',
    kinds: ['stream-replaced'],
    passing: ['cut-in-stream', 'never-seen'],
    isLate: true,
    async plant(gate, stage) {
      gate.isOut = true;
      gate.checkpoint();
      await gate.shipped();
      await stage.untilRead(gate);
      const { name } = hostStreamOf(stage.stream, gate.host);
      const { config } = await stage.nats.api(`STREAM.INFO.${name}`);
      await stage.nats.api(`STREAM.DELETE.${name}`);
      const { error } = await stage.nats.api(`STREAM.CREATE.${name}`, config);
      if (error !== undefined) throw new Error(JSON.stringify(error));
      gate.work(1);
      gate.checkpoint();
      await gate.shipped();
    },
  },
];
