// The uids of the users in `persons`, as this host's name service returned them. They are kept in the state directory, so that a directory
// (LDAP, SSSD) which is unreachable does not make two humans of one person. A uid stays known if its user is removed from `persons` and put
// back. A user whose uid changes counts with both uids until an operator confirms the new one.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { readIfThere, writeAtomically } from '../../host/machine/files.js';
import { type IdAnswer, isIdAnswer, type NameService } from '../../host/machine/name-service.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import { idMax } from '../../host/words/user-word.js';
import type { Settings } from '../../rules/config/settings.js';
import { namesOf, Persons, type UserUids } from '../../rules/identity/person.js';
import type { Log } from '../telemetry/log.js';

interface Parts {
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly log: Pick<Log, 'report'>;
  readonly stateDirectory: string;
  /** Never rejects. */
  readonly uidOf: NameService['uidOf'];
}

/** The uids of each name, the most recent one last. */
const shape = z.record(z.string(), z.array(z.int().min(0).max(idMax)).min(1).max(bounds.userUids));

export class KnownUsers {
  readonly #parts: Parts;
  readonly #path: string;
  #known: Map<string, readonly number[]>;
  #answers = new Map<string, IdAnswer>();
  #persons = new Persons(new Map());
  #users: ReadonlySet<string> = new Set();
  #timer: Timer | undefined;

  /** Throws if the file is unreadable: it would be unknown which uids belong to which person. */
  constructor(parts: Parts) {
    this.#parts = parts;
    this.#path = `${parts.stateDirectory}/persons.json`;
    const text = readIfThere(this.#path, bounds.besideFileBytes) ?? '{}';
    try {
      this.#known = new Map(Object.entries(shape.parse(JSON.parse(text))));
    } catch {
      throw new Error(`${this.#path}: is no list of users and their uids; remove it, or put it back`);
    }
  }

  /** Looks up all names in `persons` of a configuration that is about to be served; call `commit` once it is served. Never rejects. */
  async prepare({
    persons,
  }: Pick<Settings, 'persons'>): Promise<{ readonly persons: Persons; commit(): void }> {
    const all = [...persons.values()];
    const names = new Set(all.flatMap(namesOf));
    const answers = new Map<string, IdAnswer>([...names].map((name) => [name, { kind: 'unanswered' }]));
    let isWhole = false;
    const told = this.#ask(names, answers).then(() => {
      isWhole = true;
    });
    // One wait for all names: a directory that does not answer delays a start once. Later answers are used when they come.
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#parts.clock.setTimer(bounds.directoryAnswerMs, resolve);
    });
    await Promise.race([told, late]);
    timer?.cancel();
    const next = new Persons(persons);
    return {
      persons: next,
      commit: () => {
        this.#timer?.cancel();
        this.#timer = undefined;
        this.#users = new Set(all.flatMap(({ users }) => users));
        this.#answers = answers;
        this.#persons = next;
        this.#learn();
        if (!isWhole)
          void told.then(() => {
            if (this.#answers === answers) this.#learn();
          });
      },
    };
  }

  get moved(): readonly { readonly user: string; readonly uids: readonly number[] }[] {
    return [...this.#known].flatMap(([user, uids]) =>
      uids.length > 1 && this.#answers.has(user) ? [{ user, uids }] : [],
    );
  }

  get unknown(): readonly string[] {
    return this.#persons.unknownUsers;
  }

  /** Drops all uids of the user but the most recent one and returns that; undefined: there is only one. Throws the system's error. */
  confirm(user: string): number | undefined {
    const uids = this.#known.get(user) ?? [];
    const newest = uids.at(-1);
    if (uids.length < 2 || newest === undefined) return undefined;
    const next = new Map(this.#known).set(user, [newest]);
    this.#keep(next);
    this.#persons.learn(this.#uids);
    return newest;
  }

  close(): void {
    this.#timer?.cancel();
  }

  async #ask(names: Iterable<string>, answers: Map<string, IdAnswer>): Promise<void> {
    const ask = async (name: string): Promise<void> => {
      answers.set(name, await this.#parts.uidOf(name));
    };
    await Promise.all([...names].map(ask));
  }

  #learn(): void {
    const left = [...this.#known].filter(([name]) => !this.#answers.has(name));
    const next = new Map(left.slice(-Math.max(1, bounds.userNames - this.#answers.size)));
    for (const [name, answer] of this.#answers) {
      const before = this.#known.get(name) ?? [];
      const isNew = isIdAnswer(answer, 'found') && !before.includes(answer.id);
      // The most recent uid goes to the end.
      const uids = isIdAnswer(answer, 'found')
        ? [...before.filter((uid) => uid !== answer.id), answer.id].slice(-bounds.userUids)
        : before;
      if (uids.length > 0) next.set(name, uids);
      if (isNew && before.length > 0)
        this.#warn(
          'user-moved',
          `${name} has uid ${answer.id} now, and had ${before.join(', ')}: all count as this user until dovegate confirm ${name}`,
        );
    }
    try {
      this.#keep(next);
    } catch (fault) {
      this.#known = next;
      this.#warn('users-unwritten', `${this.#path}: ${messageOf(fault)}`);
    }
    this.#persons.learn(this.#uids);
    this.#timer?.cancel();
    this.#timer = undefined;
    const again = [...this.#answers.keys()].filter((name) => this.#isOpen(name));
    if (again.length === 0) return;
    this.#timer = this.#parts.clock.setTimer(bounds.userUidsAgainMs, () => void this.#askAgain(again));
  }

  async #askAgain(names: readonly string[]): Promise<void> {
    const answers = this.#answers;
    await this.#ask(names, answers);
    // Not if a reload has looked up other names meanwhile.
    if (answers === this.#answers) this.#learn();
  }

  #isOpen(name: string): boolean {
    const { kind } = this.#answers.get(name) ?? { kind: 'none' };
    return kind === 'unanswered' || (kind === 'none' && this.#users.has(name));
  }

  get #uids(): UserUids {
    return {
      uidsOf: (name) => this.#known.get(name) ?? [],
      isUnknown: (name) => this.#users.has(name) && !this.#known.has(name),
      uidOf: (name) => {
        const answer = this.#answers.get(name);
        const uids = this.#known.get(name) ?? [];
        return isIdAnswer(answer, 'found') && uids.length === 1 && uids[0] === answer.id
          ? answer.id
          : undefined;
      },
    };
  }

  #keep(next: ReadonlyMap<string, readonly number[]>): void {
    const textOf = (known: ReadonlyMap<string, readonly number[]>): string =>
      `${JSON.stringify(Object.fromEntries([...known].toSorted(([one], [other]) => (one < other ? -1 : 1))), undefined, 2)}\n`;
    if (textOf(next) !== textOf(this.#known)) writeAtomically(this.#path, textOf(next));
    this.#known = new Map(next);
  }

  #warn(event: 'user-moved' | 'users-unwritten', text: string): void {
    this.#parts.log.report({ event, level: 'warn', text });
  }
}
