// Sign-ins to the page, sessions, the table of roles and endpoints, and the record of what was refused. An endpoint is answered only to a
// session whose role the table has. A person who may see records is signed in only after the sign-in was recorded. Strangers cannot fill
// the journal: beyond ten refusals a second they are only counted.

import * as z from 'zod';
import type { DoorAction } from '../gate/door/action.js';
import type { LinkOpener } from '../gate/door/calls.js';
import { isCertificateOwner, type LoginGuard, Logins } from '../gate/login/logins.js';
import type { Log } from '../gate/telemetry/log.js';
import type { HttpPeer } from '../host/http/connections.js';
import { piecesUntil } from '../host/http/server.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import type { TlsOffer } from '../host/ports/transport.js';
import { sha256Hex } from '../host/values/digest.js';
import { parseLine } from '../host/values/values.js';
import { formatTime } from '../host/words/instants.js';
import type { PagePerson, PageSettings } from '../rules/config/settings.js';
import { type Login, parsePasswordHash } from '../rules/identity/credentials.js';
import { type Human, humanOnPage } from '../rules/identity/human.js';
import type { PageRole } from '../rules/identity/roles.js';
import { pageName } from '../rules/setup/certificates.js';
import { type Entered, type Me, type Ways } from './answers/api.js';
import { endpointRow } from './answers/endpoints.js';
import type { Daemon } from './daemon.js';
import {
  jsonReply,
  type PageCaller,
  type PageHandlers,
  type PageReply,
  refusalOf,
  refusedReply,
  replyOf,
} from './http/page-request.js';
import type { PageCall, PageServerOptions } from './http/page-server.js';
import { createPageSessions, isEntered, type PageSession, type SignInWay } from './http/page-sessions.js';
import { createOidc } from './oidc.js';
import type { People } from './people.js';

const refusals = { unknown: 404, refused: 403, failed: 409, unrecorded: 503, undone: 503 } as const;

export interface BrowserParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  readonly daemon: Pick<Daemon, 'record' | 'refused' | 'operate'>;
  readonly people: Pick<People, 'page' | 'byName' | 'whyLocked'>;
  readonly guard: LoginGuard;
  /** The page's certificate, with the authorities of client certificates. */
  readonly offer: () => TlsOffer | undefined;
  readonly handlers: PageHandlers;
  readonly host: string;
  readonly version: string;
}

/** Why a request was refused; values of the key `type`, never renamed. */
export type PageRefusal =
  | Parameters<PageServerOptions['onRefused']>[0]
  | 'no-token' // none was sent, or it is malformed
  | 'wrong-token' // of no session
  | 'session-ended' // the session is over, or the person was removed or changed
  | 'wrong-role' // the role may not ask for this
  | 'wrong-view' // it names mail users whom this person may not see
  | 'wrong-link' // of nobody
  | 'late-link' // older than a minute, or taken back
  | 'used-link'
  | 'wrong-password'
  | 'wrong-certificate' // none, or of nobody, or of several people
  | 'wrong-oidc'; // the issuer's answer is invalid, or names nobody of the page

/** Requests of one session at once: a stream and a few others. Those that take a right away have as many places of their own. */
const requestsMax = 12;
const textCharsMax = 256;

const crowdedText =
  'too many people use this page just now: 20 at most. Ask somebody to sign out, or use the commands of dovegate';
const signInText = 'sign in: run "dovegate page open" on this host, or give name and password';

export function createBrowserAnswers(parts: BrowserParts) {
  const { clock, log, daemon, people, guard, offer } = parts;
  const sessions = createPageSessions({ clock });
  const started = formatTime(clock.wallMs());
  const oidc = createOidc(parts);
  const counts = { signIns: 0, refusedSignIns: 0 };
  /** Refusals on their way to the daemon, and those that could not be reported. */
  let telling = 0;
  let untold = 0;
  let told: Promise<unknown> = Promise.resolve();
  let known: { readonly page: PageSettings | undefined; readonly logins: Logins } | undefined;

  function loginsNow(): Logins {
    const { page } = people;
    if (known === undefined || known.page !== page) known = { page, logins: loginsOf(page, guard) };
    return known.logins;
  }

  /** Returns a check whether the person still has the same roles, view and proofs, and whether the proof still counts. */
  function watchOf(person: PagePerson, human: Human, proved?: Login): () => boolean {
    const stamp = stampOf(person);
    return () => {
      const now = people.byName(person.name);
      if (now === undefined || stampOf(now) !== stamp || people.whyLocked(human) !== undefined) return false;
      return proved === undefined || loginsNow().policyOf(proved, offer()?.clientCa) !== undefined;
    };
  }

  function refuse(why: PageRefusal, { address }: HttpPeer, name: string | undefined, whole: string): void {
    // A stranger or an issuer may have chosen a long text.
    const what = whole.slice(0, refusedCharsMax);
    const text = `${why} from ${address ?? 'an unknown address'}${name === undefined ? '' : `, ${name}`}: ${what}`;
    log.report({ event: 'page-refused', level: 'warn', listener: pageName, address, type: why, text });
    if (signInRefusals.has(why)) counts.refusedSignIns += 1;
    // Bounds how many calls strangers can have waiting.
    if (telling >= tellingMax) {
      untold += 1;
      return;
    }
    const more = untold;
    untold = 0;
    telling += 1;
    // One after another, so that the journal keeps their order.
    told = told
      .then(() => daemon.refused({ why, address, person: name, what, more }))
      .catch(() => void (untold += more + 1))
      .finally(() => void (telling -= 1));
  }

  /** Rejects if it could not be recorded. */
  async function note(
    action: 'page-sign-in' | 'page-sign-out',
    person: PagePerson,
    session: PageSession,
    how?: string,
    words: readonly string[] = [],
  ) {
    const { address } = session;
    const args = how === undefined ? {} : { args: [`how=${how}`, ...words] };
    await daemon.record(callerOf(person, session, address), { action, ...args });
    const text = `${person.name}: ${action} from ${address ?? 'here'}`;
    log.report({ event: 'operator', level: 'info', text });
  }

  /** Records a new session, or ends it at once. A person who sees no records may sign in while nothing can be recorded. */
  async function welcome(
    token: string,
    session: PageSession,
    words: readonly string[] = [],
  ): Promise<PageReply> {
    const { name, how, endsMs } = session;
    const person = people.byName(name);
    try {
      if (person === undefined) throw new Error('the person is gone');
      await note('page-sign-in', person, session, how, words);
    } catch (fault) {
      const { status, message } = refusalOf(fault, `a sign-in of ${name}`, log);
      if (status !== 503 || person === undefined || person.roles.includes('audit')) {
        sessions.leave(session, message);
        return refusedReply(status, message);
      }
    }
    counts.signIns += 1;
    const entered: Entered = { token, ends: formatTime(endsMs) };
    return jsonReply(200, entered);
  }

  async function redeem({ peer, token }: PageCall, body: Body): Promise<PageReply> {
    const { link } = signIn.parse(body);
    if (link === undefined) return refusedReply(400, 'link: must be the text behind # in the link');
    const entered = sessions.redeem(link, peer.address, token);
    switch (entered.kind) {
      case 'entered':
        return welcome(entered.token, entered.session);
      case 'crowded':
        return refusedReply(503, crowdedText);
      case 'own':
        return refusedReply(409, 'this link opened the session that you have');
      case 'unknown':
        refuse('wrong-link', peer, undefined, 'redeem');
        break;
      case 'late':
        refuse('late-link', peer, entered.name, 'redeem');
        if (entered.why !== undefined) return refusedReply(403, entered.why);
        break;
      case 'used':
        refuse('used-link', peer, entered.name, 'redeem: the session that it opened was ended');
        break;
      default:
        return entered satisfies never;
    }
    return refusedReply(
      401,
      'this link was used already, or is older than a minute; run "dovegate page open" again',
    );
  }

  async function login(call: PageCall, body: Body): Promise<PageReply> {
    const { peer, signal } = call;
    const { address, certificate } = peer;
    const logins = loginsNow();
    const { name, password } = signIn.parse(body);
    if (name === undefined && password === undefined) {
      const owner = certificate === undefined ? undefined : logins.byCertificate(certificate, address);
      if (isCertificateOwner(owner, 'account')) return enter(owner.login, address, 'certificate');
      const shown =
        certificate === undefined ? 'none' : certificate.names.slice(0, 4).join(' ').slice(0, 200);
      refuse('wrong-certificate', peer, undefined, `login: certificate ${shown}`);
      const text =
        certificate === undefined
          ? 'this browser showed no certificate'
          : "the certificate is nobody's in admin.page.people, or of several people";
      return refusedReply(401, text);
    }
    if (name === undefined || password === undefined)
      return refusedReply(400, 'name and password: both must be texts of at most 256 characters');
    const tried = await logins.byPassword({
      address,
      user: name,
      password: Buffer.from(password),
      certified: undefined,
      signal,
    });
    if (tried.result === 'ok' || tried.result === 'remembered')
      return enter(tried.login, address, 'password');
    if (tried.result === 'crowded')
      return refusedReply(503, 'too many people sign in at once; try again in a few seconds');
    if (tried.result !== 'gone') refuse('wrong-password', peer, undefined, `login: ${name.slice(0, 64)}`);
    return refusedReply(401, 'this name and password do not fit');
  }

  function enter(proved: Login, address: string | undefined, how: SignInWay): Promise<PageReply> | PageReply {
    const person = people.byName(proved.account);
    // A reload removed the person in the meantime.
    if (person === undefined) return refusedReply(401, signInText);
    const { name } = person;
    const human = humanOnPage(person);
    const locked = people.whyLocked(human);
    if (locked !== undefined) return refusedReply(403, locked);
    const isStill = watchOf(person, human, proved);
    // The connection may be older than a reload that changed what its certificate is valid for.
    if (!isStill()) {
      refuse(
        how === 'certificate' ? 'wrong-certificate' : 'wrong-password',
        { address, certificate: undefined },
        undefined,
        'login',
      );
      return refusedReply(401, signInText);
    }
    const entered = sessions.enter({ name, how, address, isStill, whyOver: () => people.whyLocked(human) });
    if (!isEntered(entered, 'entered')) return refusedReply(503, crowdedText);
    return welcome(entered.token, entered.session);
  }

  async function oidcBegin({ origin }: PageCall, body: Body): Promise<PageReply> {
    const begun = await oidc.begin(body, origin);
    return 'status' in begun ? refusedReply(begun.status, begun.text) : jsonReply(200, begun);
  }

  async function oidcFinish({ origin, peer, signal }: PageCall, body: Body): Promise<PageReply> {
    const proved = await oidc.finish(body, origin, peer.address);
    if ('status' in proved) {
      if (proved.recorded !== undefined) refuse('wrong-oidc', peer, undefined, `oidc: ${proved.recorded}`);
      return refusedReply(proved.status, proved.text);
    }
    const { person, signIn } = proved;
    const human = humanOnPage(person, callerOf(person, signIn));
    const locked = people.whyLocked(human);
    if (locked !== undefined) return refusedReply(403, locked);
    const isSame = watchOf(person, human);
    // The client has gone, or a reload changed the person in the meantime.
    if (signal.aborted || !isSame()) return refusedReply(401, signInText);
    const ended = new AbortController();
    const entered = sessions.enter({
      ...signIn,
      name: person.name,
      address: peer.address,
      isStill: () => isSame() && proved.isStill(),
      whyOver: () => people.whyLocked(human),
      onEnd: () => ended.abort(),
    });
    if (!isEntered(entered, 'entered')) return refusedReply(503, crowdedText);
    const { session } = entered;
    const kept = oidc.keep(proved, ended.signal).then((why) => expire(session, person, why));
    kept.catch((fault: unknown) =>
      log.report({ event: 'admin-failed', level: 'error', text: messageOf(fault) }),
    );
    return welcome(entered.token, session, proved.words);
  }

  async function expire(session: PageSession, person: PagePerson, why: string | undefined): Promise<void> {
    if (why === undefined) return;
    const text = `the sign-in was not renewed: ${why}`;
    sessions.leave(session, text);
    log.report({ event: 'operator', level: 'info', text: `${person.name}: ${text}` });
    await note('page-sign-out', person, session, 'not-renewed');
  }

  function me(session: PageSession, { name, roles, users }: PagePerson): PageReply {
    const view = users === undefined ? {} : { users };
    const { host, version } = parts;
    const isByIssuer = session.oidc !== undefined;
    const shown: Me = { name, roles, ...view, isByIssuer, ends: formatTime(session.endsMs), host, version };
    return jsonReply(200, shown);
  }

  async function logout(session: PageSession, person: PagePerson): Promise<PageReply> {
    sessions.leave(session);
    try {
      await note('page-sign-out', person, session);
    } catch (fault) {
      log.report({ event: 'admin-failed', level: 'error', text: `a sign-out: ${messageOf(fault)}` });
    }
    return jsonReply(200, { text: 'signed out' });
  }

  /** Answers once it is done, even to a person whom it shuts out, such as one who locks their own name. */
  async function operate(who: PageCaller, action: DoorAction): Promise<PageReply> {
    const done = await daemon.operate(who, action);
    return done.kind === 'done' || done.kind === 'already'
      ? jsonReply(200, { text: done.text })
      : refusedReply(refusals[done.kind], done.text);
  }

  /** The ways to sign in, without names. All are offered until the daemon has sent its settings. */
  async function ways(): Promise<Ways> {
    const atIssuer = await oidc.way();
    const persons = people.page?.people;
    const has = (key: 'user' | 'passwordHash' | 'certificateName'): boolean =>
      persons === undefined || persons.some((person) => person[key] !== undefined);
    return {
      link: has('user'),
      password: has('passwordHash'),
      certificate: has('certificateName'),
      ...(atIssuer && { oidc: atIssuer }),
    };
  }

  async function answerStranger(call: PageCall): Promise<PageReply> {
    // Many strangers at once must not delay people who are signed in.
    await loginsNow().turnOf(call.peer.address, call.signal);
    const body = parseBody(await call.readBody());
    if (body === undefined) return refusedReply(400, 'the request must be a JSON object, and short');
    if (call.endpoint === 'redeem') return redeem(call, body);
    if (call.endpoint === 'oidc-begin') return oidcBegin(call, body);
    return call.endpoint === 'oidc-finish' ? oidcFinish(call, body) : login(call, body);
  }

  async function answer(call: PageCall): Promise<PageReply> {
    const { endpoint, params, token, peer } = call;
    const { roles: those, isUnlimited, isEnd } = endpointRow(endpoint);
    if (endpoint === 'ways') return jsonReply(200, await ways());
    if (those === 'nobody-yet') return answerStranger(call);
    if (token === undefined) {
      refuse('no-token', peer, undefined, endpoint);
      return unauthorized(signInText);
    }
    const found = sessions.find(token);
    switch (found.kind) {
      case 'unknown':
        refuse('wrong-token', peer, undefined, endpoint);
        return unauthorized(
          `the page was started again at {${started}} and ended all sessions; ${signInText}`,
        );
      case 'ended':
        refuse('session-ended', peer, found.name, endpoint);
        return unauthorized(`${found.why ?? 'the session has ended'}; ${signInText}`);
      case 'crowded':
        return refusedReply(503, crowdedText);
      case 'live':
        break;
      default:
        return found satisfies never;
    }
    const { session } = found;
    const person = people.byName(session.name);
    // Cannot happen: the session was found a moment ago, which checks the person.
    if (person === undefined) return unauthorized(signInText);
    // The members of a group are different people with one name.
    call.known(session.how === 'oidc-group' ? `${person.name} ${session.oidc?.[0]}` : person.name);
    if (!isAmong(person.roles, those)) {
      refuse('wrong-role', peer, person.name, [endpoint, ...params].join(' ').slice(0, 200));
      return refusedReply(403, whyNotAsked(person.name, person.roles, endpoint, those));
    }
    if (isUnlimited === true && person.users !== undefined) {
      refuse('wrong-view', peer, person.name, endpoint);
      const text = `${person.name} sees the records of ${person.users.join(' ')} only, and this names other mail users; it needs a person without "users" in admin.page.people`;
      return refusedReply(403, text);
    }
    const running = new AbortController();
    const end = (): void => running.abort(new Error('the client has gone, or the session has ended'));
    const done = sessions.begin(session, isEnd === true ? 2 * requestsMax : requestsMax, end);
    if (done === undefined)
      return refusedReply(429, 'this page is open too often; close some of its windows');
    const onDone = (): void => {
      end();
      done();
    };
    // The signal is aborted at the end of each answer.
    call.signal.addEventListener('abort', onDone, { once: true });
    if (call.signal.aborted) onDone();
    const reply = await serve(call, session, person, running.signal);
    return 'pieces' in reply ? { ...reply, pieces: piecesUntil(running.signal, reply.pieces) } : reply;
  }

  const acts: PageHandlers = {
    drain: ({ params: [backend = ''], who }, asked) => operate(who, { kind: 'drain', backend, ...asked }),
    enable: ({ params: [backend = ''], who }) => operate(who, { kind: 'enable', backend }),
    acknowledge: ({ params: [problem = '', hours = ''], who }) =>
      operate(who, { kind: 'acknowledge', text: problem, hours: Number(hours) }),
    lock: ({ who }, asked) => operate(who, { kind: 'lock', ...asked }),
    unlock: ({ who }, asked) => operate(who, { kind: 'unlock', ...asked }),
    kill: ({ params: [id = ''], who }) => operate(who, { kind: 'kill', id }),
  };

  const handlers: PageHandlers = { ...parts.handlers, ...acts };

  async function serve(
    call: PageCall,
    session: PageSession,
    person: PagePerson,
    signal: AbortSignal,
  ): Promise<PageReply> {
    const { endpoint, params, peer } = call;
    if (endpoint === 'me') return me(session, person);
    if (endpoint === 'logout') return logout(session, person);
    const body = await call.readBody();
    if (body === undefined) return refusedReply(413, 'the request is too long');
    const who = callerOf(person, session, peer.address);
    const isStill = (): boolean => sessions.isLive(session);
    const reply = await replyOf(handlers, { endpoint, params, body, who, isStill, signal }, log);
    // Pieces end with the session. A whole answer may have taken longer to make or to record than the session lasted.
    if (endpoint in acts || 'pieces' in reply) return reply;
    if (!isStill()) return unauthorized(`the session has ended; ${signInText}`);
    // A report has a record of its own.
    if (reply.status === 403 && endpoint !== 'report') refuse('wrong-view', peer, who.name, endpoint);
    return reply;
  }

  return {
    answer,
    /** A request that the server refused. */
    refused(why: PageRefusal, peer: HttpPeer, what: string): void {
      refuse(why, peer, undefined, what);
    },
    /** The part after `#` of a link for a person whom the kernel identified. */
    link(person: PagePerson, opener: LinkOpener): string {
      const human = humanOnPage(person, callerOf(person, { opener }));
      return sessions.link(person.name, opener, watchOf(person, human), () => people.whyLocked(human));
    },
    /** Call after a reload: ends the sessions of people who are gone or have changed. */
    review: (): void => sessions.review(),
    counts,
    count: (): number => sessions.count(),
    close: (): void => sessions.close(),
  };
}

const signInRefusals: ReadonlySet<PageRefusal> = new Set([
  'wrong-link',
  'late-link',
  'used-link',
  'wrong-password',
  'wrong-certificate',
  'wrong-oidc',
]);
const tellingMax = 16;
const refusedCharsMax = 900;

/** For records: the address and the identities at the issuer, since the name of a group does not say which person it was. */
function callerOf(
  { name, roles, users }: PagePerson,
  { how, opener, oidc = [] }: Partial<Pick<PageSession, 'how' | 'opener' | 'oidc'>>,
  address?: string,
): PageCaller {
  const from = [
    ...(address === undefined ? [] : [`address=${address}`]),
    ...oidc.map((each) => `oidc=${each}`),
  ];
  return { name, roles, users, how, opener, from };
}

function unauthorized(text: string): PageReply {
  return { ...refusedReply(401, text), headers: { 'WWW-Authenticate': 'Bearer' } };
}

/** People as accounts of a listener, so that logins here have the same rate limits and the same rule for names. */
function loginsOf(page: PageSettings | undefined, guard: LoginGuard): Logins {
  const accounts = (page?.people ?? []).map(({ name, certificateName, passwordHash: written }) => {
    const passwordHash = written === undefined ? undefined : parsePasswordHash(written);
    if (typeof passwordHash === 'string') throw new Error(`${name}: the password hash ${passwordHash}`);
    return { name, policy: pageName, passwordHash, certificateName };
  });
  return new Logins(pageName, accounts, guard);
}

/** Changes when anything about a person changes that decides about sign-in or rights. */
function stampOf({ name, roles, users, user, certificateName, passwordHash, oidc }: PagePerson): string {
  const proofs = [user ?? '', certificateName ?? '', passwordHash ?? '', oidc ?? null];
  return sha256Hex(JSON.stringify([name, roles, users ?? null, ...proofs]));
}

type Body = Readonly<Record<string, unknown>>;

function parseBody(text: string | undefined): Body | undefined {
  return parseLine(text === '' ? '{}' : (text ?? ''));
}

const word = z.string().min(1).max(textCharsMax).optional().catch(undefined);
const signIn = z.object({ link: word, name: word, password: word });

export function isAmong(roles: readonly PageRole[], those: readonly PageRole[]): boolean {
  return roles.some((role) => those.includes(role));
}

export function whyNotAsked(
  name: string,
  roles: readonly PageRole[],
  what: string,
  those: readonly PageRole[],
): string {
  const own = `${roles.length === 1 ? 'role' : 'roles'} "${roles.join('" and "')}"`;
  return `${name} has the ${own}, which may not ask for ${what}: that needs "${those.join('" or "')}"`;
}
