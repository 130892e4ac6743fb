// What is known and said of the lines of verifiers, of forged ones too: answers/logs.txt has the steps, and answers that a person approved.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import type { Fleet } from '../../../src/evidence/fleet/fleet.js';
import type { FleetFinding } from '../../../src/evidence/fleet/shapes.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { compareStories } from '../../kit/plain/approved.js';
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

const keys = { own, first, second, third: makeSignKey(), forger };

function keyOf(name: string): typeof own {
  return Object.entries(keys).find(([each]) => each === name)?.[1] ?? assert.fail(name);
}

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
  return named(text)
    .replaceAll(/[0-9a-f]{64}/g, (hash) => {
      if (/^0+$/.test(hash)) return '<0>';
      if (!hashes.includes(hash)) hashes.push(hash);
      return `<H${hashes.indexOf(hash) + 1}>`;
    })
    .replaceAll(gate.id, '<J>');
}

const named = (text: string): string =>
  Object.entries(keys).reduce((so, [name, { key }]) => so.replaceAll(key, `<${name.toUpperCase()}>`), text);

const read = (line = '') => readCheckpoint(line) ?? assert.fail('no line');

/** Verifiers that write lines, and one that reads those that were put into the stream, or into a file. */
class Story {
  readonly #desks: Desk[] = [];
  #desk = new Desk(own);
  #lines: string[] = [];
  #others: Record<string, readonly string[]> = {};
  #fleet: Fleet | undefined;

  take(verb: string, words: readonly string[]): unknown {
    const [one = '', two = ''] = words;
    const desk = this.#desk;
    switch (verb) {
      case 'desk':
        return this.#begin(
          new Desk(
            keyOf(one),
            two === '' ? undefined : headsOf().map((head) => ({ ...head, hash: 'ab'.repeat(32) })),
          ),
        );
      case 'sign':
        for (let left = Number(two || 1); left > 0; left -= 1) desk.sign(Number(one));
        return undefined;
      case 'replace':
        return void desk.replace(keyOf(one));
      // The same first lines, and then another key, or the one of a line after them.
      case 'fork':
        return this.#begin(desk.fork(Number(one), two === '' ? undefined : keyOf(two)));
      case 'use':
        return void (this.#desk = this.#desks[Number(one) - 1] ?? assert.fail(one));
      case 'list':
        return void (this.#others = { there: words.map((name) => keyOf(name).key) });
      // The lines that are read next: all of this verifier, or these, or those that are not among them yet.
      case 'put':
        for (const range of words.length === 0 ? [`1-${desk.lines.length}`] : words) {
          const [from = '', to = from] = range.split('-');
          this.#lines.push(...desk.lines.slice(Number(from) - 1, Number(to)));
        }
        return undefined;
      case 'more':
        return void this.#lines.push(...desk.lines.filter((line) => !this.#lines.includes(line)));
      case 'change':
        return void this.#lines.splice(
          Number(one) - 1,
          1,
          (this.#lines[Number(one) - 1] ?? '').replace('fleet', 'float'),
        );
      case 'take':
        return void take(this.#opened, this.#taken());
      // By one that lists no verifier, and did not read the gate's records.
      case 'take-alone':
        return void takeAll((this.#fleet = fleetOf()), this.#taken().map(logged));
      case 'file': {
        const lines = this.#taken();
        const news = this.#opened.takeLog(lines);
        return `${whole(this.#opened, news)}\nagain ${this.#opened.takeLog(lines).length}`;
      }
      case 'reopen':
        return void (this.#fleet = reopened(this.#opened, this.#others));
      case 'rewind':
        return this.#opened.rewind([], one === '' ? undefined : read(desk.lines[Number(one) - 1]));
      case 'accept':
        return `${this.#opened.accept(started)}`;
      case 'judge':
        return void this.#opened.judge(started);
      case 'say':
        return whole(this.#opened);
      // What is found is the same after a restart.
      case 'restart':
        return assert.deepEqual(found(reopened(this.#opened, this.#others)), found(this.#opened));
      case 'kept':
        return named(
          this.#taken()
            .map((line) => this.#opened.log.whyNotKept(read(line)) ?? 'counts')
            .join('\n'),
        );
      default:
        return assert.fail(verb);
    }
  }

  get #opened(): Fleet {
    return (this.#fleet ??= open(this.#others));
  }

  #begin(desk: Desk): void {
    this.#desks.push(desk);
    this.#desk = desk;
  }

  #taken(): readonly string[] {
    return this.#lines.splice(0);
  }
}

void test('what is said of chains, of forged ones, of files, and of streams that are read again', () =>
  compareStories('test/evidence/fleet/answers/logs.txt', () => {
    const story = new Story();
    return (line) => {
      const told = line.split(', ').map((step) => {
        const [verb = '', ...words] = step.split(' ');
        return story.take(verb, words);
      });
      return told.filter((each) => typeof each === 'string').join('\n');
    };
  }));
