// What is known and said of the lines of verifiers, of forged ones too: answers/logs.txt, which a person approved.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { type Fleet } from '../../../src/evidence/fleet/fleet.js';
import type { FleetFinding } from '../../../src/evidence/fleet/shapes.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import {
  Desk,
  first,
  forger,
  found,
  gate,
  headsOf,
  logged,
  open,
  own,
  reopened,
  second,
  take,
} from './desk.js';
import { fleetOf, listed, started, takeAll } from './paper-store.js';

const signed = (): Desk => new Desk(first).sign();
const replaced = (): Desk => signed().replace(second);
const twice = (): Desk => replaced().sign();
const chain = (): Desk => signed().sign().replace(second).sign();

const both = { there: [first.key, second.key] };
const onlyFirst = { there: [first.key] };

/** What stands in the stream, made from the lines of the verifier `there`; a key that was replaced is listed with the new one. */
type Forgery = readonly [begin: () => Desk, lines: (there: Desk) => readonly string[]];
const forgeries: Readonly<Record<string, Forgery>> = {
  'a new key that an unknown one names': [
    signed,
    (there) => there.and(there.fork(1, forger).replace(second).sign()),
  ],
  'a new key that goes on without being named': [signed, (there) => there.and(there.fork(1, forger).sign())],
  'a key stolen while it counts names the key of the thief, and then the verifier goes on': [
    signed,
    (there) => there.fork(1).replace(forger).sign().and(there.sign().sign().sign()),
  ],
  'a key that was replaced signs once more': [twice, (there) => there.and(there.fork(3, first).sign())],
  'a key that was replaced names the key of the thief, after the end': [
    twice,
    (there) => there.and(there.fork(3, first).replace(forger).sign()),
  ],
  'a key that was replaced names another one in the place of the line that replaced it': [
    twice,
    (there) => there.and(there.fork(1, first).replace(forger).sign()),
  ],
  'the old key goes on although its last line names another one': [
    replaced,
    (there) => there.and(there.fork(2, first).sign()),
  ],
  'the line that replaced a key comes again at the end': [
    () => twice().sign(),
    ({ lines }) => [...lines, lines[1] ?? '', lines[0] ?? ''],
  ],
  'an old line comes again when it cannot be compared any more': [
    signed,
    (there) => {
      for (let count = 1; count < 70; count += 1) there.sign();
      return [...there.lines, there.lines[1] ?? ''];
    },
  ],
  'a line of the other verifier, signed by the key of this one': [
    signed,
    (there) => [...new Desk(own).sign().lines, ...there.and(there.fork(1, own).sign())],
  ],
};

/** All that is known and said of the lines: hashes in the order in which they come, keys by their names. */
function whole(fleet: Fleet, news: readonly FleetFinding[] = []): string {
  const hashes: string[] = [];
  const { log, others } = JSON.parse(JSON.stringify(fleet.save()));
  const { checkpoint, verifiers } = fleet.status(started);
  const plain = (state: { readonly recent: readonly unknown[] }) => ({
    ...state,
    recent: state.recent.length,
  });
  const text = [
    ...listed(news).map((one) => `told at once: ${one}`),
    ...listed(fleet.judge(started)),
    ...(log.seq === 0 ? [] : [`own ${JSON.stringify(plain(log))}`]),
    ...others.map(
      ([name, state]: [string, { readonly recent: readonly unknown[] }]) =>
        `${name} ${JSON.stringify(plain(state))}`,
    ),
    `checkpoint ${JSON.stringify(checkpoint)}, verifiers ${JSON.stringify(verifiers)}, ${fleet.faults} faults`,
  ].join('\n');
  return Object.entries({ own, first, second, forger })
    .reduce((named, [name, { key }]) => named.replaceAll(key, `<${name.toUpperCase()}>`), text)
    .replaceAll(/[0-9a-f]{64}/g, (hash) => {
      if (/^0+$/.test(hash)) return '<0>';
      if (!hashes.includes(hash)) hashes.push(hash);
      return `<H${hashes.indexOf(hash) + 1}>`;
    })
    .replaceAll(gate.id, '<J>');
}

const read = (line = '') => readCheckpoint(line) ?? assert.fail('no line');
const changed = (line: string): string => line.replace('fleet', 'float');
/** What is said of these lines to one that lists these keys. */
const of = (others: Parameters<typeof open>[0], lines: readonly string[]): string =>
  whole(take(open(others), lines));
/** What is said of a chain, and then by one that lists other keys. */
const later = (...there: readonly string[]): string =>
  whole(reopened(take(open(onlyFirst), chain().lines), { there }));
const file = (inStream: number, lines: (own_: Desk) => readonly string[]) => (): string => {
  const here = new Desk(own).sign().sign().sign().sign();
  const fleet = take(open({}), here.lines.slice(0, inStream));
  const news = fleet.takeLog(lines(here));
  return `${whole(fleet, news)}\nagain ${fleet.takeLog(lines(here)).length}`;
};
const changedAt = (at: number) =>
  file(4, ({ lines }) => lines.map((line, index) => (index === at ? changed(line) : line)));
const otherHeads = () => headsOf().map((head) => ({ ...head, hash: 'ab'.repeat(32) }));
const again = (kept: number | undefined, lines: (desk: Desk) => readonly string[]) => (): string => {
  const desk = chain();
  const fleet = take(open(both), desk.lines);
  fleet.rewind([], kept === undefined ? undefined : read(desk.lines[kept]));
  const begun = whole(fleet);
  return `${begun}\nthen\n${whole(take(fleet, lines(desk)))}`;
};

void test('what is said of chains, of forged ones, of files, and of streams that are read again', () => {
  compareAnswers('test/evidence/fleet/answers/logs.txt', [
    ...Object.entries(forgeries).map(
      ([name, [begin, lines]]): Asked => [
        `forged: ${name}`,
        () => {
          const others = begin === signed ? onlyFirst : both;
          const fleet = take(open(others), lines(begin()));
          const answer = whole(fleet);
          // The same after a restart.
          assert.deepEqual(found(reopened(fleet, others)), found(fleet));
          return answer;
        },
      ],
    ),
    ...Object.entries({
      'a chain whose second line is gone': () => of(both, chain().lines.toSpliced(1, 1)),
      'a chain whose second and third line are gone': () =>
        of(onlyFirst, signed().sign().sign().sign().lines.toSpliced(1, 2)),
      'a chain that begins later': () => of(onlyFirst, signed().sign().sign().lines.slice(2)),
      'a chain that another line continues': () =>
        of(onlyFirst, [...signed().lines, ...new Desk(first).sign(7).sign().lines.slice(1)]),
      'no verifier is listed: the first key counts': () => {
        const fleet = fleetOf();
        takeAll(fleet, [...chain().lines, ...new Desk(forger).sign().lines].map(logged));
        return whole(fleet);
      },
      'a key that is listed later': () => of(both, new Desk(second).sign().lines),
      'an unlisted key is named': () => of(onlyFirst, chain().lines.slice(0, 3)),
      'it signs': () => of(onlyFirst, chain().lines),
      'it is not listed, and nothing else is': () => of({ there: [] }, chain().lines),
      'other keys are listed': () => later(forger.key),
      'no key is listed any more': () => later(),
      'the old key is listed still': () => later(first.key, forger.key),
      accepted: () => {
        const fleet = take(open(onlyFirst), chain().lines);
        const count = fleet.accept(started);
        return `${count} ${whole(fleet)}`;
      },
      'two keys are replaced, and the last one is not listed': () => of(both, twice().replace(forger).lines),
      'two keys were replaced, and the first one signs': () => {
        const third = makeSignKey();
        const there = twice().replace(third).sign();
        const late = there.fork(there.lines.length, first).sign().lines.slice(-1);
        const fleet = take(open({ there: [first.key, second.key, third.key] }), [...there.lines, ...late]);
        return whole(fleet).replaceAll(third.key, '<THIRD>');
      },
      'another verifier signed for another record': () =>
        of(both, new Desk(first, otherHeads()).sign().lines),
      'this verifier signed for another record': () => of({}, new Desk(own, otherHeads()).sign().lines),
      'own lines, read again, and the end is gone': () => {
        const here = new Desk(own).sign().sign().sign();
        const fleet = take(open({}), here.lines);
        fleet.rewind([]);
        return whole(take(fleet, here.lines.slice(0, 1)));
      },
      'a file that is whole': file(4, ({ lines }) => lines),
      'a file that has more than the stream': file(2, ({ lines }) => lines),
      'a file that ends one line before': file(4, ({ lines }) => lines.slice(0, 3)),
      'an empty file': file(4, () => []),
      'an empty file, and an empty stream': file(0, () => []),
      'a file with its last lines': file(4, ({ lines }) => lines.slice(2)),
      'a file without a line': file(4, ({ lines }) => lines.toSpliced(1, 1)),
      'a file with a changed line': changedAt(1),
      'a file whose first line was changed': changedAt(0),
      'a file whose last line was changed': changedAt(3),
      'a file with another line': file(4, (here) => here.fork(3).sign(9).lines),
      'a file with another line before the end': file(4, (here) => [
        ...here.fork(2).sign(9).lines,
        ...here.lines.slice(3),
      ]),
      'a file by another key': file(2, (here) => here.fork(2, forger).sign().sign().lines),
      'a file whose line names another key than the one that follows': file(2, (here) => [
        ...here.fork(2).replace(second).lines,
        ...here.fork(3).sign().lines.slice(3),
      ]),
      'a file by the key that a line names': file(2, (here) => here.fork(2).replace(second).sign().lines),
      'a file of a verifier that is not listed': () => {
        const fleet = fleetOf();
        const lines = [...chain().lines, ...new Desk(forger).sign().lines];
        return whole(fleet, fleet.takeLog(lines));
      },
      'read again': again(undefined, ({ lines }) => lines),
      'read again, and the end is gone': again(undefined, ({ lines }) => lines.slice(0, 2)),
      'read again, and a kept line is gone': again(1, ({ lines }) => lines.slice(0, 1)),
      'read again, with a kept line': again(1, ({ lines }) => lines),
      'read again, and the kept line is another one': again(1, (desk) => desk.fork(1, first).sign(9).lines),
      'read again, and accepted': () => {
        const desk = chain();
        const fleet = take(open(both), desk.lines);
        fleet.rewind([]);
        take(fleet, desk.lines.slice(0, 1));
        const before = fleet.accept(started);
        fleet.judge(started);
        return `${before} ${fleet.accept(started)} ${whole(fleet)}`;
      },
      'kept lines that count, and that do not': () => {
        const desk = chain();
        const fleet = take(open(both), desk.lines);
        const late = desk.fork(4, first).sign().lines.at(-1) ?? '';
        const stranger = new Desk(forger).sign().lines[0] ?? '';
        const whys = [...desk.lines, late, stranger].map(
          (line) => fleet.log.whyNotKept(read(line)) ?? 'counts',
        );
        return whys.join('\n').replaceAll(forger.key, '<FORGER>');
      },
    }),
  ]);
});
