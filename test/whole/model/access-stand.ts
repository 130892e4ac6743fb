// The real desk and the real book beside the model of access: each step of the model is taken by the desk, whose journal is a list; a
// restart is one after a kill, and makes a new desk of what the real start takes from that list: what no checkpoint covers gives nothing.

import assert from 'node:assert/strict';
import { accessEnds } from '../../../src/gate/access/access-item.js';
import type { Asker } from '../../../src/gate/access/asker.js';
import { AccessDesk, type AccessRights } from '../../../src/gate/access/desk.js';
import type { AccessWish } from '../../../src/gate/access/steps.js';
import { accessRightsOf } from '../../../src/gate/daemon/engine-parts.js';
import { Books, LiveAccess } from '../../../src/journal/files/live-access.js';
import { AccessBook, LastEnds } from '../../../src/journal/records/access-book.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord, OwnRecord } from '../../../src/journal/records/record.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { type AccessState, accessModel, countingOf, type Who } from './access-model.js';
import { Beside, type Choose } from './explore.js';

const tickMs = 600_000;
const yearMs = 365 * 86_400_000;
const user = 'bob@example.org';
/** With rules, and without. */
const [withRules, withoutRules] = [true, false].map((has) => {
  const rules = `
    on_request:
      - { command: fetch, approvals: 1, for: 20m, scope: user, uses: 2 }
      - { command: search, approvals: 2, for: 20m, scope: user, uses: 2 }
      - { command: mailbox list, approvals: 0, for: 20m, scope: user, uses: 2 }
    requests: { open: 10, wait: 30m }`;
  const text = `
version: 1
listeners:
  x: { unix: /run/dovegate/x.sock, policy: support }
  y: { unix: /run/dovegate/y.sock, policy: leads }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
audit: { sign_key: /etc/dovegate/sign.pem }
persons:
  anna: { users: [anna, anna-2] }
  carol: { users: [carol, carol-2] }
  dave: { users: [dave] }
policies:
  support:
    users: ["*@example.org"]
    allow: [quota get]${has ? rules : ''}
  leads: { users: ["*@example.org"], allow: [quota get], approve: [support] }
`;
  const { settings, problems } = parseSettings('/etc/dovegate.yaml', {
    readText: () => text,
    glob: () => [],
    presetText: () => undefined,
  });
  assert.ok(settings !== undefined, JSON.stringify(problems));
  const rights = accessRightsOf(settings, new Persons(settings.persons), () => Promise.resolve(true));
  return { rights, persons: settings.persons };
});

const rules: Readonly<Record<string, string>> = {
  one: 'fetch',
  two: 'search',
  none: 'mailbox list',
  given: 'fetch',
};

function askerOf(words: readonly string[], policy: string): Asker {
  const [word = ''] = words;
  const named = withRules?.rights.policies.get(policy);
  assert.ok(named !== undefined);
  const principal = `${word}@x`;
  return {
    listener: 'x',
    principal,
    origin: word,
    policy: named,
    identities: words,
    login: '1',
    credential: undefined,
  };
}

const anna = askerOf(['user:anna', 'uid:1'], 'support');
/** The same user behind another login. */
const elsewhere: Asker = { ...anna, identities: ['user:anna', 'uid:1', 'uid:9'], login: '2' };
const approvers: Readonly<Record<Who, Asker>> = {
  'anna-2': askerOf(['user:anna-2'], 'leads'),
  carol: askerOf(['user:carol', 'uid:2'], 'leads'),
  'carol-2': askerOf(['user:carol-2'], 'leads'),
  dave: askerOf(['user:dave', 'uid:3'], 'leads'),
};

/** As an approver names anna. */
const unseen: Asker = { ...anna, identities: ['user:anna', 'name:anna'], login: undefined };

export class AccessStand {
  readonly beside: Beside<AccessState>;
  readonly #choose: Choose;
  readonly #clock = createFakeClock();
  readonly #records: (AuditRecord | OwnRecord)[] = [];
  /** Records that a signed checkpoint covers. */
  #covered = 0;
  #ids: string[] = [];
  #serial = 0;
  #has = true;
  #isAway = false;
  #desk: AccessDesk;

  constructor(choose: Choose, itemsMax: number) {
    this.beside = new Beside(accessModel({ itemsMax }));
    this.#choose = choose;
    this.#desk = this.#open();
  }

  async run(): Promise<void> {
    for (;;) {
      const choice = this.#choose(this.beside.options);
      if (choice === undefined) break;
      await this.#act(choice);
      this.beside.go(choice);
      this.#compare();
    }
    this.#desk.close();
  }

  #open(): AccessDesk {
    const book = new AccessBook();
    const over = new LastEnds();
    for (const record of this.#records.slice(0, this.#covered)) over.add(book.follow({ ...record }));
    const live = new LiveAccess(new Books(book, over), { why: undefined, uncounted: new Set() });
    for (const record of this.#records.slice(this.#covered)) live.note(Buffer.from(encodeBody(record)));
    // The start writes its own checkpoint.
    this.#covered = this.#records.length;
    const desk = new AccessDesk(
      {
        clock: this.#clock,
        journal: {
          append: (record) => {
            void this.#records.push(record);
            return undefined;
          },
          appendDurable: async (record) => void this.#records.push(record),
          checkpoint: async () => {
            this.#covered = this.#records.length;
          },
        },
        newId: () => {
          this.#serial += 1;
          return `ID${String(this.#serial).padStart(24, '0')}`;
        },
        digest: (text) => text,
        newToken: () => '',
      },
      live.carried(this.#clock.wallMs()),
    );
    desk.turnTo(this.#rights());
    return desk;
  }

  #rights(): AccessRights {
    const now = this.#has ? withRules : withoutRules;
    assert.ok(now !== undefined);
    const persons = new Map(now.persons);
    if (this.#isAway) persons.delete('carol');
    return { ...now.rights, persons: new Persons(persons) };
  }

  async #act(choice: string): Promise<void> {
    const [, number = ''] = / (\d+)$/.exec(choice) ?? [];
    const id = this.#ids[Number(number)] ?? '';
    const count = (): Promise<undefined> => Promise.resolve(undefined);
    if (choice.startsWith('request ')) return this.#request(choice.slice('request '.length));
    if (choice.includes(' approves ')) {
      const who = Object.entries(approvers).find(([name]) => choice.startsWith(`${name} approves`));
      assert.ok(who !== undefined);
      await this.#desk.decide(who[1], 'approve', { id }, count);
    } else if (choice.startsWith('login ')) {
      const asker = choice.startsWith('login 1') ? anna : elsewhere;
      const { grants = [] } = this.#desk.grantsOf(asker) ?? {};
      const hasIt = grants !== 'all' && grants.some((grant) => grant.id === id);
      const keys = this.#desk.take(id, asker);
      assert.equal(hasIt, keys !== undefined);
      if (keys === undefined) return;
      void this.#records.push({ time: this.#clock.wallMs(), event: 'admission', ...keys });
      const sent = choice.includes(' uses ');
      void this.#records.push({ time: this.#clock.wallMs(), event: 'completion', grant: id, sent });
      this.#desk.done(id, sent);
    } else if (choice.startsWith('carol refuses')) await this.#desk.end(approvers.carol, id, 'refused', 'x');
    else if (choice.startsWith('anna revokes')) await this.#desk.end(anna, id, 'revoked', undefined);
    else if (choice === 'tick') await this.#clock.advance(tickMs);
    else if (choice.includes('leaps')) {
      const ms = choice.endsWith('back') ? -yearMs : yearMs;
      this.#clock.leap(ms);
      this.#records.push({ time: this.#clock.wallMs(), event: 'clock', step_ms: ms });
      // The desk looks once a second.
      this.#clock.advanceNow(1_000);
    } else if (choice.startsWith('reload')) {
      if (choice.endsWith(' carol')) this.#isAway = !this.#isAway;
      else this.#has = !this.#has;
      this.#desk.turnTo(this.#rights());
    } else if (choice === 'restart') {
      this.#desk.close();
      this.#desk = this.#open();
    }
  }

  async #request(name: string): Promise<void> {
    const rule = withRules?.rights.policies
      .get('support')
      ?.onRequest.find(({ command }) => command === rules[name]);
    assert.ok(rule !== undefined);
    const wish: AccessWish = {
      rule,
      users: [user],
      case: undefined,
      command: rule.command,
      args: ['all'],
      effect: 'read',
      reason: 'x',
      forMs: rule.terms.forMs,
      uses: rule.terms.uses,
      line: 'x',
      words: [rule.command, 'all'],
    };
    const count = (): Promise<undefined> => Promise.resolve(undefined);
    const asked =
      name === 'given'
        ? await this.#desk.grant(approvers.carol, unseen, wish, count)
        : await this.#desk.request(anna, wish, count);
    assert.equal(asked.kind, 'done', JSON.stringify(asked));
    if (asked.kind === 'done') this.#ids.push(asked.items[0]?.id ?? '');
  }

  /** The states, uses and approvals of all items are those of the model. */
  #compare(): void {
    const items = new Map(this.#desk.list(anna).items.map((item) => [item.id, item]));
    for (const [at, modelled] of this.beside.state.items.entries()) {
      const { at: state, uses } = modelled;
      const by = countingOf(this.beside.state, modelled);
      const item = items.get(this.#ids[at] ?? '');
      const isOver = item === undefined || accessEnds.some((end) => end === item.state);
      const real = isOver ? 'over' : item.state;
      assert.equal(real, state, `item ${at}`);
      if (isOver || item === undefined) continue;
      assert.equal((item.uses ?? 0) - item.used, uses, `uses of item ${at}`);
      assert.equal(item.approved_by.length, by.length, `approvals of item ${at}`);
    }
  }
}
