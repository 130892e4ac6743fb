// Plays the beginning of a connection of the scripted Dovecot: VERSION, go-ahead, TLS, PLAIN, with the faults that belong there.
//
//   C: VERSION TAB doveadm-server TAB 1 TAB M        (the names are crossed, and the client speaks first)
//   S: VERSION TAB doveadm-client TAB 1 TAB N        (only if M >= 1), then + or -
//   C: STARTTLS (no answer), TLS, PLAIN TAB base64   S: + or - and the end
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type {
  ScriptedBehaviour,
  ScriptedCommand,
  ScriptedConnection,
  SessionRecord,
} from '../gate/script.js';
import { type ByteReader, createByteReader } from './byte-reader.js';

/** What a session gets from the server that accepted it. */
export interface SessionPlan extends Omit<ScriptedBehaviour, 'certificate' | 'script'> {
  secureContext: SecureContext | undefined;
  answer(command: ScriptedCommand, connection: ScriptedConnection): Promise<void>;
  /** Called whenever the record grew. */
  wake(): void;
  /** The connection is ready for commands. */
  ready(connection: ScriptedConnection): void;
}

/** The two ends of a connection as it is now: in clear, or inside TLS. */
export interface Pipe {
  socket: Socket;
  reader: ByteReader;
}

/** How the beginning ended, and on what the connection goes on. */
export type Greeted = { next: 'end'; pipe: Pipe } | { next: 'commands'; pipe: Pipe; clientMinor: number };

/** Everything up to the first command. */
export async function greet(clear: Pipe, record: SessionRecord, plan: SessionPlan): Promise<Greeted> {
  let pipe = clear;
  if (plan.tls === 'implicit') {
    const secure = await startTls(pipe, record, plan);
    if (secure === undefined) return { next: 'end', pipe };
    pipe = secure;
  }
  const version = await pipe.reader.readLine();
  const clientMinor = version && minorOf(version);
  if (clientMinor === null || clientMinor === undefined) return { next: 'end', pipe };
  record.clientMinor = clientMinor;
  if (plan.fault === 'greeting-endless') {
    await write(pipe.socket, 'VERSION\tdoveadm-client\t1\t');
    await writeWithoutEnd(pipe.socket, Buffer.alloc(65536, '2'));
    return { next: 'end', pipe };
  }
  const isOver = !plan.authenticate;
  await write(pipe.socket, greetingOf(clientMinor, isOver ? '+\n' : '-\n', plan));
  if (isOver) return { next: 'commands', pipe, clientMinor };

  let line = await pipe.reader.readLine();
  if (line?.toString() === 'STARTTLS' && plan.tls === 'starttls') {
    const secure = await startTls(pipe, record, plan);
    if (secure === undefined) return { next: 'end', pipe };
    pipe = secure;
    line = await pipe.reader.readLine();
  }
  if (line === null) return { next: 'end', pipe };
  const isAccepted = login(line, pipe !== clear || plan.tls === 'plain', record, plan);
  plan.wake();
  await write(pipe.socket, isAccepted ? '+\n' : '-\n');
  return isAccepted ? { next: 'commands', pipe, clientMinor } : { next: 'end', pipe };
}

/** M of the client's first line; undefined for all that Dovecot ends the connection for. */
function minorOf(line: Buffer): number | undefined {
  const match = /^VERSION\tdoveadm-server\t0*1\t(\d{1,10})$/.exec(line.toString('latin1'));
  const minor = Number(match?.[1] ?? Number.NaN);
  return minor <= 0xffff_ffff ? minor : undefined;
}

function greetingOf(clientMinor: number, goAhead: string, plan: SessionPlan): string {
  const injected = plan.fault === 'injected-same-segment' ? `${goAhead}INJECTED\n` : goAhead;
  return clientMinor < 1 ? injected : `VERSION\tdoveadm-client\t1\t${plan.minor}\n${injected}`;
}

/** `PLAIN TAB base64`; the password ends at a NUL, the authorization id is empty, the user is doveadm. */
function login(line: Buffer, isAllowed: boolean, record: SessionRecord, plan: SessionPlan): boolean {
  const match = /^PLAIN\t([A-Za-z0-9+/]+={0,2})$/.exec(line.toString('latin1'));
  if (match?.[1] === undefined) return false;
  const [authzid, user = '', password = ''] = Buffer.from(match[1], 'base64').toString().split('\0');
  const isAccepted =
    isAllowed &&
    plan.fault !== 'plain-refused' &&
    authzid === '' &&
    user === 'doveadm' &&
    password === plan.password &&
    password !== '';
  record.plain.push({ user, password, isAccepted });
  return isAccepted;
}

/** The server's side of TLS from the next byte on; undefined when the handshake failed. */
async function startTls(pipe: Pipe, record: SessionRecord, plan: SessionPlan): Promise<Pipe | undefined> {
  if (plan.secureContext === undefined) throw new TypeError('TLS without a certificate');
  // The ClientHello may have come together with STARTTLS: it is put back, and TLS reads it from the socket.
  const hello = pipe.reader.detach();
  trimRecord(record.inClear, hello.length);
  if (hello.length > 0) pipe.socket.unshift(hello);
  const secure = new TLSSocket(pipe.socket, {
    isServer: true,
    secureContext: plan.secureContext,
  });
  const isDone = await new Promise<boolean>((resolve) => {
    secure.once('secure', () => resolve(true));
    secure.once('close', () => resolve(false));
    // Node tells server sockets of a failed handshake only by this event.
    secure.once('_tlsError', (error: Error) => {
      record.errors.push(error);
      resolve(false);
    });
    secure.on('error', (error) => {
      record.errors.push(error);
      resolve(false);
    });
  });
  if (!isDone) return undefined;
  record.isSecure = true;
  const reader = createByteReader(secure, (chunk) => {
    record.inTls.push(chunk);
    plan.wake();
  });
  return { socket: secure, reader };
}

function trimRecord(chunks: Buffer[], bytes: number): void {
  const all = Buffer.concat(chunks);
  chunks.splice(0, chunks.length, all.subarray(0, all.length - bytes));
}

/** Writes the same bytes until the other side is gone. */
async function writeWithoutEnd(socket: Socket, bytes: Buffer): Promise<void> {
  while (!socket.destroyed) await write(socket, bytes);
}

/** Resolves when there is room for more, or when the socket is gone: what the other side does is no error of the script. */
export async function write(socket: Socket, bytes: string | Buffer): Promise<void> {
  if (socket.destroyed || socket.writableEnded || bytes.length === 0) return;
  if (socket.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
