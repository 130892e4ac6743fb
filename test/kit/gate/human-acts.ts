// What a human can do at each kind of socket of the gate and of its page: a request for each act, and what its answer says once it went
// past all that asks who acts, though what it names may not exist.
import assert from 'node:assert/strict';
import { ownCommands } from '../../../src/doveadm/commands/catalog.js';
import { accessSteps } from '../../../src/doveadm/verbs/verbs.js';
import { lookPath, looks } from '../../../src/evidence/views/look.js';
import { actionRoutes } from '../../../src/gate/admin/access.js';
import { createPages } from '../../../src/gate/admin/pages.js';
import { type DoorAction, doorAction } from '../../../src/gate/door/action.js';
import { doorCalls } from '../../../src/gate/door/calls.js';
import { recordedActions } from '../../../src/gate/door/door.js';
import { accessPaths, reportPath } from '../../../src/gate/session/http-access.js';
import { endpoints } from '../../../src/page/answers/endpoints.js';
import { createFakeClock } from '../plain/fake-clock.js';

/** What the acts of a way are about. */
export interface Items {
  /** Asked for by the human who asked, and what they took without an approval. */
  request: string;
  unreviewed: string;
  /** A hold that they asked to lift, and one that nobody did. */
  hold: string;
  fresh: string;
  /** A principal of theirs. */
  to: string;
}
export const noItems: Items = { request: '', unreviewed: '', hold: '', fresh: '', to: '' };

export interface Asking {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

/** `Form`: the words of a line, a request, or its body. */
export interface Act<Form> {
  readonly ask: (items: Items) => Form;
  readonly done: RegExp;
  /** Of an answer to whoever is locked: it is no refusal, or does not say why. */
  readonly locked?: RegExp;
  /** It takes another human than the one who asked. */
  readonly decides?: true;
}
export type Acts<Form> = Readonly<Record<string, Act<Form>>>;

export const bob = 'bob@example.org';
export const fetchText = ['fetch', 'text', 'mailbox', 'INBOX', 'all'];
const nothing = '01JD0000000000000000000000';
const nobody = 'nobody@example.org';

export const post = (path: string, body?: unknown): Asking => ({ method: 'POST', path, body });

/** The first of the two who lift a hold, and then the second one. */
export const isFirst = 'unlock first';
const isLifted = /is unlocked/;
const bothSteps = /until a second person lifts it|is unlocked/;
/** Whoever asks by this way approves it by their key. */
export const isOwnRequest = 'approve an own request';
/** Whoever is locked may ask about themselves. */
const told = /^(?:\+|200) .*\blocked\b.* is locked by /s;
const decides = true;

function alike<Form>(names: readonly string[], of: (name: string) => Act<Form>, prefix = ''): Acts<Form> {
  return Object.fromEntries(names.map((name) => [`${prefix}${name}`, of(name)]));
}

const line = (verb: string, ...words: string[]) => [`dovegate ${verb}`, ...words];
const plus = /^\+/;
const noId = /access-unknown|has this id/;
const quotaOf = ['-u', bob, '--', 'quota', 'get'];
const wish = [`--user=${bob}`, '--reason=ticket 1', '--', ...fetchText];

/** The words of a line, at a listener with the doveadm protocol. */
export const wireActs: Acts<readonly string[]> = {
  command: { ask: () => ['quota get'], done: plus },
  'dovegate can': { ask: () => line('can'), done: plus, locked: told },
  'dovegate explain': { ask: () => line('explain', ...quotaOf), done: plus, locked: told },
  'dovegate dry-run': { ask: () => line('dry-run', ...quotaOf), done: plus },
  'dovegate mailbox-report': { ask: () => line(reportPath, `--user=${bob}`), done: /only a key/ },
  'dovegate request': { ask: () => line('request', ...wish), done: plus },
  'dovegate grant': { ask: ({ to }) => line('grant', `--to=${to}`, ...wish), done: plus, decides },
  'dovegate requests': { ask: () => line('requests'), done: plus },
  'dovegate access': { ask: () => line('access', '--', nothing), done: noId },
  'dovegate approve': { ask: ({ request }) => line('approve', '--', request), done: plus, decides },
  'dovegate refuse': { ask: () => line('refuse', '--reason=no', '--', nothing), done: noId },
  'dovegate revoke': { ask: () => line('revoke', '--', nothing), done: noId },
  'dovegate review': { ask: ({ unreviewed }) => line('review', '--', unreviewed), done: plus, decides },
};

export const v1 = (path: string, body: unknown = {}): Asking => post(`/dovegate/v1/${path}`, body);
const ok = /^200 /;
const quota = [['quotaGet', { user: bob }, 't']];
const wished = { users: [bob], reason: 'ticket 3', command: fetchText };
export const httpActs: Acts<Asking> = {
  command: { ask: () => post('/doveadm/v1', quota), done: /^200 .*doveadmResponse/ },
  can: { ask: () => ({ method: 'GET', path: '/dovegate/v1/can' }), done: ok, locked: told },
  'dry-run': { ask: () => v1('dry-run', quota), done: /^200 .*doveadmResponse/ },
  [reportPath]: { ask: () => v1(reportPath, { user: bob }), done: /^200 |only a key/ },
  request: { ask: () => v1('request', wished), done: ok },
  grant: { ask: ({ to }) => v1('grant', { ...wished, to }), done: ok, decides },
  requests: { ask: () => v1('requests'), done: ok },
  approve: { ask: ({ request: id }) => v1('approve', { id }), done: ok, decides },
  refuse: { ask: () => v1('refuse', { id: nothing, reason: 'no' }), done: /^404 / },
  revoke: { ask: () => v1('revoke', { id: nothing }), done: /^404 / },
  review: { ask: ({ unreviewed: id }) => v1('review', { id }), done: ok, decides },
};

/** The words of the first route of that kind. */
const adminWords: Acts<readonly string[]> = {
  kill: { ask: () => [nothing], done: /no command/ },
  revoke: { ask: () => [nothing], done: /^404 / },
  drain: { ask: () => ['mail9'], done: /no backend/ },
  enable: { ask: () => ['mail9'], done: /no backend/ },
  confirm: { ask: () => ['nobody'], done: /no user nobody/ },
  lock: { ask: () => ['nobody-here', '60000', 'why'], done: /no person/ },
  unlock: { ask: ({ hold }) => [hold, 'why'], done: isLifted, decides },
  [isFirst]: { ask: ({ fresh }) => [fresh, 'why'], done: bothSteps, decides },
  // Its file is broken then.
  reload: { ask: () => [], done: /^409 / },
};
const kindOf = ([, of]: (typeof actionRoutes)[number]): string => of('x', '1', 'y').kind;
const adminLooks = ['/flushed', '/status.json'];
export const adminActs: Acts<Asking> = {
  ...alike(adminLooks, (path) => ({ ask: () => ({ method: 'GET', path }), done: /^200 / })),
  ...Object.fromEntries(
    Object.entries(adminWords).map(([name, act]) => {
      const found = actionRoutes.find((each) => kindOf(each) === name.split(' ', 1)[0]);
      const [method = '', path = ''] = found?.[0].split(' ') ?? [];
      const ask = (items: Items): Asking => {
        const words = act.ask(items).map(encodeURIComponent);
        return { method, path: path.replace(/:\w+/g, () => words.shift() ?? '') };
      };
      return [name, { ...act, ask }];
    }),
  ),
};

/** A stream of events may say at its end that it failed. */
const whole = /^200 (?!.*event: failed)/s;
/** What finds little is quick. */
const ofNobody = { filter: { user: nobody }, wanted: nothing };
/** At the socket of the page. */
export const peopleActs: Acts<Asking> = {
  open: { ask: () => post('/page/open'), done: /^200 https:/ },
  'verify whole': { ask: () => post('/page/verify'), done: whole },
  'owner report': { ask: () => post('/page/owner-report', { mailbox: nobody, form: 'owner' }), done: whole },
  ...alike(looks, (name) => ({
    ask: () => post(`/trail/${name}`, name === 'show' ? { wanted: nothing } : { filter: ofNobody.filter }),
    done: whole,
  })),
};

/** The bodies of what the page asks in a browser. */
const review = { policy: 'support', yaml: 'policies: { support: { users: ["*"], allow: [quota get] } }' };
const ask = (body?: unknown, done = whole): Act<unknown> => ({ ask: () => body, done });
const bodies: Acts<unknown> = {
  ...alike(['me', 'now', 'history', 'incidents', 'backends-csv', 'access', 'proof', 'keys'], () => ask()),
  ...alike(['approvals', 'uses'], () => ask()),
  ...alike(['acknowledge', 'verify', 'policies'], () => ask({})),
  ...alike(['search', 'histogram', 'export', 'extract', 'survey', 'requests', 'show'], () => ask(ofNobody)),
  ...alike(['drain', 'enable'], () => ask({ reason: 'why' }, /no backend/)),
  ...alike(['refuse', 'revoke'], () => ask({ reason: 'no' }, /^404 /)),
  ...alike<unknown>(['approve', 'review'], () => ({ ...ask({}, ok), decides })),
  kill: ask({}, /no command/),
  // The daemon takes a few a minute: its own check is that of the door.
  lock: ask({}, /target: must be a text/),
  unlock: { ask: ({ hold: target }) => ({ target, reason: 'why' }), done: isLifted, decides },
  [isFirst]: { ask: ({ fresh: target }) => ({ target, reason: 'why' }), done: bothSteps, decides },
  report: ask({ mailbox: nobody, form: 'json' }),
  explain: ask({ listener: 'support', words: ['quota', 'get'], user: bob }),
  suggest: ask({ policy: 'support', sinceMs: 0 }),
  check: ask(review),
  replay: ask({ ...review, sinceMs: 0 }),
  mailbox: ask({ user: bob }),
  prove: ask({ statement: 'policy support may never destroy' }),
  'sign in': ask(),
  // Whoever signs out is out.
  logout: ask(),
};
/** Those of a sign-in are one act, and two name nobody. */
const beforeSession = ['ways', 'redeem', 'login', 'oidc-begin', 'oidc-finish'];
const routes: Readonly<Record<string, { readonly route: string }>> = endpoints;
const words: Readonly<Record<string, string>> = {
  of: 'teams',
  span: '1h',
  problem: 'x',
  hours: '1',
  name: 'mail9',
};
export const browserActs: Acts<Asking> = Object.fromEntries(
  Object.entries(bodies).map(([name, act]) => {
    const [method = '', route = ''] = (routes[name === isFirst ? 'unlock' : name]?.route ?? '').split(' ');
    const ids = ({ request, unreviewed }: Items): string =>
      name === 'approve' ? request : name === 'review' ? unreviewed : nothing;
    const asking = (items: Items): Asking => {
      const path = route.replace(/:(\w+)/g, (_, word: string) => words[word] ?? ids(items));
      return { method, path, body: act.ask(items) };
    };
    return [name, { ...act, ask: asking }];
  }),
);

const call = (path: string, body: object): Asking => post(path, { from: [], ...body });
const operate = (action: DoorAction): Asking => call('/operate', { action });
const unlock = (target: string): Asking => operate({ kind: 'unlock', target, reason: 'why' });
const lock = {
  kind: 'lock',
  target: nothing,
  reason: 'why',
  forMs: 60_000,
  kills: false,
  isHold: false,
} as const;
const operated: readonly (readonly [DoorAction, RegExp])[] = [
  [{ kind: 'kill', id: nothing }, /no command/],
  [{ kind: 'drain', backend: nothing, reason: 'why' }, /no backend/],
  [{ kind: 'enable', backend: nothing }, /no backend/],
  [{ kind: 'acknowledge', text: nothing, hours: 1 }, /acknowledged/],
  [lock, /no person/],
];
const step = (name: string, id: string): Asking =>
  call('/access', { step: name, id, ...(name === 'refuse' && { reason: 'no' }) });
const item = /"items"/;
const facts = { fromSeq: 1, toSeq: 1, isDamaged: false, sha256: '0'.repeat(64) };
/** Calls of the page's process for a person. */
export const doorActs: Acts<Asking> = {
  ...alike(
    Object.keys(recordedActions),
    (action) => ({ ask: () => call('/record', { action, args: [] }), done: ok }),
    'record ',
  ),
  sign: { ask: () => call('/sign', { facts, filter: {}, after: [], rows: 1 }), done: ok },
  ...Object.fromEntries(
    operated.map(([action, done]) => [`operate ${action.kind}`, { ask: () => operate(action), done }]),
  ),
  'operate unlock': { ask: ({ hold }) => unlock(hold), done: isLifted, decides },
  [isFirst]: { ask: ({ fresh }) => unlock(fresh), done: bothSteps, decides },
  ...alike(['refuse', 'revoke'], (name) => ({ ask: () => step(name, nothing), done: noId }), 'access '),
  'access list': { ask: () => step('list', ''), done: item },
  'access approve': { ask: ({ request }) => step('approve', request), done: item, decides },
  'access review': { ask: ({ unreviewed }) => step('review', unreviewed), done: item, decides },
};
/** The other calls; `report` is by a token of a key, which is a way of its own. */
const withoutPerson = ['settings', 'now', 'facts', 'traffic', 'flush', 'refused', 'page', 'report'];

const noToken = /^401 .*this token is over|"this token is over/;
/** With a token that a key asked for. */
export const ownerActs: Acts<Asking> = {
  report: { ask: () => ({ method: 'GET', path: `/dovegate/v1/${reportPath}` }), done: ok, locked: noToken },
  'report at the door': { ask: () => call('/report', { address: '192.0.2.1' }), done: ok, locked: noToken },
};

/** Fails where the code has an act that is not here, or not any more. */
export function checkActs(): void {
  const same = (rows: object, names: readonly string[], of: readonly string[] = []): void => {
    const listed = Object.keys(rows).filter((name) => !of.includes(name));
    assert.deepEqual(listed.toSorted(), [...new Set(names)].toSorted());
  };
  same(wireActs, ['command', ...ownCommands.map(({ name }) => name)]);
  same(httpActs, ['command', 'can', 'dry-run', reportPath, ...accessPaths]);
  const none = (): never => assert.fail();
  const sources = { clock: createFakeClock(), snapshot: none, metrics: none, flushed: none, onError: none };
  const shown = [...createPages(sources)].flatMap(([path, { isHarmless }]) => (isHarmless ? [] : [path]));
  same(adminActs, [...shown, ...actionRoutes.map(kindOf), isFirst]);
  assert.deepEqual(
    looks.map(lookPath),
    looks.map((name) => `/trail/${name}`),
  );
  same({ ...bodies, ...alike(beforeSession, () => ask()) }, Object.keys(endpoints), ['sign in', isFirst]);
  const calls = Object.values(doorActs).map(({ ask: of }) => of(noItems).path.slice(1));
  assert.deepEqual([...new Set([...calls, ...withoutPerson])].toSorted(), Object.keys(doorCalls).toSorted());
  const kindsOf = (name: string): readonly string[] =>
    Object.keys(doorActs).flatMap((act) => (act.startsWith(name) ? act.slice(name.length + 1) : []));
  assert.deepEqual(kindsOf('access').toSorted(), ['list', ...accessSteps].toSorted());
  assert.deepEqual(
    kindsOf('operate').toSorted(),
    doorAction.options.map(({ shape: { kind } }) => kind.value).toSorted(),
  );
}
