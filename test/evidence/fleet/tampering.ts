// What an intruder, a disk or an operator can do to journals in a store, step by step; answers/*.txt has the steps, and what is said of it.

import assert from 'node:assert/strict';
import type { FleetOptions } from '../../../src/evidence/fleet/fleet.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { encodeRecord } from '../../../src/journal/records/encode.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import {
  block,
  blocks,
  hashOf,
  journal,
  key,
  mark,
  PaperGate,
  type PaperObject,
  renamed,
  started,
} from './paper-store.js';

/** Records 1 to 16: start, checkpoint, six exchanges, checkpoint; and one more behind a checkpoint. */
export function makeGate(secretPem?: string | false, id?: string): PaperGate {
  const gate = new PaperGate(secretPem, id);
  gate.exchanges(6);
  gate.checkpoint();
  gate.checkpoint();
  return gate;
}

export const at = (stream: readonly PaperObject[], index: number): PaperObject =>
  stream[index] ?? assert.fail(`no object ${index}`);

/** The next record has the number after this one. */
function restart({ ledger, id }: PaperGate, seq: number, hash = '0'.repeat(64)): void {
  ledger.resume({ journal: id, seq, hash, stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: started });
}

/** More exchanges than are compared, and blocks of records that come again: of this journal, and of another one. */
function oldRecordsAgain(): PaperObject[] {
  const [gate, fork] = [new PaperGate(), new PaperGate()];
  gate.exchanges(bounds.fleetRecent / 2 + 2);
  fork.nowMs += 1;
  fork.exchanges(5);
  const last = gate.ledger.seq;
  const oldest = last - bounds.fleetRecent;
  return [
    ...blocks(gate.lines, 100),
    block(gate.lines.slice(oldest - 1, oldest)),
    block(gate.lines.slice(oldest, oldest + 3)),
    block(gate.lines.slice(last - 1)),
    block(fork.lines.slice(2, 6)),
    block(fork.lines.slice(7, 9)),
  ];
}

/** Gates, lines and objects of the store count from 1; what a step does is of the last gate, unless `use` names one. */
export class TamperedStore {
  stream: PaperObject[] = [];
  hosts: readonly string[] | undefined;
  more: Partial<FleetOptions> = {};
  readonly #gates: PaperGate[] = [];
  readonly #pairs = { next: makeSignKey(), stranger: makeSignKey() };
  #gate = new PaperGate();

  constructor(story: string) {
    for (const each of story.split(', ')) {
      const step = each.replace(/TIME|JOURNAL|OTHER|KEY|NEXT|#\d+|\w\*\d+/g, (name) => this.#valueOf(name));
      const [, verb = '', words = '', json = '{}'] = /^(\S+) ?(.*?) ?(\{.*\})?$/.exec(step) ?? [];
      this.#take(verb, words === '' ? [] : words.split(' '), json);
    }
  }

  /** #4: the hash of line 4; x*300: so many. */
  #valueOf(name: string): string {
    const { next } = this.#pairs;
    const values = { JOURNAL: journal, OTHER: 'cd'.repeat(16), KEY: key.key, NEXT: next.key };
    const value = Object.entries({ ...values, TIME: '2026-11-20T08:00:00.000Z' }).find(
      ([each]) => each === name,
    );
    if (value !== undefined) return value[1];
    if (name.startsWith('#')) return hashOf(this.#gate.lines[Number(name.slice(1)) - 1]);
    const [sign = '', count = ''] = name.split('*');
    return sign.repeat(Number(count));
  }

  #take(verb: string, words: readonly string[], json: string): unknown {
    const [one = '', two = ''] = words;
    const [gate, { lines, ledger, nowMs }, { stream }] = [this.#gate, this.#gate, this];
    const more = JSON.parse(verb === 'seal' ? '{}' : json);
    const id = words.find((word) => /^[0-9a-f]{32}$/.test(word));
    const object = (number: string) => at(stream, Number(number) - 1);
    switch (verb) {
      // Of gates: `unsigned` or by the key of `next` or `stranger`, with an id or the usual one.
      case 'gate':
        return this.#begin(new PaperGate(this.#secretOf(one), id, more));
      case 'whole':
        return this.#begin(makeGate(this.#secretOf(one), id));
      // The same journal up to a record, and then something else.
      case 'fork': {
        const fork = this.#begin(new PaperGate(undefined, gate.id));
        fork.lines.splice(0);
        restart(fork, Number(one), hashOf(lines[Number(one) - 1]));
        return (fork.nowMs = started + 1000);
      }
      case 'use':
        return (this.#gate = this.#gates[Number(one) - 1] ?? assert.fail(one));
      case 'resume':
        return ledger.resume(this.#gates[Number(one) - 1]?.ledger ?? assert.fail(one));
      case 'restart':
        return restart(gate, Number(one));
      case 'seq':
        return (ledger.seq = Number(one));
      case 'exchanges':
        return gate.exchanges(Number(one));
      case 'admit':
        return gate.admit(one, more);
      case 'end':
        return gate.end(one);
      case 'policies':
        for (const [policy = '', version = ''] of words.map((word) => word.split('='))) {
          gate.admit(policy, { policy, version });
          gate.end(policy);
        }
        return undefined;
      case 'put':
        return gate.put({ time: nowMs, ...more, event: one });
      case 'checkpoint':
        return gate.checkpoint(more);
      case 'sign': {
        const by = two === 'stranger' ? new PaperGate(this.#pairs.stranger.secretPem).ledger : ledger;
        if (by !== ledger) by.resume(ledger);
        lines.push(by.sealSigned({ time: nowMs, ...more, event: one }));
        return by === ledger || ledger.resume(by);
      }
      case 'seal':
        return lines.push(ledger.seal(words.join(' ')));
      // A checkpoint with the signature of another one.
      case 'copy': {
        const { seq: _s, prev: _p, hash: _h, ...body } = JSON.parse(lines[Number(one) - 1] ?? '');
        return gate.put({ ...body, head: ledger.hash, time: nowMs });
      }
      case 'longest': {
        const open = '"time":"2026-11-20T08:00:00.000Z","event":"log","text":"';
        const around = lines[lines.push(ledger.seal(`${open}"`)) - 1]?.trimEnd().length ?? 0;
        return lines.push(ledger.seal(`${open}${'x'.repeat(bounds.fleetLineBytes - around)}"`));
      }
      // Argument records of which the last one is left out.
      case 'arguments': {
        const args = ['--', ...Array.from({ length: 90 }, () => 'x'.repeat(100))];
        const asked = {
          event: 'admission',
          session: 'S',
          id: 'A',
          decision: 'allow',
          effect: 'destroy',
        } as const;
        const bodies = encodeRecord({ time: nowMs, ...asked, args });
        assert.ok(bodies.length > 2);
        return lines.push(...bodies.slice(0, -1).map((body) => ledger.seal(body)));
      }
      // Of the store: blocks of so many lines, of all or of these, of a host and with an id.
      case 'blocks': {
        const [, from = '1', to = ''] = /^(\d+)-(\d*)$/.exec(two) ?? [];
        const host = words.find((word) => /^(gate|stranger)\d?$/.test(word));
        const some = lines.slice(Number(from) - 1, to === '' ? undefined : Number(to));
        return stream.push(...blocks(some, Number(one), host, id));
      }
      case 'mark':
        return stream.push(mark(Number(one), two));
      case 'recent':
        return stream.push(...oldRecordsAgain());
      case 'order':
        return (this.stream = words.map(object));
      case 'drop':
        return stream.splice(Number(one) - 1, Number(two || 1));
      case 'stored':
        for (const [index, ms] of words.entries()) at(stream, index).storedMs = started + Number(ms);
        return undefined;
      case 'name':
        return Object.assign(
          object(one),
          two === '' ? renamed(object(one), more) : { name: object(two).name },
        );
      case 'change': {
        const text = object(one)
          .body.toString()
          .replace(new RegExp(two), words[2] ?? '');
        return (object(one).body = Buffer.from(text));
      }
      // Lines of this or another gate, `.` the body as it was, or a word on a line.
      case 'body':
        return (object(one).body = Buffer.concat(
          words.slice(1).map((piece) => this.#piece(piece, object(one))),
        ));
      case 'chop':
        return (object(one).body = object(one).body.subarray(0, -1));
      case 'hosts':
        return (this.hosts = words);
      case 'options':
        return (this.more = { ...more, ...('driftMs' in more && { driftMs: more.driftMs ?? undefined }) });
      case 'listed':
        return (this.more = { hosts: new Map([['gate1', { key: undefined, ...more }]]) });
      default:
        return assert.fail(verb);
    }
  }

  #begin(gate: PaperGate): PaperGate {
    this.#gates.push(gate);
    return (this.#gate = gate);
  }

  #secretOf(word: string): string | false | undefined {
    if (word === 'unsigned') return false;
    return word === 'next' || word === 'stranger' ? this.#pairs[word].secretPem : undefined;
  }

  #piece(text: string, { body }: PaperObject): Buffer {
    if (text === '.') return body;
    const [, of, from, to = from] = /^(?:(\d+):)?(\d+)(?:-(\d+))?$/.exec(text) ?? [];
    if (from === undefined) return Buffer.from(`${text}\n`);
    const { lines } = of === undefined ? this.#gate : (this.#gates[Number(of) - 1] ?? assert.fail(text));
    return Buffer.from(lines.slice(Number(from) - 1, Number(to)).join(''));
  }
}
