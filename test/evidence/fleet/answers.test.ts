// What is said of a store, as a whole: the sentences, the rows of the gates, and the state that is saved. answers/*.txt, which a person
// approved, has records as <SEQ>, and <SEQ'> where another one has the same number.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Findings } from '../../../src/evidence/fleet/findings.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { type FleetFinding, findingKinds } from '../../../src/evidence/fleet/shapes.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { compareAnswers, compareStories } from '../../kit/plain/approved.js';
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

void test('what is read again', async () => {
  const gate = makeGate();
  const all = blocks(gate.lines);
  const open = new PaperGate();
  open.admit('OPEN');
  open.checkpoint();
  const named: Readonly<Record<string, readonly PaperObject[]>> = {
    elsewhere: blocks(makeGate(undefined, 'ef'.repeat(16)).lines, 8, 'gate1', 'ef'.repeat(16)),
    mark: [mark(3, 'e'.repeat(64))],
    open: [block(open.lines)],
  };
  /** `1 3-4 +500`: these blocks of the journal, stored so much later. */
  const objectsOf = (words: readonly string[]): PaperObject[] => {
    const ms = Number(words.find((word) => word.startsWith('+')) ?? 0);
    const objects = words.flatMap((word) => {
      const [from = '', to = from] = word.split('-');
      return word.startsWith('+') ? [] : (named[word] ?? all.slice(Number(from) - 1, Number(to)));
    });
    return objects.map((one) => ({ ...one, storedMs: started + ms }));
  };
  const head = { host: 'gate1', journal: gate.id, seq: 16, hash: gate.ledger.hash, storedMs: started };
  const act = (fleet: Fleet, verb: string, rest: string): Fleet => {
    if (verb === 'restart') return new Fleet(optionsOf(), JSON.parse(json(fleet.save())));
    if (verb === 'again') {
      const text = rest.replace(/#(\d+)/, (_, line) => hashOf(gate.lines[line - 1]));
      fleet.rewind(rest === '' ? [] : [{ ...head, ...JSON.parse(text) }]);
    } else if (verb === 'judge') fleet.judge(started);
    else if (verb === 'accept') fleet.accept(started);
    // More journals than are kept.
    else if (verb === 'take-many')
      for (let id = 0; id < bounds.fleetChains; id += 1)
        takeOne(
          fleet,
          renamed(
            { ...at(all, 0), storedMs: started + 1000 },
            { journal: id.toString(16).padStart(32, '0') },
          ),
        );
    else if (verb === 'take') takeAll(fleet, objectsOf(rest.split(' ')));
    else assert.fail(verb);
    return fleet;
  };
  await compareStories(file('places'), (withs) => {
    const keeps = { keepMs: 86_400_000, wallMs: () => started + 86_400_000 };
    return (steps) => {
      let fleet = new Fleet(optionsOf(undefined, withs.includes('a day') ? keeps : {}));
      for (const step of steps.split(', ')) {
        const [, verb = '', rest = ''] = /^(\S+) ?(.*)$/.exec(step) ?? [];
        fleet = act(fleet, verb, rest);
      }
      if (steps.endsWith('take-many')) {
        const missed = fleet.judge(started).filter(({ kind }) => kind === 'cut-in-store');
        return json([fleet.heads().length, ...listed(missed)]).replaceAll(gate.id, '<J>');
      }
      const { isReread } = saved(fleet);
      const heads = fleet.heads().map(({ host, seq, storedMs }) => [host, seq, storedMs]);
      const text = `${report(fleet, [])}\nread again ${json(isReread)}, heads ${json(heads)}`;
      return text.replaceAll(/[0-9a-f]{64}/g, '<H>');
    };
  });
});

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
