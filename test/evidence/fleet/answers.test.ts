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
import { type Asked, compareAnswers, compareStories } from '../../kit/plain/approved.js';
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
import { at, makeGate, TamperedStore } from './tampering.js';

const file = (name: string): string => `test/evidence/fleet/answers/${name}.txt`;
const json = (value: unknown): string => JSON.stringify(value);
const minuteMs = 60_000;

interface Saved extends Readonly<Record<'keys' | 'awaited' | 'more' | 'isReread', unknown>> {
  readonly chains: readonly object[];
}

function saved(fleet: Fleet): Saved {
  return JSON.parse(json(fleet.save()));
}

const inRow = new Set(
  'host journal hash program catalog policies recent signedTime signedSeq time'.split(' '),
);

/** What the row of the gate does not have, without what is as usual. */
function brief(chain: object): unknown {
  const isUsual = (value: unknown): boolean => value === 0 || value === false || json(value) === '[]';
  const kept = Object.entries(chain).filter(([name, value]) => !inRow.has(name) && !isUsual(value));
  return Object.fromEntries(kept);
}

/** All that is said of a stream when it was taken. */
function report(fleet: Fleet, stream: readonly PaperObject[], nowMs = started + minuteMs): string {
  const news = stream.flatMap((one) => [...takeOne(fleet, one)]);
  const judged = fleet.judge(nowMs);
  const { gates } = fleet.status(nowMs);
  const { chains, keys, awaited, more } = saved(fleet);
  const gone = news.map(json).filter((one) => !judged.map(json).includes(one));
  const rest = Object.entries({ keys, awaited, more }).filter(([, all]) => json(all) !== '[]');
  const lines = [
    `${fleet.records} records, ${fleet.faults} faults`,
    ...gone.map((one) => `told at once: ${one}`),
    ...listed(judged),
    ...gates.map((row) => `row ${json(row)}`),
    ...chains.map((chain) => `chain ${json(brief(chain))}`),
    ...rest.map(([name, all]) => `${name} ${json(all)}`),
  ];
  return legible(lines.join('\n'), stream);
}

for (const name of ['findings', 'edges', 'hosts'])
  void test(`what is said of streams that somebody changed: ${name}`, () =>
    compareStories(file(name), () => (steps) => {
      const { stream, hosts, more } = new TamperedStore(steps);
      return report(new Fleet(optionsOf(hosts, more)), stream);
    }));

void test('each kind of finding is in the answers', () => {
  const texts = ['findings', 'edges', 'hosts', 'places', 'logs'].map((name) =>
    readFileSync(file(name), 'utf8'),
  );
  const others = findingKinds.filter((kind) => !new RegExp(`^ +${kind} `, 'm').test(texts.join('\n')));
  // Those of the mirror are in mirror.test.ts.
  assert.deepEqual(others, ['too-much', 'mirror-full', 'not-mirrored']);
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
  const text = `${report(fleet, [])}\nread again ${json(isReread)}, heads ${json(heads)}`;
  return text.replaceAll(/[0-9a-f]{64}/g, '<H>');
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
  const two = of(all.slice(0, 2));
  const elseHash = 'e'.repeat(64);
  const open = of([block([...openGate().lines])]);
  const rows: Readonly<Record<string, readonly Step[]>> = {
    'what was taken comes again': [of(all), of(all)],
    'the beginning is gone': [of(all.slice(1))],
    'read again': [of(all), again()],
    'read again, and all is there': [of(all), again(), of(all)],
    'read again, and the end is gone': [of(all), again(), of(all.slice(0, 2))],
    'read again, over a restart': [of(all), again(), of(all.slice(0, 2)), restart, of(all.slice(2))],
    'read again: a later record than those that are missing': [
      two,
      again(),
      of([at(all, 0), ...all.slice(2)]),
    ],
    'a head that was never read': [again([head])],
    'a head that was never read, and comes': [again([head]), of(all)],
    'a head that was never read, and is another record': [again([{ ...head, hash: elseHash }]), of(all)],
    'a head that was read': [of(all), again([{ ...head, seq: 12, hash: hashOf(gate.lines[11]) }]), of(all)],
    'a head of another host': [again([{ ...head, host: 'gate9' }])],
    'read again, and accepted at once': [of(all), again(), accepted, of(all.slice(0, 2))],
    'read again, judged and accepted': [of(all), again(), of(all.slice(0, 2)), judged, accepted],
    'missing, accepted, and it goes on': [of([at(all, 0), at(all, 2)]), accepted, of([at(all, 3)])],
    'only a mark': [of([mark(3, elseHash)])],
    'read again, and only a mark came, later than the records': [
      of(all),
      again(),
      of(later([mark(3, elseHash)])),
    ],
    'open, accepted in the present journal': [open, accepted],
    'open, accepted in an old journal': [open, of(later(elsewhere, 5)), accepted],
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
    const ids = Array.from({ length: bounds.fleetChains }, (_, each) => each.toString(16).padStart(32, '0'));
    of(later(ids.map((id) => renamed(at(all, 0), { journal: id }))))(fleet);
    const missed = fleet.judge(started).filter(({ kind }) => kind === 'cut-in-store');
    return [fleet.heads().length, ...listed(missed)];
  };
  const keeps = { keepMs: 86_400_000, wallMs: () => started + 86_400_000 };
  const forDay = 'where the store keeps records for a day';
  const droppedText = () => json(dropped()).replaceAll(gate.id, '<J>');
  compareAnswers(file('places'), [
    ...Object.entries(rows).map(([what, steps]): Asked => [what, () => reportAfter(steps)]),
    ...Object.entries(retained).map(
      ([what, steps]): Asked => [`${what}, ${forDay}`, () => reportAfter(steps, keeps)],
    ),
    ['read again, and the journal is dropped for many others', droppedText],
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
  type More = Partial<FleetFinding> & { readonly key?: string; readonly line?: string };
  const usual = { kind: 'changed', host: 'gate1', journal: 'J' } as const;
  const finding = (seq: number, more: More = {}) => ({ ...usual, seq, text: `text ${seq}`, ...more });
  const max = bounds.fleetFindings;
  const state = (findings: Findings): string =>
    json({ ...findings.save(), standing: findings.standing(), accepted: findings.accepted() });
  const counted = (findings: Findings): string => {
    const { kept, more } = findings.save();
    const last = findings.standing().at(-1)?.text ?? 'none';
    return json({ kept: kept.map(({ seq, acceptedMs }) => [seq, acceptedMs ?? '-']), more, last });
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
        const other = finding(3, { host: 'gate2', time: 'T', key: 'k', line: 'l' });
        const all = [finding(1), finding(1), finding(2, { kind: 'forked' }), other];
        return `${json(all.map((one) => findings.add(one)))}\n${state(findings)}`;
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
        const all = [finding(60), finding(2), finding(1), finding(9, { host: 'x' })];
        return `${counted(findings)}\n${json(all.map((one) => findings.isAccepted(one)))}`;
      },
      'known and accepted': () => {
        const findings = new Findings();
        findings.add(finding(1));
        const others = [{ journal: 'K' }, { kind: 'forked' }, { text: 'other' }] as const;
        const all = [finding(1), finding(2), ...others.map((more) => finding(1, more))];
        const now = () => all.map((one) => [findings.isKnown(one), findings.isAccepted(one)]);
        const before = now();
        findings.accept(5);
        return json([before, now()]);
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
        const [a, b] = ['a', 'b'].map((line) => finding(1, { line }));
        const all = [none, none, finding(0, { line: 'a' }), a, b, a, finding(1)];
        return json(all.map((one) => findings.add(one ?? assert.fail())));
      },
      'loaded: more of another host': () => {
        const findings = new Findings();
        findings.load([finding(1)], [{ host: 'gate2', kind: 'changed', hasMore: true, allMs: 0 }]);
        return state(findings);
      },
      loaded: () => {
        const findings = new Findings();
        const more = [
          { host: 'gate1', kind: 'changed', hasMore: true, allMs: 0 },
          { host: 'gate2', kind: 'forked', hasMore: true, allMs: 0 },
        ] as const;
        findings.load([{ ...finding(1), acceptedMs: 5 }, finding(2)], more);
        return `${state(findings)}\n${findings.accept(6)} ${state(findings)}`;
      },
    }),
  );
});
