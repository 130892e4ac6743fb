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

const forgeries: readonly {
  readonly name: string;
  /** What stands in the stream. */
  readonly lines: () => readonly string[];
  readonly listed?: readonly string[];
}[] = [
  {
    name: 'a new key that an unknown one names',
    lines: () => {
      const there = new Desk(first.secretPem).sign();
      return [...there.lines, ...there.fork(1, forger.secretPem).replace(second).sign().lines.slice(1)];
    },
  },
  {
    name: 'a new key that goes on without being named',
    lines: () => {
      const there = new Desk(first.secretPem).sign();
      return [...there.lines, ...there.fork(1, forger.secretPem).sign().lines.slice(1)];
    },
  },
  {
    name: 'a key stolen while it counts names the key of the thief, and then the verifier goes on',
    lines: () => {
      const there = new Desk(first.secretPem).sign();
      const stolen = there.fork(1).replace(forger).sign();
      return [...stolen.lines, ...there.sign().sign().sign().lines.slice(1)];
    },
  },
  {
    name: 'a key that was replaced signs once more',
    lines: () => {
      const there = new Desk(first.secretPem).sign().replace(second).sign();
      return [...there.lines, ...there.fork(3, first.secretPem).sign().lines.slice(3)];
    },
    listed: [first.key, second.key],
  },
  {
    name: 'a key that was replaced names the key of the thief, after the end',
    lines: () => {
      const there = new Desk(first.secretPem).sign().replace(second).sign();
      return [...there.lines, ...there.fork(3, first.secretPem).replace(forger).sign().lines.slice(3)];
    },
    listed: [first.key, second.key],
  },
  {
    name: 'a key that was replaced names another one in the place of the line that replaced it',
    lines: () => {
      const there = new Desk(first.secretPem).sign().replace(second).sign();
      return [...there.lines, ...there.fork(1, first.secretPem).replace(forger).sign().lines.slice(1)];
    },
    listed: [first.key, second.key],
  },
  {
    name: 'the old key goes on although its last line names another one',
    lines: () => {
      const there = new Desk(first.secretPem).sign().replace(second);
      return [...there.lines, ...there.fork(2, first.secretPem).sign().lines.slice(2)];
    },
    listed: [first.key, second.key],
  },
  {
    name: 'the line that replaced a key comes again at the end',
    lines: () => {
      const there = new Desk(first.secretPem).sign().replace(second).sign().sign();
      return [...there.lines, there.lines[1] ?? '', there.lines[0] ?? ''];
    },
    listed: [first.key, second.key],
  },
  {
    name: 'an old line comes again when it cannot be compared any more',
    lines: () => {
      const there = new Desk(first.secretPem);
      for (let count = 0; count < 70; count += 1) there.sign();
      return [...there.lines, there.lines[1] ?? ''];
    },
  },
  {
    name: 'a line of the other verifier, signed by the key of this one',
    lines: () => {
      const there = new Desk(first.secretPem).sign();
      const here = new Desk(own.secretPem).sign();
      return [...here.lines, ...there.lines, ...there.fork(1, own.secretPem).sign().lines.slice(1)];
    },
  },
];

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

const chain = (): Desk => new Desk(first.secretPem).sign().sign().replace(second).sign();
const twice = (): Desk => new Desk(first.secretPem).sign().replace(second).sign();
const read = (line = '') => readCheckpoint(line) ?? assert.fail('no line');
const both = { there: [first.key, second.key] };
const file = (inStream: number, lines: (own_: Desk) => readonly string[]) => (): string => {
  const here = new Desk(own.secretPem).sign().sign().sign().sign();
  const fleet = take(open({}), here.lines.slice(0, inStream));
  const news = fleet.takeLog(lines(here));
  return `${whole(fleet, news)}\nagain ${fleet.takeLog(lines(here)).length}`;
};
const again = (kept: number | undefined, lines: (desk: Desk) => readonly string[]) => (): string => {
  const desk = chain();
  const fleet = take(open(both), desk.lines);
  fleet.rewind([], kept === undefined ? undefined : read(desk.lines[kept]));
  const begun = whole(fleet);
  return `${begun}\nthen\n${whole(take(fleet, lines(desk)))}`;
};

void test('what is said of chains, of forged ones, of files, and of streams that are read again', () => {
  compareAnswers('test/evidence/fleet/answers/logs.txt', [
    ...forgeries.map(
      ({ name, lines, listed: keys = [first.key] }): Asked => [
        `forged: ${name}`,
        () => {
          const fleet = take(open({ there: keys }), lines());
          const answer = whole(fleet);
          // The same after a restart.
          assert.deepEqual(found(reopened(fleet, { there: keys })), found(fleet));
          return answer;
        },
      ],
    ),
    ...Object.entries({
      'a chain whose second line is gone': () =>
        whole(
          take(
            open(both),
            chain().lines.filter((_, at) => at !== 1),
          ),
        ),
      'a chain whose second and third line are gone': () =>
        whole(
          take(
            open({ there: [first.key] }),
            [0, 3].map((at) => new Desk(first.secretPem).sign().sign().sign().sign().lines[at] ?? ''),
          ),
        ),
      'a chain that begins later': () =>
        whole(
          take(open({ there: [first.key] }), new Desk(first.secretPem).sign().sign().sign().lines.slice(2)),
        ),
      'a chain that another line continues': () =>
        whole(
          take(open({ there: [first.key] }), [
            ...new Desk(first.secretPem).sign().lines,
            ...new Desk(first.secretPem).sign(7).sign().lines.slice(1),
          ]),
        ),
      'no verifier is listed: the first key counts': () => {
        const fleet = fleetOf();
        takeAll(fleet, [...chain().lines, ...new Desk(forger.secretPem).sign().lines].map(logged));
        return whole(fleet);
      },
      'a key that is listed later': () => whole(take(open(both), new Desk(second.secretPem).sign().lines)),
      'a message that is no line': () => whole(take(open(both), ['x'])),
      'an unlisted key is named': () => whole(take(open({ there: [first.key] }), chain().lines.slice(0, 3))),
      'it signs': () => whole(take(open({ there: [first.key] }), chain().lines)),
      'it is not listed, and nothing else is': () => whole(take(open({ there: [] }), chain().lines)),
      'other keys are listed': () =>
        whole(reopened(take(open({ there: [first.key] }), chain().lines), { there: [forger.key] })),
      'no key is listed any more': () =>
        whole(reopened(take(open({ there: [first.key] }), chain().lines), { there: [] })),
      'the old key is listed still': () =>
        whole(
          reopened(take(open({ there: [first.key] }), chain().lines), { there: [first.key, forger.key] }),
        ),
      accepted: () => {
        const fleet = take(open({ there: [first.key] }), chain().lines);
        const count = fleet.accept(started);
        return `${count} ${whole(fleet)}`;
      },
      'two keys are replaced, and the last one is not listed': () =>
        whole(take(open(both), twice().replace(forger).lines)),
      'two keys were replaced, and the first one signs': () => {
        const third = makeSignKey();
        const there = twice().replace(third).sign();
        const late = there.fork(there.lines.length, first.secretPem).sign().lines.slice(-1);
        const fleet = take(open({ there: [first.key, second.key, third.key] }), [...there.lines, ...late]);
        return whole(fleet).replaceAll(third.key, '<THIRD>');
      },
      'another verifier signed for another record': () => {
        const heads = headsOf().map((head) => ({ ...head, hash: 'ab'.repeat(32) }));
        return whole(take(open(both), new Desk(first.secretPem, heads).sign().lines));
      },
      'this verifier signed for another record': () => {
        const heads = headsOf().map((head) => ({ ...head, hash: 'ab'.repeat(32) }));
        return whole(take(open({}), new Desk(own.secretPem, heads).sign().lines));
      },
      'own lines, read again, and the end is gone': () => {
        const here = new Desk(own.secretPem).sign().sign().sign();
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
      'a file without a line': file(4, ({ lines: [one = '', , three = '', four = ''] }) => [
        one,
        three,
        four,
      ]),
      'a file with a changed line': file(4, ({ lines: [one = '', two = '', ...more] }) => [
        one,
        two.replace('fleet', 'float'),
        ...more,
      ]),
      'a file whose first line was changed': file(4, ({ lines: [one = '', ...more] }) => [
        one.replace('fleet', 'float'),
        ...more,
      ]),
      'a file whose last line was changed': file(4, ({ lines }) =>
        lines.map((line, at) => (at === 3 ? line.replace('fleet', 'float') : line)),
      ),
      'a file with another line': file(4, (here) => here.fork(3).sign(9).lines),
      'a file with another line before the end': file(4, (here) => [
        ...here.fork(2).sign(9).lines,
        here.lines[3] ?? '',
      ]),
      'a file by another key': file(2, (here) => here.fork(2, forger.secretPem).sign().sign().lines),
      'a file whose line names another key than the one that follows': file(2, (here) => [
        ...here.fork(2).replace(second).lines,
        ...here.fork(3).sign().lines.slice(3),
      ]),
      'a file by the key that a line names': file(2, (here) => here.fork(2).replace(second).sign().lines),
      'a file of a verifier that is not listed': () => {
        const fleet = fleetOf();
        const lines = [...chain().lines, ...new Desk(forger.secretPem).sign().lines];
        return whole(fleet, fleet.takeLog(lines));
      },
      'read again': again(undefined, ({ lines }) => lines),
      'read again, and the end is gone': again(undefined, ({ lines }) => lines.slice(0, 2)),
      'read again, and a kept line is gone': again(1, ({ lines }) => lines.slice(0, 1)),
      'read again, with a kept line': again(1, ({ lines }) => lines),
      'read again, and the kept line is another one': again(1, (desk) => [
        ...desk.fork(1, first.secretPem).sign(9).lines,
      ]),
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
        const late = desk.fork(4, first.secretPem).sign().lines.at(-1) ?? '';
        const stranger = new Desk(forger.secretPem).sign().lines[0] ?? '';
        const whys = [...desk.lines, late, stranger].map((line) => fleet.whyNotKept(read(line)) ?? 'counts');
        return whys.join('\n').replaceAll(forger.key, '<FORGER>');
      },
    }),
  ]);
});
