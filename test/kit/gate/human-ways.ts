// Every way in which a human comes to the gate or to its page: as a user of this host, also behind sudo, su and in a container, as an
// account, a key or an operator, and on the page by each kind of sign-in. There are three humans for each way, and each is known by the
// word of that way alone, beside a key.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { Agent, request as secureRequest } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import type { Door } from '../../../src/gate/admin/access.js';
import { reportPath } from '../../../src/gate/session/http-access.js';
import type { SignInWay } from '../../../src/page/http/page-sessions.js';
import type { Proof } from '../../../src/rules/identity/human.js';
import { pageRoles } from '../../../src/rules/identity/roles.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import type { Owner } from '../plain/folder.js';
import { freePorts } from '../plain/free-ports.js';
import { openRawClient, type RawClientOptions } from '../plain/raw-client.js';
import { authorizationOf } from '../plain/raw-http.js';
import { launcherWith, type Standing, standAs } from '../plain/standing.js';
import { until } from '../plain/until.js';
import { generationOf } from './ask-door.js';
import type { Issued } from './certificates.js';
import { openGateway } from './gateway.js';
import {
  type Acts,
  type Asking,
  adminActs,
  bob,
  browserActs,
  doorActs,
  fetchText,
  httpActs,
  type Items,
  isOwnRequest,
  noItems,
  ownerActs,
  peopleActs,
  post,
  v1,
  wireActs,
} from './human-acts.js';
import { openOidcIssuer } from './oidc-issuer.js';
import { authority, filesOf, hash, password } from './tcp-gate.js';

/** `asked`: for the access, its review, or the lift of the hold; the second of two is another human. */
export const whos = ['locked', 'asked', 'second'] as const;
export type Who = (typeof whos)[number];

interface Human {
  readonly name: string;
  readonly uid: number;
  /** Of a user of this host who is somebody else. */
  readonly other: number;
  readonly range: number;
  readonly key: string;
}

type Asker = (act: string, items: Items) => Promise<string>;

interface Facts {
  readonly name: string;
  /** Whose humans come by it. */
  readonly human: string;
  /** Whether it shows which human acts, so that it may decide. */
  readonly proves: boolean;
  /** No user of the page has such a uid. */
  readonly isStrange?: boolean;
  /** Root alone locks at the admin socket. */
  readonly isRoot?: boolean;
  /** A group takes no step of access, whoever of it acts. */
  readonly isGroup?: boolean;
  /** Why it says nothing of a human. */
  readonly isNobodys?: string;
}

export interface Way extends Facts {
  readonly acts: Acts<unknown>;
  /** One value for all ways with the same acts. */
  readonly kind: object;
  /** Comes as that human, and asks with the answer as a text. */
  readonly open: (who: Who) => Promise<Asker>;
}

interface Stance {
  readonly of: (human: Human) => Standing;
  readonly proves: boolean;
}

/** How a process of a human stands to the kernel. */
const stances: Readonly<Record<string, Stance>> = {
  own: { of: ({ uid }) => ({ uid, loginUid: uid }), proves: true },
  sudo: { of: ({ uid, other }) => ({ uid: other, loginUid: uid }), proves: false },
  su: { of: ({ uid, other }) => ({ uid, loginUid: other }), proves: false },
  'sub-uid': { of: ({ uid, range }) => ({ uid, container: { range, isRoot: false } }), proves: false },
  container: {
    of: ({ uid, range }) => ({ uid, loginUid: uid, container: { range, isRoot: true } }),
    proves: true,
  },
  root: { of: ({ uid }) => ({ loginUid: uid }), proves: true },
  // Whoever has no login can set any, also one of their subordinate uids.
  'sub-login': { of: ({ other, range }) => ({ uid: other, loginUid: range + 7 }), proves: false },
};
const users = Object.keys(stances);

/** Each kind of proof at a listener, of the admin endpoints and of a sign-in, and the ways that have it. */
const listenerWays: Readonly<Record<Proof['kind'], readonly string[]>> = {
  kernel: ['own', 'sudo', 'su', 'sub-uid', 'sub-login', 'container', 'http own'],
  account: ['account', 'certificate', 'http account', 'http certificate'],
  key: ['http key'],
};
const adminWays: Readonly<Record<Door['kind'], readonly string[]>> = {
  unix: users.map((stance) => `${stance} at the admin socket`),
  tcp: ['token'],
};
const signInWays: Readonly<Record<SignInWay, readonly string[]>> = {
  link: ['link', 'link by sudo', 'link by sub-login'],
  password: ['password'],
  certificate: ['page certificate'],
  oidc: ['oidc sub', 'oidc email'],
  'oidc-group': ['oidc group', 'oidc group by sub'],
};
/** In the place of the page's process: for a person, and with what it knows of who opened the link, or of the issuer. */
const doorWays = ['door', 'door opener', 'door oidc'];

/** Of these the page knows the group alone. */
const inGroup = [...signInWays['oidc-group'], 'door oidc'];
const bySub = ['oidc sub', 'oidc group by sub'];

const nameOf = (way: string, who: Who): string => `${way.replaceAll(' ', '-')}-${who}`;

function makeHumans(): ReadonlyMap<string, Human> {
  const { kernel: _kernel, ...others } = listenerWays;
  const { link: _link, ...signIns } = signInWays;
  const ways = [
    ...Object.values(others),
    ...Object.values(signIns),
    doorWays,
    ['token', 'owner token'],
  ].flat();
  const names = [...users, ...ways].flatMap((way) => whos.map((who) => nameOf(way, who)));
  return new Map(
    names.map((name, at) => {
      const [uid, range] = [45_000 + 10 * at, 100_000_000 + 65_536 * at];
      return [name, { name, uid, other: uid + 1, range, key: makeKey(randomBytes(keyBytes)) }];
    }),
  );
}

const isOf = (ways: readonly string[], { name }: Human): boolean =>
  ways.some((way) => whos.some((who) => name === nameOf(way, who)));
const emailOf = ({ name }: Human): string => `${name}@idp.example`;
const identityOf = (human: Human): string => (isOf(bySub, human) ? `sub-${human.name}` : emailOf(human));

function proofOf(human: Human): string {
  const byPassword = isOf(['account', 'http account', 'password'], human);
  return byPassword ? `password_hash: "${hash}"` : `certificate_name: c-${human.name}`;
}

function pageProofOf(human: Human): string {
  if (isOf(users, human)) return `user: u-${human.name}`;
  if (!isOf(signInWays.oidc, human)) return proofOf(human);
  return `oidc: { ${isOf(bySub, human) ? 'sub' : 'email'}: ${identityOf(human)} }`;
}

function personOf(human: Human): string {
  const { name } = human;
  if (isOf(users, human)) return `users: [u-${name}]`;
  if (isOf(['account', 'certificate'], human)) return `accounts: [a-${name}]`;
  if (isOf(['http account', 'http certificate'], human)) return `accounts: [b-${name}]`;
  if (isOf(signInWays.oidc, human)) return `oidc: ${identityOf(human)}`;
  // They ask as a person of the page, and come as others.
  if (isOf(inGroup, human)) return `oidc: ${identityOf(human)}, page: [p-${name}]`;
  if (isOf(['door opener'], human)) return `users: [u-${name}], page: [p-${name}]`;
  return `page: [p-${name}]`;
}

interface Ports {
  readonly jobs: number;
  readonly panel: number;
  readonly admin: number;
  readonly page: number;
}

function configurationOf(humans: readonly Human[], ports: Ports, issuer: string) {
  const lines = (indent: number, of: (human: Human) => string): string =>
    humans.map((human) => `\n${' '.repeat(indent)}${of(human)}`).join('');
  const tls = '{ mode: implicit, certificate: gate.crt, key: gate.key, client_ca: ca.crt }';
  const roles = `roles: [${pageRoles.join(', ')}]`;
  const keyOf = ({ name, key }: Human): string =>
    `k-${name}: { hash: "${hashKey(key)}", policy: support, owner_reports: true }`;
  return {
    listeners: `
  support: { unix: support.sock, mode: "0666", policy: support }
  local: { unix: local.sock, protocol: http, mode: "0666", policy: support }
  jobs:
    tcp: "127.0.0.1:${ports.jobs}"
    tls: ${tls}
    accounts:${lines(6, (human) => `a-${human.name}: { ${proofOf(human)}, policy: support }`)}
  panel:
    tcp: "127.0.0.1:${ports.panel}"
    protocol: http
    tls: ${tls}
    accounts:${lines(6, (human) => `b-${human.name}: { ${proofOf(human)}, policy: support }`)}
    keys:${lines(6, keyOf)}`,
    policy: `
    users: ["*@example.org"]
    allow: [quota get]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 2h }
      - { command: mailbox status, approvals: 0, for: 2h, uses: 9 }
    requests: { open: 10, wait: 2h }
    approve: [support]`,
    more: `persons:${lines(2, (human) => `${human.name}: { ${personOf(human)}, keys: [k-${human.name}] }`)}${lines(
      2,
      ({ name }) => `other-${name}: { users: [o-${name}] }`,
    )}
admin:
  unix: admin.sock
  mode: "0666"
  tcp: "127.0.0.1:${ports.admin}"
  token_file: token
  door: door.sock
  page:
    tcp: "127.0.0.1:${ports.page}"
    tls: { certificate: gate.crt, key: gate.key, client_ca: ca.crt }
    unix: page/page.sock
    mode: "0666"
    approve: true
    oidc: { issuer: "${issuer}", client_id: dovegate, client_secret_file: secret }
    people:
      marker: { user: u-marker, password_hash: "${hash}", role: view }
      helpers: { oidc: { group: helpers }, ${roles} }${lines(
        6,
        (human) => `p-${human.name}: { ${pageProofOf(human)}, ${roles} }`,
      )}${lines(6, ({ name }) => `q-${name}: { user: o-${name}, ${roles} }`)}
`,
  };
}

interface Place {
  readonly socketPath?: string;
  readonly port?: number;
  readonly agent?: Agent;
  readonly authorization?: string;
}

const triesMost = 4;

/** `STATUS BODY`; of a stream without an end, what comes first. */
function say(place: Place, one: Asking, isStream = false, tries = 1): Promise<string> {
  const { method, path, body } = one;
  const { authorization, agent = false, socketPath, port } = place;
  const headers = authorization === undefined ? {} : { authorization };
  const send = agent === false ? plainRequest : secureRequest;
  return new Promise((resolve) => {
    const asking = { host: '127.0.0.1', port, socketPath, method, path, headers, agent };
    const asked = send(asking, (response) => {
      let text = `${response.statusCode} `;
      // As a person: on a busy machine the page may not hear the gate in time.
      const isLate = (): boolean => /^503 .*nothing came for/s.test(text) && tries < triesMost;
      const end = (): void => resolve(isLate() ? say(place, one, isStream, tries + 1) : text);
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        if (isStream) response.destroy();
      });
      response.on('end', end).on('close', end).on('error', end);
    });
    asked.on('error', (fault: NodeJS.ErrnoException) => {
      // As a browser: on a busy machine the page ends a handshake that is late, or a kept connection that is idle.
      const isEnded = agent !== false && fault.code === 'ECONNRESET' && tries < triesMost;
      resolve(isEnded ? say(place, one, isStream, tries + 1) : `0 ${fault.message}`);
    });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const bodyOf = (answer: string): unknown => JSON.parse(answer.slice(4));
const wordOf = (answer: string, key: string): string => String(Reflect.get(Object(bodyOf(answer)), key));

/** Asks again when the door says that it may. */
async function withinBudget(asks: () => Promise<string>): Promise<string> {
  const text = await asks();
  const waitMs = /asks too often; try again in (\d+) ms/.exec(text)?.[1];
  if (waitMs === undefined) return text;
  await pause(Number(waitMs));
  return withinBudget(asks);
}

/** Asks until it is done: on a busy machine the page may not hear the gate or an issuer in time. */
async function inTime(asks: () => Promise<string>): Promise<string> {
  let text = '';
  const isDone = async (): Promise<boolean> => (text = await asks()).startsWith('200 ');
  await until(isDone, () => `a sign-in: ${text}`);
  return text;
}

const ca = authority.certificatePem;
const sockets = ['support.sock', 'local.sock', 'admin.sock', 'page/page.sock'] as const;
const adminToken = 'the-token-of-the-admin-socket';
const marker = { uid: 44_999, loginUid: 44_999 };
const roleAt: Readonly<Record<string, string>> = { '/operate': 'operate', '/access': 'approve' };

export async function openHumanWays(owner: Owner) {
  const client = { clientId: 'dovegate', clientSecret: 'only-for-the-issuer' };
  const issuer = await openOidcIssuer(owner, client);
  const [jobs = 0, panel = 0, admin = 0, page = 0] = await freePorts(4);
  const humans = makeHumans();
  const all = [...humans.values()];
  const launcher = launcherWith(owner, [
    { name: 'u-marker', uid: marker.uid },
    ...all.flatMap(({ name, uid, other, range }) => [
      { name: `u-${name}`, uid, range },
      { name: `o-${name}`, uid: other },
    ]),
  ]);
  const secrets = { token: adminToken, secret: client.clientSecret };
  const { daemon } = await openGateway(owner, {
    ...configurationOf(all, { jobs, panel, admin, page }, issuer.address),
    launcher,
    files: { ...filesOf(authority), ...secrets, 'ca.crt': ca, 'page/.keep': '' },
    backend: { script: (_command, connection) => connection.status('+') },
  });
  for (const each of [daemon.folder, daemon.path('page')]) chmodSync(each, 0o711);

  const agents: Agent[] = [];
  owner.after(() => {
    for (const each of agents) each.destroy();
  });
  const secure = (shown?: Issued): Agent => {
    const certificate = shown && { cert: shown.certificatePem, key: shown.keyPem };
    const agent = new Agent({ ca, keepAlive: true, ...certificate });
    agents.push(agent);
    return agent;
  };
  const certificateOf = ({ name }: Human): Issued => authority.issue({ names: [`c-${name}`], client: true });
  const keyPlace = ({ key }: Human): Place => ({
    port: panel,
    agent: secure(),
    authorization: authorizationOf.key(key),
  });
  const asRoot = (path: string): Promise<string> =>
    say({ socketPath: daemon.path('admin.sock') }, post(path.split('/').map(encodeURIComponent).join('/')));

  const humanOf = (way: string, who: Who): Human =>
    humans.get(nameOf(way, who)) ?? assert.fail(`${way} ${who}`);
  const ways: Way[] = [];
  function add<Form>(
    facts: Facts,
    acts: Acts<Form>,
    open: (human: Human) => Promise<(form: Form, act: string) => Promise<string>>,
  ): void {
    const request = ['request', 'dovegate request'].find((act) => act in acts);
    const own = request === undefined ? {} : { [isOwnRequest]: acts[request] ?? assert.fail() };
    const every: Acts<Form> = { ...acts, ...own };
    ways.push({
      ...facts,
      acts: every,
      kind: acts,
      async open(who) {
        const human = humanOf(facts.human, who);
        const asks = await open(human);
        return async (act, items) => {
          const text = await asks((every[act] ?? assert.fail(act)).ask(items), act);
          const id = /"id":"(\w{26})"/.exec(text)?.[1];
          if (act !== isOwnRequest || id === undefined) return text;
          return say(keyPlace(human), v1('approve', { id }));
        };
      },
    });
  }

  const wire = async (options: RawClientOptions) => {
    const connection = await openRawClient({ minor: 2, owner, ...options });
    return async (fields: readonly string[]): Promise<string> => {
      const user = fields[0]?.startsWith('dovegate') === true ? '' : bob;
      const { status, logs, cells } = await connection.ask({ user, fields });
      return [status, ...logs.map(({ text }) => text), ...cells].join(' ');
    };
  };
  const http = (place: Place) => (asking: Asking) => say(place, asking);

  const standing = new Map<Human, Promise<readonly string[]>>();
  /** A path that leads to one of the sockets as this human stands there. */
  const from = async (
    human: Human,
    stance: string,
    socket: (typeof sockets)[number],
  ): Promise<{ readonly path: string; readonly socketPath: string }> => {
    const { of } = stances[stance] ?? assert.fail(stance);
    const paths =
      standing.get(human) ??
      standAs(
        owner,
        of(human),
        sockets.map((each) => daemon.path(each)),
      );
    standing.set(human, paths);
    const path = (await paths)[sockets.indexOf(socket)] ?? assert.fail(socket);
    return { path, socketPath: path };
  };
  for (const [stance, { proves }] of Object.entries(stances)) {
    const isRoot = stance === 'root';
    const at = (socket: string) => ({ name: `${stance} at the ${socket}`, human: stance });
    add({ ...at('admin socket'), proves: isRoot, isRoot }, adminActs, async (human) =>
      http(await from(human, stance, 'admin.sock')),
    );
    if (isRoot) continue;
    add({ name: stance, human: stance, proves }, wireActs, async (human) =>
      wire(await from(human, stance, 'support.sock')),
    );
    add({ ...at('page'), proves, isStrange: stance === 'sub-uid' }, peopleActs, async (human) =>
      http(await from(human, stance, 'page/page.sock')),
    );
  }
  const isNobodys = 'a token does not say who has it';
  const withToken = { port: admin, authorization: `Bearer ${adminToken}` };
  add({ name: 'token', human: 'token', proves: false, isRoot: false, isNobodys }, adminActs, async () =>
    http(withToken),
  );
  const tcp = { port: jobs, tls: 'implicit', ca, serverName: 'localhost' } as const;
  const shown = (human: string) => ({ name: human, human, proves: true });
  add(shown('account'), wireActs, ({ name }) => wire({ ...tcp, auth: { user: `a-${name}`, password } }));
  add(shown('certificate'), wireActs, (human) => wire({ ...tcp, certificate: certificateOf(human) }));
  add(shown('http account'), httpActs, async ({ name }) =>
    http({ port: panel, agent: secure(), authorization: authorizationOf.password(password, `b-${name}`) }),
  );
  add(shown('http certificate'), httpActs, async (human) =>
    http({ port: panel, agent: secure(certificateOf(human)) }),
  );
  add(shown('http key'), httpActs, async (human) => http(keyPlace(human)));
  add({ ...shown('http own'), human: 'own' }, httpActs, async (human) =>
    http(await from(human, 'own', 'local.sock')),
  );

  const browser = async (agent: Agent, signIn: (place: Place) => Promise<string>) => {
    const place = { port: page, agent };
    const entered = await inTime(() => signIn(place));
    const authorization = `Bearer ${wordOf(entered, 'token')}`;
    return (asking: Asking, act: string): Promise<string> =>
      act === 'sign in'
        ? signIn(place)
        : withinBudget(() => say({ ...place, authorization }, asking, act === 'now'));
  };
  for (const name of signInWays.link) {
    const stance = name.replace(/^link(?: by )?/, '') || 'own';
    add({ name, human: stance, proves: stances[stance]?.proves === true }, browserActs, async (human) => {
      const socket = await from(human, stance, 'page/page.sock');
      const links = await Promise.all([0, 1].map(() => inTime(() => say(socket, post('/page/open')))));
      return browser(secure(), async (place) => {
        const redeem = (opened = '') =>
          say(place, post('/api/redeem', { link: opened.split('#')[1]?.trim() }));
        const text = await redeem(links.shift());
        if (!text.includes('older than a minute')) return text;
        // The machine took longer than that for the others.
        const opened = await say(socket, post('/page/open'));
        return opened.startsWith('200 ') ? redeem(opened) : opened;
      });
    });
  }
  const login = (body: object) => (place: Place) => say(place, post('/api/login', body));
  add(shown('password'), browserActs, ({ name }) =>
    browser(secure(), login({ name: `p-${name}`, password })),
  );
  add(shown('page certificate'), browserActs, (human) => browser(secure(certificateOf(human)), login({})));
  let last: Promise<unknown> = Promise.resolve();
  /** One after the other: the issuer knows one human at a time. */
  const byOidc = (human: Human) => (place: Place) => {
    const finished = last.then(async () => {
      const [sub, email] = [`sub-${human.name}`, emailOf(human)];
      const groups = isOf(inGroup, human) ? ['helpers'] : [];
      issuer.person = { sub, email, email_verified: true, groups };
      const random = (): string => randomBytes(32).toString('base64url');
      const [state, nonce, verifier] = [random(), random(), random()];
      const challenge = createHash('sha256').update(verifier).digest('base64url');
      const begun = await say(place, post('/api/oidc/begin', { state, nonce, challenge }));
      if (!begun.startsWith('200 ')) return begun;
      const { headers } = await fetch(wordOf(begun, 'address'), { redirect: 'manual' });
      const response = new URL(headers.get('location') ?? '').hash.slice(1);
      const body = { response, state, nonce, verifier, issuer: issuer.address };
      return say(place, post('/api/oidc/finish', body));
    });
    last = finished.catch(() => undefined);
    return finished;
  };
  for (const name of [...signInWays.oidc, ...signInWays['oidc-group']]) {
    const isGroup = inGroup.includes(name);
    add({ name, human: name, proves: !isGroup, isGroup }, browserActs, (human) =>
      browser(secure(), byOidc(human)),
    );
  }

  /** A reload changes it. */
  let generation = 0;
  const doorPlace = { socketPath: daemon.path('door.sock') };
  const door =
    (person: string, seen: object = {}) =>
    (asking: Asking): Promise<string> => {
      const as = { person, role: roleAt[asking.path] ?? 'audit', generation };
      const body = { ...Object(asking.body), ...seen, as };
      return withinBudget(() => say(doorPlace, { ...asking, body }));
    };
  add(shown('door'), doorActs, async ({ name }) => door(`p-${name}`));
  add({ ...shown('door opener'), proves: false }, doorActs, async ({ name, uid, other }) =>
    door(`q-${name}`, { opener: { uid: other, loginUid: uid } }),
  );
  add({ ...shown('door oidc'), proves: false, isGroup: true }, doorActs, async (human) =>
    door('helpers', { from: [`oidc=${emailOf(human)}`] }),
  );
  add(shown('owner token'), ownerActs, async (human) => {
    const token = wordOf(await say(keyPlace(human), v1(reportPath, { user: bob })), 'token');
    const place = { port: page, agent: secure(), authorization: `Bearer ${token}` };
    return (asking) => {
      if (asking.method === 'GET') return say(place, asking);
      const { address }: { address?: string } = Object(asking.body);
      return say(doorPlace, { ...asking, body: { token, generation, address } });
    };
  });

  const refresh = async (): Promise<void> => {
    generation = await generationOf(daemon);
  };

  /** Whole: on a busy machine the name service may need a second question. */
  const lock = (target: string): Promise<void> =>
    until(
      async () => (await asRoot(`/lock/${target}/3600000/stolen`)).startsWith('200 '),
      `${target} is locked`,
    );

  return {
    ways,
    /** Those of the lists that are not here. */
    missing: [listenerWays, adminWays, signInWays]
      .flatMap((kinds) => Object.values<readonly string[]>(kinds).flat())
      .filter((name) => !ways.some((way) => way.name === name)),

    /** Call it after a reload. */
    refresh,

    /** What the human who asked has asked for: by their key, and at the door. */
    async itemsOf({ name, human: of, acts }: Way): Promise<Items> {
      const human = humanOf(of, 'asked');
      const place = keyPlace(human);
      const idOf = async (command: readonly string[]): Promise<string> =>
        wordOf(await say(place, v1('request', { users: [bob], reason: `for ${name}`, command })), 'id');
      const has = (word: string): boolean => Object.keys(acts).some((act) => act.split(' ').includes(word));
      const items = { ...noItems, to: `k-${human.name}@panel` };
      if (has('approve')) items.request = await idOf(fetchText);
      if (has('review')) items.unreviewed = await idOf(['mailbox status', 'messages', 'INBOX']);
      if (!has('unlock')) return items;
      for (const each of ['hold', 'fresh'] as const) {
        const held = await asRoot(`/hold/user:${each}-${name.replaceAll(' ', '-')}@example.org/-/why`);
        items[each] = /hold (\w{26})/.exec(held)?.[1] ?? assert.fail(held);
      }
      const lift = doorActs['operate unlock'] ?? assert.fail();
      assert.match(await door(`p-${human.name}`)(lift.ask(items)), /until a second person lifts it/);
      return items;
    },

    /** Each by another word; resolves when the page knows. The configuration is broken then. */
    async lockAll(): Promise<void> {
      const place = { port: page, agent: secure() };
      const entered = await login({ name: 'marker', password })(place);
      const locked = all.filter(({ name }) => name.endsWith('-locked'));
      // A few at a time, as the names of each are asked for.
      const left = locked.entries();
      const some = async (): Promise<void> => {
        for (const [at, human] of left) {
          const { name, uid } = human;
          const targets = [name, `k-${name}`, ...(isOf(users, human) ? [`u-${name}`, `${uid}`] : [])];
          await lock(targets[at % targets.length] ?? name);
        }
      };
      await Promise.all([some(), some(), some()]);
      await lock('u-marker');
      const me = { ...place, authorization: `Bearer ${wordOf(entered, 'token')}` };
      const [socketPath = ''] = await standAs(owner, marker, [daemon.path('page/page.sock')]);
      const asks = [
        () => say(me, { method: 'GET', path: '/api/me' }),
        () => say({ socketPath }, post('/trail/me')),
      ];
      // By either of two checks: a test of the test takes out one.
      const isKnown = async (): Promise<boolean> =>
        (await Promise.all(asks.map((each) => each()))).some((text) => text.includes(' is locked by '));
      await until(isKnown, 'the page knows who is locked');
      daemon.write('dovegate.yaml', 'version: 9\n');
    },
  };
}
