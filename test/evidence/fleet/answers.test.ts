// What is said of a store, as a whole: the sentences, the rows of the gates, and the state that is saved. answers/*.txt, which a person
// approved, has records as <SEQ>, and <SEQ'> where another one has the same number.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Findings } from '../../../src/evidence/fleet/findings.js';
import { Fleet, type FleetOptions } from '../../../src/evidence/fleet/fleet.js';
import type { ExpectedHead } from '../../../src/evidence/fleet/saved.js';
import { type FleetFinding, findingKinds } from '../../../src/evidence/fleet/shapes.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import {
  block,
  blocks,
  hashOf,
  legible,
  listed,
  mark,
  optionsOf,
  PaperGate,
  type PaperObject,
  renamed,
  started,
  takeAll,
  takeOne,
} from './paper-store.js';
import { edges, edgesOfHosts } from './tampered-edges.js';
import { at, makeGate, tamperings } from './tampering.js';

const file = (name: string): string => `test/evidence/fleet/answers/${name}.txt`;
const json = JSON.stringify;
const minuteMs = 60_000;

interface Saved {
  readonly chains: readonly object[];
  readonly keys: unknown;
  readonly awaited: unknown;
  readonly more: unknown;
  readonly findings: unknown;
  readonly log: object;
  readonly isReread: boolean;
}

function saved(fleet: Fleet): Saved {
  return JSON.parse(json(fleet.save()));
}

/** What the row of the gate does not have, without what is as usual. */
function brief(chain: object): unknown {
  const inRow = new Set([
    'host',
    'journal',
    'hash',
    'program',
    'catalog',
    'policies',
    'recent',
    'signedTime',
    'signedSeq',
    'time',
  ]);
  const isUsual = (value: unknown): boolean => value === 0 || value === false || json(value) === '[]';
  return Object.fromEntries(
    Object.entries(chain).filter(([name, value]) => !inRow.has(name) && !isUsual(value)),
  );
}

/** All that is said of a stream when it was taken. */
function report(fleet: Fleet, stream: readonly PaperObject[], nowMs = started + minuteMs): string {
  const news = stream.flatMap((one) => [...takeOne(fleet, one)]);
  const judged = fleet.judge(nowMs);
  const { gates } = fleet.status(nowMs);
  const { chains, keys, awaited, more } = saved(fleet);
  return legible(
    [
      `${fleet.records} records, ${fleet.faults} faults`,
      ...news
        .filter((one) => !judged.some((standing) => json(standing) === json(one)))
        .map((one) => `told at once: ${json(one)}`),
      ...listed(judged),
      ...gates.map((row) => `row ${json(row)}`),
      ...chains.map((chain) => `chain ${json(brief(chain))}`),
      ...Object.entries({ keys, awaited, more })
        .filter(([, all]) => json(all) !== '[]')
        .map(([name, all]) => `${name} ${json(all)}`),
    ].join('\n'),
    stream,
  );
}

for (const [name, all] of Object.entries({ findings: tamperings, edges, hosts: edgesOfHosts }))
  void test(`what is said of streams that somebody changed: ${name}`, () => {
    compareAnswers(
      file(name),
      Object.entries(all).map(([what, tampering]): Asked => {
        const given = typeof tampering === 'function' ? { tamper: tampering } : tampering;
        const { tamper, hosts, more } = given;
        return [what, () => report(new Fleet(optionsOf(hosts, more)), tamper())];
      }),
    );
  });

void test('each kind of finding is in the answers', () => {
  const text = ['findings', 'edges', 'hosts', 'places', 'logs']
    .map((name) => readFileSync(file(name), 'utf8'))
    .join('\n');
  assert.deepEqual(
    findingKinds.filter((kind) => !new RegExp(`^ +${kind} `, 'm').test(text)),
    // Those of the mirror are in mirror.test.ts.
    ['too-much', 'mirror-full', 'not-mirrored'],
  );
});

type Step = (fleet: Fleet) => Fleet | void;

const of =
  (objects: readonly PaperObject[]): Step =>
  (fleet) =>
    void takeAll(fleet, objects);

/** What is said after the steps. */
function reportAfter(steps: readonly Step[], more?: Partial<FleetOptions>): string {
  let fleet = new Fleet(optionsOf(undefined, more));
  for (const step of steps) fleet = step(fleet) ?? fleet;
  const { isReread } = saved(fleet);
  const heads = fleet.heads().map(({ host, seq, storedMs }) => [host, seq, storedMs]);
  return `${report(fleet, [])}\nread again ${json(isReread)}, heads ${json(heads)}`.replaceAll(
    /[0-9a-f]{64}/g,
    '<H>',
  );
}

void test('what is read again', () => {
  const gate = makeGate();
  const all = blocks(gate.lines);
  const later = (messages: readonly PaperObject[], ms = 1000): PaperObject[] =>
    messages.map((one) => ({ ...one, storedMs: started + ms }));
  const elsewhere = blocks(makeGate(undefined, 'ef'.repeat(16)).lines, 8, 'gate1', 'ef'.repeat(16));
  const head = { host: 'gate1', journal: gate.id, seq: 16, hash: gate.ledger.hash, storedMs: started };
  const again =
    (expected: readonly ExpectedHead[] = []): Step =>
    (fleet) =>
      fleet.rewind(expected);
  const restart: Step = (fleet) => new Fleet(optionsOf(), JSON.parse(json(fleet.save())));
  const judged: Step = (fleet) => void fleet.judge(started);
  const accepted: Step = (fleet) => void fleet.accept(started);
  const rows: Readonly<Record<string, readonly Step[]>> = {
    'what was taken comes again': [of(all), of(all)],
    'the beginning is gone': [of(all.slice(1))],
    'read again': [of(all), again()],
    'read again, and all is there': [of(all), again(), of(all)],
    'read again, and the end is gone': [of(all), again(), of(all.slice(0, 2))],
    'read again, over a restart': [of(all), again(), of(all.slice(0, 2)), restart, of(all.slice(2))],
    'read again: a later record than those that are missing': [
      of(all.slice(0, 2)),
      again(),
      of([at(all, 0), ...all.slice(2)]),
    ],
    'a head that was never read': [again([head])],
    'a head that was never read, and comes': [again([head]), of(all)],
    'a head that was never read, and is another record': [
      again([{ ...head, hash: 'e'.repeat(64) }]),
      of(all),
    ],
    'a head that was read': [of(all), again([{ ...head, seq: 12, hash: hashOf(gate.lines[11]) }]), of(all)],
    'a head of another host': [again([{ ...head, host: 'gate9' }])],
    'read again, and accepted at once': [of(all), again(), accepted, of(all.slice(0, 2))],
    'read again, judged and accepted': [of(all), again(), of(all.slice(0, 2)), judged, accepted],
    'missing, accepted, and it goes on': [of([at(all, 0), at(all, 2)]), accepted, of([at(all, 3)])],
    'only a mark': [of([mark(3, 'e'.repeat(64))])],
    'read again, and only a mark came, later than the records': [
      of(all),
      again(),
      of(later([mark(3, 'e'.repeat(64))])),
    ],
    'open, accepted in the present journal': [of([block([...openGate().lines])]), accepted],
    'open, accepted in an old journal': [
      of([block([...openGate().lines])]),
      of(elsewhere.map((one) => ({ ...one, storedMs: started + 5 }))),
      accepted,
    ],
  };
  const fresh = 82_800_000;
  const retained: typeof rows = {
    'the beginning is gone': [of(all.slice(1))],
    'the beginning is gone, and what is there is an hour old': [of(later(all.slice(1), fresh))],
    'read again, and it is gone': [of(all), again(), of(later(elsewhere, fresh))],
    'read again, and what is an hour old is gone': [
      of(later(all, fresh)),
      again(),
      of(later(elsewhere, fresh)),
    ],
    'read again, and the beginning is gone': [of(all.slice(0, 3)), again(), of(later(all.slice(3), 1000))],
  };
  const dropped = (): unknown => {
    const fleet = new Fleet(optionsOf());
    of(all)(fleet);
    fleet.rewind([]);
    of(all.slice(0, 2))(fleet);
    const others = Array.from({ length: bounds.fleetChains }, (_, number) =>
      number.toString(16).padStart(32, '0'),
    );
    of(later(others.map((id) => renamed(at(all, 0), { journal: id }))))(fleet);
    const missed = fleet.judge(started).filter(({ kind }) => kind === 'cut-in-store');
    return [fleet.heads().length, ...listed(missed)];
  };
  compareAnswers(file('places'), [
    ...Object.entries(rows).map(([what, steps]): Asked => [what, () => reportAfter(steps)]),
    ...Object.entries(retained).map(
      ([what, steps]): Asked => [
        `${what}, where the store keeps records for a day`,
        () => reportAfter(steps, { keepMs: 86_400_000, wallMs: () => started + 86_400_000 }),
      ],
    ),
    [
      'read again, and the journal is dropped for many others',
      () => json(dropped()).replaceAll(gate.id, '<J>'),
    ],
  ]);
});

/** A journal with an exchange that has no end. */
function openGate(): PaperGate {
  const gate = new PaperGate();
  gate.admit('OPEN');
  gate.checkpoint();
  return gate;
}

void test('findings that are kept, counted and accepted', () => {
  const finding = (
    seq: number,
    more: Partial<FleetFinding> & { readonly key?: string; readonly line?: string } = {},
  ) => ({
    kind: 'changed' as const,
    host: 'gate1',
    journal: 'J',
    seq,
    text: `text ${seq}`,
    ...more,
  });
  const max = bounds.fleetFindings;
  const state = (findings: Findings): string =>
    json({ ...findings.save(), standing: findings.standing(), accepted: findings.accepted() });
  const counted = (findings: Findings): string => {
    const { kept, more } = findings.save();
    return json({
      kept: kept.map(({ seq, acceptedMs }) => [seq, acceptedMs ?? '-']),
      more,
      last: findings.standing().at(-1)?.text ?? 'none',
    });
  };
  const full = (from = 1, count = max): Findings => {
    const findings = new Findings();
    for (let seq = from; seq < from + count; seq += 1) findings.add(finding(seq));
    return findings;
  };
  compareAnswers(
    file('kept'),
    Object.entries({
      'of two kinds and hosts': () => {
        const findings = new Findings();
        const added = [
          finding(1),
          finding(1),
          finding(2, { kind: 'forked' }),
          finding(3, { host: 'gate2', time: 'T', key: 'k', line: 'l' }),
        ].map((one) => findings.add(one));
        return `${json(added)}\n${state(findings)}`;
      },
      'just as many as are kept': () => counted(full()),
      more: () => counted(full(1, max + 2)),
      'more, and others that are proved': () => {
        const findings = full(1, max + 1);
        const proved = [1, 2, 2].map((seq) => findings.add({ ...finding(seq), isProved: true }));
        return `${json(proved)} ${counted(findings)} accepted ${findings.accept(5)} ${counted(findings)}`;
      },
      'more, of which some were accepted': () => {
        const findings = full();
        const count = findings.accept(5);
        const added = [50, 51].map((seq) => findings.add(finding(seq)));
        return `${count} ${json(added)} ${counted(findings)}\nagain ${findings.accept(6)} ${counted(findings)}`;
      },
      'more, all accepted': () => {
        const findings = full(1, max + 3);
        return `${findings.accept(5)} ${findings.accept(6)} ${counted(findings)}`;
      },
      'more of one key': () => {
        const findings = new Findings();
        findings.add(finding(1, { key: 'a' }));
        for (let seq = 2; seq <= max; seq += 1)
          findings.add(finding(seq, { key: seq % 2 === 0 ? 'b' : `c${seq}` }));
        const added = [100, 101].map((seq) => findings.add(finding(seq, { key: 'b' })));
        return `${json(added)} ${findings.add(finding(102, { key: 'd' }))} ${counted(findings)}`;
      },
      'accepted without being kept before': () => {
        const findings = full();
        findings.addAccepted(finding(60), 7);
        findings.addAccepted(finding(61, { kind: 'forked' }), 8);
        return `${counted(findings)}\n${json([findings.isAccepted(finding(60)), findings.isAccepted(finding(2)), findings.isAccepted(finding(1)), findings.isAccepted(finding(9, { host: 'x' }))])}`;
      },
      'known and accepted': () => {
        const findings = new Findings();
        findings.add(finding(1));
        const known = [
          finding(1),
          finding(2),
          finding(1, { journal: 'K' }),
          finding(1, { kind: 'forked' }),
          finding(1, { text: 'other' }),
        ];
        const before = known.map((one) => [findings.isKnown(one), findings.isAccepted(one)]);
        findings.accept(5);
        return json([before, known.map((one) => [findings.isKnown(one), findings.isAccepted(one)])]);
      },
      'of what is read again': () => {
        const findings = new Findings();
        findings.add(finding(1));
        findings.add(finding(2, { kind: 'missing' }));
        findings.add(finding(5, { kind: 'untrusted', key: 'k' }));
        findings.isReread = true;
        const again = [
          finding(1),
          finding(1, { text: 'other' }),
          finding(1, { journal: 'K' }),
          finding(2, { kind: 'missing' }),
          finding(2, { kind: 'missing', text: 'more' }),
          finding(4, { kind: 'untrusted', key: 'k', journal: 'K' }),
          finding(5, { kind: 'untrusted', key: 'k', journal: 'K' }),
          finding(6, { kind: 'untrusted', key: 'k' }),
          finding(5, { kind: 'untrusted', key: 'l', journal: 'K' }),
        ].map((one) => findings.add(one));
        return json(again);
      },
      'of lines of a file': () => {
        const findings = new Findings();
        const { seq: _, ...none } = finding(0, { line: 'a' });
        const added = [
          none,
          none,
          finding(0, { line: 'a' }),
          finding(1, { line: 'a' }),
          finding(1, { line: 'b' }),
          finding(1, { line: 'a' }),
          finding(1),
        ].map((one) => findings.add(one));
        return json(added);
      },
      'loaded: more of another host': () => {
        const findings = new Findings();
        findings.load([finding(1)], [{ host: 'gate2', kind: 'changed' }]);
        return state(findings);
      },
      loaded: () => {
        const findings = new Findings();
        findings.load(
          [{ ...finding(1), acceptedMs: 5 }, finding(2)],
          [
            { host: 'gate1', kind: 'changed' },
            { host: 'gate2', kind: 'forked' },
          ],
        );
        return `${state(findings)}\n${findings.accept(6)} ${state(findings)}`;
      },
    }),
  );
});
