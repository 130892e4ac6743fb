// `dovegate page`: the page in the browser and the socket of people, in a process of their own. Everything that it knows of the daemon
// comes through `admin.door`; of the disk it reads the journal, its own certificate and key, and its files. It goes on without the daemon,
// and says so: sessions are kept, and nothing that needs a record is answered.

import { askedBytesMax } from '../evidence/views/look.js';
import { Opened, openProcess, watchFatalErrors } from '../gate/daemon/life.js';
import { doorCalls, type LinkOpener } from '../gate/door/calls.js';
import { createDoorClient } from '../gate/door/door-client.js';
import { createLoginGuard } from '../gate/login/logins.js';
import { createLog, type Log } from '../gate/telemetry/log.js';
import { pause } from '../host/concurrency/waiting.js';
import { openHttpServer, plainAnswer } from '../host/http/server.js';
import { randomFraction, systemClock } from '../host/machine/clock.js';
import { trustedByUs, whyNoRight, whyUnsafe } from '../host/machine/files.js';
import { hostName, nameProcess, programVersion, readerOfStdout } from '../host/machine/process.js';
import { leaveHalfToOthers, yieldToOthers } from '../host/machine/share-processor.js';
import { bindInherited, bindTcp, bindUnix, ListenFault } from '../host/net/listen.js';
import { prepareOffer } from '../host/net/tls-accept.js';
import { descriptorOf } from '../host/net/transport.js';
import { messageOf } from '../host/ports/faults.js';
import { exitCodes, type Timer } from '../host/ports/machine.js';
import { networkOf } from '../host/ports/peer.js';
import type { PagePerson, PageSettings, Settings } from '../rules/config/settings.js';
import { humanOf } from '../rules/identity/human.js';
import { createCertificates, pageName, pageTlsFilesOf } from '../rules/setup/certificates.js';
import { acceptWith, PassedSockets, placeOf, withGroup } from '../rules/setup/sockets.js';
import { createAccessHandlers } from './access-answers.js';
import { createApprovalHandlers } from './approvals-answers.js';
import { createBrowserAnswers } from './browser-answers.js';
import { Daemon } from './daemon.js';
import { createFleetNow } from './fleet-look.js';
import { createHistoryAnswers } from './history-answers.js';
import { createPageFiles } from './http/page-files.js';
import { openPageServer, pageAddress, pagePlace } from './http/page-server.js';
import { createPeopleSocket, peopleSocketLimits, type SocketPeer } from './http/people-socket.js';
import { createIncidentsAnswers } from './incidents-answers.js';
import { createLooks } from './looks.js';
import { createNowHandlers } from './now-answers.js';
import { NowStream } from './now-stream.js';
import { createOwnerAnswers } from './owner-answers.js';
import { createPastUses } from './past-uses.js';
import { People } from './people.js';
import { createProofHandlers } from './proof-answers.js';
import { createReviewHandlers } from './review-answers.js';
import { createPageAnswers, createTrailHandlers } from './trail-answers.js';
import { createWider } from './wider.js';

const tellMs = 5_000;
/** Pause before a socket that could not be made is tried again. */
const retryMs = 10_000;
/** Time for the end: running answers are cut off. */
const endMs = 5_000;
const flushMsMax = 1_000;

const passedNames = { unix: 'page', tcp: 'page-tcp' } as const;

export interface PageProcessOptions {
  readonly door: string;
}

/** Runs until a signal ends it; resolves to the exit code. */
export async function page({ door }: PageProcessOptions): Promise<number> {
  nameProcess('page');
  // The gate's commands have priority over people who look at them.
  yieldToOthers();
  const log = createLog('info', readerOfStdout(), systemClock);
  const fatal = watchFatalErrors(log);
  const opened = new Opened(log);
  let code: number = exitCodes.ok;
  try {
    const own = await fatal.race(openProcess(log, fatal, opened));
    leaveHalfToOthers(own.native);
    const { manager, stop } = own;
    const { status, unserved } = await fatal.race(open({ door }, log, own, opened));
    manager.ready(status());
    manager.follow(status);
    manager.watch(() => true);
    log.report({ event: 'started', level: 'info', text: `dovegate page ${programVersion} asks at ${door}` });
    await fatal.race(Promise.race([stop.first, unserved]));
    manager.stopping('ends', endMs);
  } catch (fault) {
    const event = fault instanceof ListenFault ? 'listen-failed' : 'start-failed';
    if (!fatal.hasHappened) log.report({ event, level: 'error', text: messageOf(fault) });
    code = exitCodes.configuration;
  }
  await opened.close(pause(systemClock, endMs).then(() => `not within ${endMs / 1000} s`));
  if (!fatal.hasHappened && code === exitCodes.ok)
    log.report({ event: 'stopped', level: 'info', text: 'the page is closed' });
  await Promise.race([log.flush(), pause(systemClock, flushMsMax)]);
  return fatal.hasHappened ? exitCodes.bug : code;
}

type Own = Awaited<ReturnType<typeof openProcess>>;

interface OpenedPage {
  readonly status: () => string;
  /** Rejects with a ListenFault if the first settings name sockets and none of them could be opened. */
  readonly unserved: Promise<never>;
}

async function open(options: PageProcessOptions, log: Log, own: Own, opened: Opened): Promise<OpenedPage> {
  const { clock, native, names, findPeer } = own;
  const passed = new PassedSockets(own.passed, native);
  const onError = (text: string): void => log.report({ event: 'admin-failed', level: 'error', text });
  const guard = createLoginGuard(clock);
  const daemon = new Daemon({
    clock,
    log,
    names,
    client: createDoorClient({ path: options.door, calls: doorCalls }, clock, randomFraction),
    onSettings: () => review(),
  });
  opened.add('the door', () => daemon.close());
  const people = new People(daemon);
  const certificates = createCertificates({
    clock,
    prepareOffer,
    report: (event) => log.report({ ...event }),
    onReplaced: () => browsers.review(),
  });
  opened.add('certificates', () => certificates.close());
  const looks = createLooks(clock);
  opened.add('looks at the journal', () => looks.close());
  const stream = new NowStream({ clock, states: (signal) => daemon.states(signal) });
  const fleet = createFleetNow(daemon, clock);
  const parts = { clock, log, names, daemon, people, looks, fleet };
  const proof = createProofHandlers(parts);
  const charts = createHistoryAnswers(clock, daemon);
  opened.add('samples of the traffic', () => charts.close());
  const past = createIncidentsAnswers(parts);
  opened.add('incidents', () => past.close());
  const browsers = createBrowserAnswers({
    ...parts,
    guard,
    offer: () => certificates.offerOf(pageName),
    handlers: {
      ...createTrailHandlers(parts),
      ...createReviewHandlers(parts),
      ...createAccessHandlers({
        ...parts,
        certificates: certificates.expiries,
        pastUses: createPastUses(clock, looks),
      }),
      ...proof,
      ...createNowHandlers(daemon, stream, createWider(daemon, looks)),
      ...createApprovalHandlers(parts),
      history: charts.history,
      incidents: past.incidents,
    },
    host: hostName(),
    version: programVersion,
  });
  opened.add('sessions', () => browsers.close());
  const answerOwner = createOwnerAnswers({
    ...parts,
    guard,
    refused: (peer) => browsers.refused('wrong-token', peer, 'mailbox-report'),
  });
  const answerPeople = createPageAnswers({
    ...parts,
    handlers: proof,
    link: linkFor,
  });
  const files = createPageFiles();

  /** What a socket was made for, as text; its close function, or why it could not be made. */
  type Served = { readonly meant: string; readonly close?: () => Promise<unknown>; readonly fault?: string };
  const served: Partial<Record<'unix' | 'tcp', Served>> = {};
  let hasServed = false;
  let giveUp: (fault: ListenFault) => void = () => undefined;
  const unserved = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  unserved.catch(() => undefined);
  let listening: Promise<void> = Promise.resolve();
  let tlsFault: string | undefined;
  let retry: Timer | undefined;
  let telling: Timer | undefined;
  opened.add('the sockets', async () => {
    retry?.cancel();
    telling?.cancel();
    await Promise.all([served.unix?.close?.(), served.tcp?.close?.()]);
  });

  // A socket passed by systemd is served even while there is no daemon.
  if (passed.has(passedNames.unix)) await serveAt('unix', 'passed', () => listenForPeople(undefined));
  void daemon.follow();
  tell();
  return { status, unserved };

  function status(): string {
    const { tcp, tls } = people.page ?? {};
    if (daemon.away !== undefined) return `waits for dovegate: ${daemon.away}`;
    if (people.page === undefined) return 'the configuration of dovegate has no admin.page';
    const why = problem();
    if (why !== undefined) return why;
    return tcp === undefined
      ? 'serves people at admin.page.unix'
      : `serves ${pageAddress(tcp, tls !== undefined, hostName())}`;
  }

  function problem(): string | undefined {
    const { directory } = daemon.told?.head ?? {};
    const denied = directory === undefined ? undefined : whyNoRight(directory, 'read', 'enter');
    if (denied !== undefined)
      return `cannot read the journal in ${directory} (${denied}): its user must be in the group of audit.group`;
    const path = people.page?.socket?.path;
    if (served.unix?.close !== undefined && path !== undefined && whyNoRight(path, 'write') === 'ENOENT')
      return `admin.page.unix is gone (${path}): restart dovegate-page.socket and dovegate-page.service`;
    const fault = served.unix?.fault ?? served.tcp?.fault;
    // The earlier certificate is still in use.
    return fault ?? (tlsFault === undefined ? undefined : `admin.page.tls: ${tlsFault}`);
  }

  function linkFor(person: PagePerson, opener: LinkOpener): string | undefined {
    const { tcp, tls } = people.page ?? {};
    if (served.tcp?.close === undefined) return undefined;
    return tcp && `${pageAddress(tcp, tls !== undefined, hostName())}/#${browsers.link(person, opener)}`;
  }

  /** Call after new settings. */
  async function review(): Promise<void> {
    const { settings } = daemon.told ?? {};
    if (settings === undefined) return;
    log.configure(settings.log);
    lookAtSecrets(settings);
    readCertificate();
    browsers.review();
    await listen();
    if (!hasServed && people.page !== undefined) return;
    log.report({ event: 'page-opened', level: problem() === undefined ? 'info' : 'warn', text: status() });
    tell();
  }

  /** Reports a secret that others can read, and uses it: `check` refuses it, but the daemon does not read this file at a reload. */
  function lookAtSecrets({ admin }: Settings): void {
    const file = admin?.page?.oidc?.clientSecretFile;
    const unsafe = file === undefined ? undefined : whyUnsafe(file, true, trustedByUs());
    if (unsafe !== undefined) log.report({ event: 'secret-unsafe', level: 'warn', text: unsafe.text });
  }

  function readCertificate(): void {
    tlsFault = undefined;
    try {
      certificates.prepare(pageTlsFilesOf(daemon.told?.settings ?? {}), []).commit();
    } catch (fault) {
      tlsFault = messageOf(fault);
    }
  }

  /** Makes the sockets that the settings name and removes others, one after the other. Never rejects. */
  function listen(): Promise<void> {
    listening = listening.then(listenNow);
    return listening;
  }

  async function listenNow(): Promise<void> {
    retry?.cancel();
    const { socket, tcp, tls } = people.page ?? {};
    const hasTls = tls !== undefined;
    const unix = passed.has(passedNames.unix) ? 'passed' : JSON.stringify(socket);
    await Promise.all([
      serveAt('unix', unix, () => listenForPeople(socket)),
      serveAt('tcp', tcp && JSON.stringify([tcp, hasTls]), () => listenForBrowsers(tcp, hasTls)),
    ]);
    const faults = [served.unix?.fault, served.tcp?.fault].filter((each) => each !== undefined);
    hasServed ||= served.unix?.close !== undefined || served.tcp?.close !== undefined;
    if (faults.length === 0) return;
    if (!hasServed) {
      const text = `admin.page: none of its sockets could be opened (${faults.join('; ')}); stop another "dovegate page" that has them, or correct admin.page, then start the page again`;
      return giveUp(new ListenFault(text));
    }
    retry = clock.setTimer(retryMs, () => {
      readCertificate();
      void listen();
    });
  }

  /** `meant`: what the socket is for, as text; undefined: there must be none. */
  async function serveAt(
    what: 'unix' | 'tcp',
    meant: string | undefined,
    make: () => Promise<{ close(): Promise<unknown> }>,
  ): Promise<void> {
    const before = served[what];
    if (before?.meant === meant && before?.fault === undefined) return;
    await before?.close?.();
    delete served[what];
    if (meant === undefined) return;
    try {
      const made = await make();
      served[what] = { meant, close: () => made.close() };
    } catch (cause) {
      const fault = messageOf(cause);
      served[what] = { meant, fault };
      if (before?.fault !== fault) log.report({ event: 'listen-failed', level: 'error', text: fault });
    }
  }

  function listenForPeople(socket: PageSettings['socket']): Promise<{ close(): Promise<unknown> }> {
    const answer = createPeopleSocket({
      bodyBytesMax: askedBytesMax,
      whoIs,
      answer: (request) => answerPeople(request),
    });
    return openHttpServer({
      clock,
      limits: peopleSocketLimits,
      bind: (server) => {
        if (passed.has(passedNames.unix)) {
          const descriptor = passed.take(passedNames.unix, 'unix', pageName);
          return bindInherited(server, { name: passedNames.unix, descriptor }, onError);
        }
        const { numbers } = daemon.told ?? {};
        if (socket === undefined || numbers === undefined) throw new Error('admin.page.unix is not there');
        const place = placeOf('admin.page', socket, numbers);
        return withGroup('admin.page', socket.group, () => bindUnix(server, place, onError));
      },
      headers: { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' },
      refusal: plainAnswer,
      answer,
      onError,
    });
  }

  async function whoIs(connection: Parameters<typeof descriptorOf>[0]): Promise<SocketPeer | undefined> {
    const peer = await findPeer(pageName, descriptorOf(connection)).describe();
    const { uid, pid, user, loginUid, loginUser } = peer;
    const { isUnanswered } = humanOf(peer, { kind: 'kernel' }, names.hasDirectory());
    const [rangeOwners, loginOwners] = [peer.rangeOwners, peer.loginOwners].map((owners) =>
      owners === 'unknown' ? undefined : owners,
    );
    return uid === undefined
      ? undefined
      : { uid, pid, user, loginUid, loginUser, rangeOwners, loginOwners, isUnanswered };
  }

  function listenForBrowsers(
    tcp: PageSettings['tcp'],
    hasTls: boolean,
  ): Promise<{ close(): Promise<unknown> }> {
    if (tcp === undefined) throw new Error('admin.page.tcp is not there');
    const offer = () => certificates.offerOf(pageName);
    if (hasTls && offer() === undefined)
      throw new ListenFault(`admin.page.tls: ${tlsFault ?? 'there is no certificate'}`);
    const accept = acceptWith(offer);
    // A handshake costs a millisecond: many at once must not delay those who are signed in.
    const secure = async (plain: Parameters<typeof accept>[0]): ReturnType<typeof accept> => {
      await guard.turns.take(networkOf(plain.remoteAddress ?? '-'));
      if (plain.destroyed) throw new Error('the client has gone');
      return accept(plain);
    };
    return openPageServer({
      clock,
      place: pagePlace(tcp.host, hasTls, () => offer()?.certificate.chain),
      bind: (server) => {
        if (!passed.has(passedNames.tcp)) return bindTcp(server, tcp, onError);
        const descriptor = passed.take(passedNames.tcp, 'tcp', pageName);
        return bindInherited(server, { name: passedNames.tcp, descriptor }, onError);
      },
      ...(hasTls && { secure }),
      files,
      answer: browsers.answer,
      answerOwner,
      onRefused: (...refused) => browsers.refused(...refused),
      onError,
    });
  }

  function tell(): void {
    telling?.cancel();
    telling = clock.setTimer(tellMs, tell);
    if (daemon.away !== undefined) return;
    const told = {
      version: programVersion,
      certificates: certificates.expiries(),
      people: browsers.count(),
      watchers: stream.watchers,
      ...browsers.counts,
      problem: problem(),
    };
    daemon.tell(told).catch((fault: unknown) => onError(`the door: ${messageOf(fault)}`));
  }
}
