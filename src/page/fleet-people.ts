// `dovegate audit fleet people`: people ask for records of the mirror of a fleet, each journal of it as at the socket of the page on a
// gate: the same requests, views, roles, limits and sentences. A journal has a handle that names no host: the host comes with the rows
// that are shown, or to somebody who sees all. It reads the mirror, holds no key and changes nothing. No answer without a line in the log.

import { createHmac, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { systemClock } from '../adapters/host/clock.js';
import { createFindPeer } from '../adapters/host/find-peer.js';
import { createNameService } from '../adapters/host/name-service.js';
import { loadNative } from '../adapters/host/native.js';
import { onStop } from '../adapters/host/outputs.js';
import {
  createServiceManager,
  holdProcess,
  nameProcess,
  onSignal,
  takeServiceEnvironment,
  yieldToOthers,
} from '../adapters/host/process.js';
import { openHttpServer, plainAnswer, type TextAnswer } from '../adapters/http/server.js';
import { bindUnix } from '../adapters/net/listen.js';
import { descriptorOf } from '../adapters/net/transport.js';
import { refusedReply } from '../adapters/page/page-request.js';
import {
  createPeopleSocket,
  type PersonalRequest,
  peopleSocketLimits,
} from '../adapters/page/people-socket.js';
import type { AnswerEnd } from '../adapters/views/read-trail.js';
import type { PagePerson, UnixSocket } from '../domain/config/settings.js';
import { askedBytesMax, type Look, lookPath } from '../domain/records/views/look.js';
import { exitCodes } from '../ports/machine.js';
import { placeOf, withGroup } from '../setup/sockets.js';
import { createLooks } from './looks.js';
import { createPageAnswers, type PageParts } from './trail-answers.js';

export interface FleetPeopleSettings {
  readonly people: readonly PagePerson[];
  readonly socket: UnixSocket;
  readonly mirror: string;
}

export interface MirroredJournal {
  readonly host: string;
  readonly journal: string;
  readonly path: string;
}

export interface FleetPeopleOptions {
  /** Throws with what is wrong. */
  readonly read: () => FleetPeopleSettings;
  /** Throws the system's error. */
  readonly journals: (mirror: string) => readonly MirroredJournal[];
  /** Writes a line; rejects if it cannot be written. */
  readonly tell: (event: string, fields: Readonly<Record<string, unknown>>) => Promise<void>;
}

const socketName = 'people_socket';
/** What is not among them needs the key of the verifier, or the page. */
const served: readonly Look[] = ['me', 'search', 'export', 'report', 'survey', 'requests', 'show'];
const servedText =
  'this is the socket of a fleet: it answers audit search, show, report, export and access; whether anything is missing is said by the verifier, and an extract or a proof by the gate or its files';
const journalPath = /^\/journals\/([\w-]{22})(\/.*)$/;

/** Runs until a signal ends it; resolves to the exit code. Rejects as `read` throws, or with a ListenFault. */
export async function fleetPeople({ read, journals, tell }: FleetPeopleOptions): Promise<number> {
  const clock = systemClock;
  const environment = takeServiceEnvironment(process.env, process.pid);
  nameProcess('audit fleet people');
  yieldToOthers();
  const native = await loadNative();
  native.forbidCoreDumps();
  const release = holdProcess();
  const manager = createServiceManager(environment, native, clock);
  const names = createNameService(clock);
  const findPeer = createFindPeer(native, clock, names);
  const looks = createLooks(clock);
  const say = (event: string, text: string): void => void tell(event, { text }).catch(() => undefined);
  const onError = (text: string): void => say('people-failed', text);
  const log: PageParts['log'] = { report: ({ event, text }) => say(event, text) };
  /** Handles are of this process alone: nobody can find out by them whether a host is there. */
  const secret = randomBytes(32);
  let known = new Map<string, MirroredJournal>();

  async function open() {
    const settings = read();
    const users = settings.people.flatMap(({ user }) => user ?? []);
    const { group } = settings.socket;
    const numbers = await names.numbersOf({ users, groups: group === undefined ? [] : [group] });
    const byUid = new Map<number, PagePerson>();
    for (const person of settings.people) {
      const uid = numbers.uidOf(person.user ?? '');
      const other = uid === undefined ? undefined : byUid.get(uid);
      if (other !== undefined)
        throw new Error(`people: ${person.name} and ${other.name} are one user of this host`);
      if (uid === undefined) say('person-unknown', `${person.name}: this host has no user ${person.user}`);
      else byUid.set(uid, person);
      if (uid !== undefined && person.users !== undefined && (await readsFiles(uid, settings.mirror)))
        say('person-reads-files', `${person.name} has users, and may read the files of ${settings.mirror}`);
    }
    return { ...settings, numbers, byUid };
  }

  async function readsFiles(uid: number, mirror: string): Promise<boolean> {
    const found = statSync(mirror, { throwIfNoEntry: false });
    if (found === undefined) return false;
    const { gids } = await names.loginOf(uid);
    return (
      uid === found.uid ||
      (found.mode & 0o004) !== 0 ||
      ((found.mode & 0o040) !== 0 && gids.includes(found.gid))
    );
  }

  let now = await open();
  const people = { byUid: (uid: number) => now.byUid.get(uid), whyLocked: () => undefined };

  /** The requests of a gate's socket, about one journal; undefined: about none. */
  function answersAbout(one: MirroredJournal | undefined): (request: PersonalRequest) => Promise<TextAnswer> {
    return createPageAnswers({
      log,
      looks,
      people,
      listed: 'people of fleet.yaml',
      verify: async () => refusedReply(404, servedText),
      link: () => undefined,
      daemon: {
        told: { head: { directory: one?.path ?? '', ownKey: '' } },
        flush: async () => undefined,
        sign: () => Promise.reject(new Error('there is no key')),
        record({ name, from }, { action, args, rows }) {
          const view = now.people.find((person) => person.name === name)?.users;
          const { host, journal } = one ?? {};
          return tell('look', { by: name, action, from, view, host, journal, args, rows });
        },
      },
    });
  }

  async function answer(request: PersonalRequest): Promise<TextAnswer> {
    const [, handle, rest] = journalPath.exec(request.path) ?? [];
    const path = rest ?? request.path;
    const isMe = path === lookPath('me');
    const isServed = served.some((look) => lookPath(look) === path) && isMe === (handle === undefined);
    const one = handle === undefined ? undefined : known.get(handle);
    const person = people.byUid(request.who.uid);
    if (person !== undefined && !isServed) return plainAnswer(404, servedText);
    if (person !== undefined && !isMe && one === undefined)
      return plainAnswer(404, 'this journal is not known, perhaps since a restart; ask again');
    const answered = await answersAbout(one)({ ...request, path });
    if (answered.status !== 200 || person === undefined) return answered;
    if (one !== undefined) return { ...answered, body: ofHost(answered.body, one, person) };
    return {
      ...answered,
      body: `${JSON.stringify({ ...Object(JSON.parse(answered.body)), journals: list() })}\n`,
    };
  }

  function list(): readonly string[] {
    const found = journals(now.mirror).map((one): [string, MirroredJournal] => [
      createHmac('sha256', secret).update(`${one.host}/${one.journal}`).digest('base64url').slice(0, 22),
      one,
    ]);
    known = new Map(found);
    return [...known.keys()];
  }

  async function reload(): Promise<void> {
    try {
      const next = await open();
      if (JSON.stringify(next.socket) !== JSON.stringify(now.socket))
        throw new Error('a restart is needed for another people_socket');
      now = next;
      await tell('reloaded', { people: now.people.length });
    } catch (fault) {
      say('reload-refused', fault instanceof Error ? fault.message : String(fault));
    }
  }

  const server = await openHttpServer({
    clock,
    limits: peopleSocketLimits,
    bind: (acceptor) => {
      const place = placeOf(socketName, now.socket, now.numbers);
      return withGroup(socketName, now.socket.group, () => bindUnix(acceptor, place, onError));
    },
    headers: { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' },
    refusal: plainAnswer,
    answer: createPeopleSocket({
      bodyBytesMax: askedBytesMax,
      async whoIs(connection) {
        const found = findPeer(socketName, descriptorOf(connection)).describe();
        const { uid, pid, user, loginUid, loginUser } = await found;
        return uid === undefined ? undefined : { uid, pid, user, loginUid, loginUser };
      },
      answer,
    }),
    onError,
  });
  let reloading: Promise<void> = Promise.resolve();
  const offReload = onSignal(['SIGHUP'], () => {
    reloading = reloading.then(reload);
  });
  const stopped = new Promise<void>((resolve) => void onStop(resolve));
  try {
    manager.ready(`answers people about ${now.mirror}`);
    manager.watch(() => true);
    await tell('started', { mirror: now.mirror, people: now.people.length });
    await stopped;
    manager.stopping('stopped', 0);
    return exitCodes.ok;
  } finally {
    offReload();
    looks.close();
    await server.close();
    names.close();
    manager.close();
    release();
  }
}

/**
 * The last line of an answer names the host, if what is shown touches the person's users, or the person sees all. Else nothing in it does,
 * so no path does: records that touch no user, as a start, are shown of every journal.
 */
function ofHost(text: string, { host, path }: MirroredJournal, { users }: PagePerson): string {
  const within = `${JSON.stringify(path).slice(1, -1)}/`;
  const at = text.lastIndexOf('\n', text.length - 2) + 1;
  const { end }: { readonly end: AnswerEnd } = JSON.parse(text.slice(at));
  const isOfNobody = text.startsWith('{"found"') && end.story === undefined && end.grant === undefined;
  const isNamed = users === undefined || (end.rows > 0 && !isOfNobody);
  const notes = end.notes?.map((note) => note.replaceAll(`${path}/`, isNamed ? `${host}: ` : ''));
  const lines = text.slice(0, at).replaceAll(`"file":"${within}`, '"file":"');
  return `${lines}${JSON.stringify({ end: { ...end, notes, ...(isNamed && { host }) } })}\n`;
}
