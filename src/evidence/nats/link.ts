// A connection to the servers of a NATS cluster, with the JetStream requests of gates and verifiers. It is always TLS. A lost connection
// stays lost: its user opens another one and checks the state. The library is an optional package, loaded with the first link.

import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { bounds } from '../../host/bounds/bounds.js';
import { systemClock } from '../../host/machine/clock.js';
import { asList, asObject, asText, asTexts, isCount, isText, parseLine } from '../../host/values/values.js';
import { allSubjects } from '../fleet/block.js';
import type { FleetMessage } from '../fleet/shapes.js';
import { configOf, type StreamConfig, type StreamWish } from '../streams/made.js';
import { type Dialled, dial, loadLibrary, type NatsLibrary, type NatsSettings, readFiles } from './dial.js';
import { messageOfDirect, requestDirect } from './direct.js';
import { faultOfAnswer, faultOfRequest, NatsFault, type NatsFaultCode } from './fault.js';
import { type ReadDoor, type ReadTask, readStream, readsAtOnce } from './read.js';
import { findRights, type StreamRight } from './rights.js';
import { type NatsServer, placeOf } from './servers.js';

export interface StreamInfo {
  /** RFC 3339, from the server: with another time it is another stream. */
  readonly created: string;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** When these were stored, by the server's clock in milliseconds since 1970; without messages they prove nothing. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly messages: number;
  readonly bytes: number;
  readonly subjects: readonly string[];
  /** Its limit; undefined: that of the server. */
  readonly maxBytes: number | undefined;
  readonly config: StreamConfig;
}

/** Every promise rejects with a NatsFault, within a time limit. */
export interface NatsLink {
  readonly place: string;
  /** The expiry of the server's certificate: `Nov 20 09:05:00 2026 GMT`. */
  readonly serverValidTo: string;
  /** The server is one of several, and a stream may have replicas. */
  readonly isClustered: boolean;
  /** Resolves when the connection has ended, to the fault; undefined: `close` ended it. */
  readonly ended: Promise<NatsFault | undefined>;
  /** Uses `$JS.API.DIRECT.GET.STREAM.SUBJECT`, for which rights can be given by subject. Undefined: no message. */
  lastOf(stream: string, subject: string): Promise<FleetMessage | undefined>;
  /** Stored when it resolves. `expected`: number of the subject's last message; 0: none. `isDuplicate`: the server had this id. */
  publish(
    subject: string,
    headers: readonly (readonly [string, string])[],
    bytes: Uint8Array,
    expected: number,
  ): Promise<{ readonly streamSeq: number; readonly isDuplicate: boolean }>;
  info(stream: string): Promise<StreamInfo>;
  /**
   * All streams of the account, 256 with each request. Undefined: it is there, and no server described it in time. A stream may be missing
   * if another one was removed meanwhile.
   */
  streams(): Promise<ReadonlyMap<string, StreamInfo | undefined>>;
  messageAt(stream: string, streamSeq: number): Promise<FleetMessage | undefined>;
  /** The first message from a number on. Undefined: none. */
  messageFrom(stream: string, streamSeq: number): Promise<FleetMessage | undefined>;
  /** From one number to another; at most a few MiB ahead. Rejects when the connection ends, and when nothing comes for 10 s. */
  read(stream: string, fromSeq: number, untilSeq: number, signal: AbortSignal): AsyncIterable<FleetMessage>;
  /** The reads that may be under way together. */
  readonly readsAtOnce: number;
  /** Makes the stream of `fleet init`; changes nothing where it exists. */
  createStream(stream: string, wish: StreamWish): Promise<void>;
  /**
   * The rights of this user that would weaken the stream, or let it write for another gate (`host`). Nothing is carried out. The server
   * logs each refused attempt.
   */
  rights(stream: string, host: string): Promise<readonly StreamRight[]>;
  updateStream(stream: string, config: StreamConfig): Promise<void>;
  /** As a user of the system account: the servers know this account (its JWT) from now on, in the place of an older one. */
  pushAccount(jwt: string): Promise<void>;
  /** As such a user: the public keys of all accounts that the server knows, and the JWT of one of them. */
  accounts(): Promise<readonly string[]>;
  accountOf(id: string): Promise<string>;
  close(): Promise<void>;
}

/** What a gate's records need of it. */
export type GateLink = Pick<
  NatsLink,
  'place' | 'serverValidTo' | 'isClustered' | 'ended' | 'lastOf' | 'publish' | 'close'
>;

export type OpenLink = (settings: NatsSettings, signal: AbortSignal) => Promise<GateLink>;

/** Answers of JetStream's API are shorter. */
const answerBytes = bounds.natsAnswerBytes;
const answerMs = bounds.natsAnswerMs;
/** A cluster without a leader drops published messages, so the next try must come soon after the election. */
const storedMs = bounds.natsStoredMs;
/** Time for the server to show that it is alive. */
const aliveMs = 1_000;
/** The error for a stream of this name with other settings. */
const streamExists = 10_058;
const noMessage = 404;
/** So many messages are requested one by one, with two messages each; a consumer takes some five more than it reads. */
const singlesMax = 4;

/** Tries the servers in their order. Rejects with a NatsFault, or with the signal's reason. */
export function openNats(
  settings: NatsSettings,
  signal: AbortSignal = new AbortController().signal,
): Promise<NatsLink> {
  return tryServers(settings, signal, (link) => Promise.resolve(link));
}

/** Until `use` succeeds: a server may have lost its cluster. Rejects with a NatsFault of all, the signal's reason, or `use`'s. */
export function useNats<Value>(
  settings: NatsSettings,
  signal: AbortSignal,
  use: (link: NatsLink) => Promise<Value>,
): Promise<Value> {
  return tryServers(settings, signal, async (link) => {
    try {
      return await use(link);
    } finally {
      await link.close();
    }
  });
}

/** Faults that servers show for some seconds while their cluster elects a leader. */
const passing: ReadonlySet<NatsFaultCode> = new Set(['dial-timeout', 'closed-early', 'refused', 'no-stream']);

async function tryServers<Value>(
  settings: NatsSettings,
  signal: AbortSignal,
  use: (link: NatsLink) => Promise<Value>,
): Promise<Value> {
  const library = await loadLibrary();
  const files = readFiles(settings);
  let { servers } = settings;
  for (let pass = 1; ; pass += 1) {
    const faults: NatsFault[] = [];
    const open: NatsServer[] = [];
    let isPassing = false;
    for (const server of servers) {
      let isOpen = false;
      try {
        const dialled = await dial(library, server, settings, files, signal);
        isOpen = true;
        open.push(server);
        return await use(linkOf(library, dialled, placeOf(server), settings.inbox ?? '_INBOX'));
      } catch (thrown) {
        if (!(thrown instanceof NatsFault)) throw thrown;
        faults.push(thrown);
        isPassing ||= isOpen && passing.has(thrown.code);
      }
    }
    // An election may be under way: connected servers are tried once more.
    const isOneSure = faults.every(({ code }) => code === 'no-stream');
    if (pass > 1 || servers.length === 1 || !isPassing || isOneSure) throw oneFaultOf(faults);
    servers = open;
  }
}

/** A refusal counts more than an unreachable server. A missing stream counts only if all report it: one without its cluster does. */
function oneFaultOf(faults: readonly NatsFault[]): NatsFault {
  const [first] = faults;
  if (first !== undefined && faults.length === 1) return first;
  const others = faults.filter(({ code }) => code !== 'no-stream');
  const best = others.find(({ code }) => !code.startsWith('dial-')) ?? others[0] ?? first;
  return new NatsFault(
    best?.code ?? 'dial-refused',
    faults.map(({ message }) => message).join('; ') || 'no server is named',
    best?.cause,
  );
}

function linkOf(
  library: NatsLibrary,
  { connection, intake, serverValidTo, whyEnded }: Dialled,
  place: string,
  inbox: string,
): NatsLink {
  let isClosing = false;
  const ended = connection.closed().then((thrown) => {
    if (isClosing) return undefined;
    if (thrown instanceof NatsFault) return thrown;
    if (thrown instanceof Error && /^(?:UserAuthenticationExpired|Authorization)Error$/.test(thrown.name)) {
      return new NatsFault('auth-rejected', `${place} ended our login: ${thrown.message}`, thrown);
    }
    const words = thrown instanceof Error ? `: ${thrown.message}` : '';
    return new NatsFault('closed-early', `${place} ended the connection${words}`, thrown);
  });

  const endings: ReadDoor['endings'] = new Set();
  void ended.then((why) => {
    for (const tell of endings) tell(why);
  });
  const refusals: ReadDoor['refusals'] = new Set();
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type !== 'error' || status.error.name !== 'PermissionViolationError') continue;
      for (const tell of refusals) tell(status.error);
    }
  })().catch(() => undefined);

  const request = async (
    subject: string,
    doing: string,
    payload?: Uint8Array | string,
    headers?: MsgHdrs,
    timeout: number = answerMs,
  ): Promise<Msg> => {
    try {
      intake.ask(answerBytes);
      return await connection.request(subject, payload, {
        timeout,
        ...(headers !== undefined && { headers }),
      });
    } catch (thrown) {
      const why = whyEnded();
      if (why !== undefined) throw new NatsFault(why.code, `cannot ${doing}: ${why.message}`, why);
      throw faultOfRequest(thrown, doing);
    }
  };
  const notOfJetStream = (doing: string) =>
    new NatsFault('refused', `cannot ${doing}: the answer is not of JetStream`);
  const readAnswer = (answer: Msg, doing: string, bytesMax: number = answerBytes) => {
    if (answer.data.length > bytesMax)
      throw new NatsFault('refused', `cannot ${doing}: the answer is longer than ${bytesMax / 1024} KiB`);
    const value = parseLine(answer.string());
    if (value === undefined) throw notOfJetStream(doing);
    const error = asObject(value['error']);
    if (error === undefined) return value;
    const { err_code: errorCode, code, description } = error;
    throw faultOfAnswer(Number(errorCode ?? code), asText(description) ?? 'no reason given', doing);
  };
  const ask: ReadDoor['ask'] = async (subject, body, doing) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return readAnswer(await request(`$JS.API.${subject}`, doing, payload), doing);
  };
  const readInfo = (
    stream: string,
    { created, state, config: described }: Readonly<Record<string, unknown>>,
    doing: string,
  ): StreamInfo => {
    const { first_seq: firstSeq, last_seq: lastSeq, messages, bytes, ...times } = asObject(state) ?? {};
    const config = asObject(described) ?? {};
    const isInfo = isCount(firstSeq) && isCount(lastSeq) && isCount(messages) && isCount(bytes);
    const [firstMs, lastMs] = [timeOf(times['first_ts']), timeOf(times['last_ts'])];
    if (!isInfo || !isText(created) || firstMs === undefined || lastMs === undefined)
      throw notOfJetStream(doing);
    if (config['allow_direct'] === true) indirect.delete(stream);
    else indirect.add(stream);
    return {
      created,
      firstSeq,
      lastSeq,
      firstMs,
      lastMs,
      messages,
      bytes,
      subjects: subjectsIn(config),
      maxBytes: Number(config['max_bytes'] ?? -1) > 0 ? Number(config['max_bytes']) : undefined,
      config,
    };
  };
  /** A stream with direct requests off does not answer them, like a missing one. */
  const direct = async (
    stream: string,
    subject: string,
    doing: string,
    payload?: string,
  ): Promise<FleetMessage | undefined> => {
    let answer: Msg;
    try {
      answer = await requestDirect(door, `$JS.API.DIRECT.GET.${subject}`, doing, payload, answerMs);
    } catch (thrown) {
      if (!(thrown instanceof NatsFault) || !/^(?:dial-timeout|no-stream)$/.test(thrown.code)) throw thrown;
      if (thrown.code === 'dial-timeout' && !(await isAlive(connection))) throw thrown;
      const why = `no stream "${stream}" answers there: make it (\`dovegate audit fleet init\`), or switch its allow_direct on`;
      throw new NatsFault('no-stream', `cannot ${doing}: ${why}`, thrown);
    }
    const message = messageOfDirect(answer);
    if (message !== undefined) return message;
    const code = answer.headers?.code ?? 0;
    if (code === noMessage) return undefined;
    const words = answer.headers?.description ?? 'the answer is not of JetStream';
    throw new NatsFault('refused', `cannot ${doing}: ${words} (${code})`);
  };
  /** Streams with allow_direct off, as seen by `info`: their messages are read by a consumer. */
  const indirect = new Set<string>();
  const readFirst = async (
    stream: string,
    from: ReadTask['from'],
    subject: string,
    untilSeq = Number.MAX_SAFE_INTEGER,
  ): Promise<FleetMessage | undefined> => {
    const { signal } = new AbortController();
    for await (const message of readStream(door, { stream, from, subject, untilSeq, signal })) return message;
    return undefined;
  };
  const messageAt: NatsLink['messageAt'] = (stream, streamSeq) =>
    indirect.has(stream)
      ? readFirst(stream, { streamSeq }, allSubjects, streamSeq)
      : direct(
          stream,
          stream,
          `ask ${place} for message ${streamSeq} of ${stream}`,
          JSON.stringify({ seq: streamSeq }),
        );
  const door: ReadDoor = {
    connection,
    place,
    inbox,
    intake,
    endings,
    refusals,
    ask,
  };

  return {
    place,
    serverValidTo,
    isClustered: connection.info?.cluster !== undefined,
    ended,
    lastOf: (stream, subject) =>
      indirect.has(stream)
        ? readFirst(stream, { isLast: true }, subject)
        : direct(stream, `${stream}.${subject}`, `ask ${place} for the last message of ${subject}`),
    messageAt,
    messageFrom: (stream, streamSeq) =>
      indirect.has(stream)
        ? readFirst(stream, { streamSeq }, allSubjects)
        : direct(
            stream,
            stream,
            `ask ${place} for the first message of ${stream} from ${streamSeq} on`,
            JSON.stringify({ seq: streamSeq, next_by_subj: allSubjects }),
          ),
    async publish(subject, headers, bytes, expected) {
      const doing = `publish to ${subject} at ${place}`;
      const all = library.headers();
      for (const [name, value] of headers) all.append(name, value);
      all.set('Nats-Expected-Last-Subject-Sequence', String(expected));
      const answer = readAnswer(await request(subject, doing, bytes, all, storedMs), doing);
      const streamSeq = Number(answer['seq']);
      const isDuplicate = answer['duplicate'] === true;
      // nats-server 2.10 knows an id from its proposal on, and reports 0 until the message is stored, which may never happen.
      if (!Number.isSafeInteger(streamSeq) || streamSeq < (isDuplicate ? 0 : 1)) {
        throw new NatsFault('refused', `cannot ${doing}: the answer is not of JetStream`);
      }
      return { streamSeq, isDuplicate };
    },
    async info(stream) {
      const doing = `look at stream ${stream} at ${place}`;
      return readInfo(stream, await ask(`STREAM.INFO.${stream}`, undefined, doing), doing);
    },
    async streams() {
      const doing = `list the streams at ${place}`;
      const found = new Map<string, StreamInfo | undefined>();
      for (let offset = 0, total = 1; offset < total; ) {
        intake.ask(intake.payloadMax);
        const answer = await request('$JS.API.STREAM.LIST', doing, JSON.stringify({ offset }));
        const page = readAnswer(answer, doing, intake.payloadMax);
        const { total: all, limit } = page;
        const streams = asList(page['streams']);
        if (!isCount(all) || !isCount(limit) || limit === 0 || streams === undefined)
          throw notOfJetStream(doing);
        if (all > bounds.natsStreams)
          throw new NatsFault('refused', `cannot ${doing}: there are more than ${bounds.natsStreams}`);
        for (const one of streams.map((stream) => asObject(stream) ?? {})) {
          const name = asText(asObject(one['config'])?.['name']);
          if (name === undefined) throw notOfJetStream(doing);
          found.set(name, readInfo(name, one, doing));
        }
        // Those without a server have an empty state there, too.
        for (const name of asTexts(page['missing'])) found.set(name, undefined);
        total = all;
        offset += limit;
      }
      return found;
    },
    readsAtOnce: readsAtOnce(intake),
    async *read(stream, fromSeq, untilSeq, signal) {
      let streamSeq = fromSeq;
      // A replica that lacks one may be behind: then the consumer's server is asked.
      if (!indirect.has(stream) && untilSeq - fromSeq < singlesMax) {
        for (; streamSeq <= untilSeq && !signal.aborted; streamSeq += 1) {
          const message = await messageAt(stream, streamSeq);
          if (message === undefined) break;
          yield message;
        }
      }
      if (streamSeq <= untilSeq)
        yield* readStream(door, { stream, from: { streamSeq }, subject: allSubjects, untilSeq, signal });
    },
    async createStream(stream, wanted) {
      const doing = `make stream ${stream} at ${place}`;
      const body = configOf(stream, wanted);
      const answer = await request(`$JS.API.STREAM.CREATE.${stream}`, doing, JSON.stringify(body));
      try {
        readAnswer(answer, doing);
      } catch (thrown) {
        const exists = thrown instanceof NatsFault && thrown.message.endsWith(`(${streamExists})`);
        if (!exists) throw thrown;
      }
    },
    rights: (stream, host) =>
      findRights(
        (subject, payload, headers) => request(subject, `try ${subject} at ${place}`, payload, headers),
        (name, value) => {
          const headers = library.headers();
          headers.set(name, value);
          return headers;
        },
        stream,
        host,
      ),
    async pushAccount(jwt) {
      const doing = `give an account to ${place}`;
      const answer = await request('$SYS.REQ.CLAIMS.UPDATE', doing, jwt);
      // An error of the resolver has no number of JetStream.
      const { error } = parseLine(answer.string()) ?? {};
      const text = asText(asObject(error)?.['description']);
      if (text !== undefined) throw new NatsFault('refused', `cannot ${doing}: ${text}`);
    },
    async accounts() {
      const doing = `list the accounts at ${place}`;
      intake.ask(intake.payloadMax);
      const answer = await request('$SYS.REQ.CLAIMS.LIST', doing);
      return asTexts(readAnswer(answer, doing, intake.payloadMax)['data']);
    },
    async accountOf(id) {
      const answer = await request(`$SYS.REQ.ACCOUNT.${id}.CLAIMS.LOOKUP`, `look up an account at ${place}`);
      return answer.string();
    },
    async updateStream(stream, config) {
      await ask(`STREAM.UPDATE.${stream}`, config, `change stream ${stream} at ${place}`);
    },
    async close() {
      isClosing = true;
      await connection.close();
    },
  };
}

function isAlive(connection: NatsConnection): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = systemClock.setTimer(aliveMs, () => resolve(false));
    const settle = (isThere: boolean): void => {
      timer.cancel();
      resolve(isThere);
    };
    connection.rtt().then(
      () => settle(true),
      () => settle(false),
    );
  });
}

/** RFC 3339 with up to nanoseconds, as servers write it. */
function timeOf(text: unknown): number | undefined {
  const ms = Date.parse(asText(text) ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}

export function subjectsIn({ subjects }: Readonly<Record<string, unknown>>): readonly string[] {
  return asList(subjects)?.map(String) ?? [];
}
