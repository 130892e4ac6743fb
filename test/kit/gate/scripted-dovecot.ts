// A stand-in for Dovecot's doveadm-server that does what a script says, also what no Dovecot would, and records all that it received.
// It is the oracle of the scenario tests: written from captured sessions of 2.3.13 to 2.4.5, and importing nothing from src/.
// This file owns the listening socket and the records; script.ts says what can be asked, scripted-session.ts in test/kit/plain plays one
// connection.
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import net from 'node:net';
import { createSecureContext } from 'node:tls';
import { createEventWait } from '../plain/event-wait.js';
import type { Owner } from '../plain/folder.js';
import { playSession } from '../plain/scripted-session.js';
import {
  cannedScript,
  type ScriptedBehaviour,
  type ScriptedCommand,
  type ScriptedConnection,
  type SessionRecord,
} from './script.js';

export interface ScriptedDovecotOptions extends Partial<ScriptedBehaviour> {
  /** Path of a UNIX socket instead of TCP; made with mode 0600. */
  unix?: string;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: a free one. */
  port?: number;
  /** It is closed with this. */
  owner?: Owner;
}

export interface ScriptedDovecot {
  /** What to write into `address:` of a backend: HOST:PORT or unix:PATH. */
  readonly address: string;
  /** 0 on a UNIX socket. */
  readonly port: number;
  /** All connections ever accepted, in order; number 1 first. */
  readonly records: readonly SessionRecord[];
  /** Connections that are logged in and open, to speak on while they are idle. */
  readonly live: readonly ScriptedConnection[];
  /** All commands of all connections, in the order in which they came. */
  readonly commands: readonly ScriptedCommand[];
  /** TLS handshakes that succeeded. */
  readonly tlsHandshakes: number;
  readonly plainAttempts: readonly {
    connection: number;
    user: string;
    password: string;
    isAccepted: boolean;
  }[];
  /** Everything received on all connections, decrypted, connection after connection. */
  received(): Buffer;
  change(behaviour: Partial<ScriptedBehaviour>): void;
  /** Resolves when `isTrue` holds of the record; rejects after `ms` (60 s) and says what the record holds instead. */
  waitFor(isTrue: (dovecot: ScriptedDovecot) => boolean, what: string, ms?: number): Promise<void>;
  /** Stops listening and cuts every connection; rejects when a script had thrown. */
  close(): Promise<void>;
}

/** Starts one; resolves when it listens. */
export async function openScriptedDovecot(options: ScriptedDovecotOptions = {}): Promise<ScriptedDovecot> {
  const { unix, host = '127.0.0.1', port: wantedPort = 0, owner, ...asked } = options;
  let behaviour: ScriptedBehaviour = { ...defaults, authenticate: unix === undefined, ...asked };
  const records: SessionRecord[] = [];
  const commands: ScriptedCommand[] = [];
  const live = new Set<ScriptedConnection>();
  const sockets = new Set<net.Socket>();
  const sessions = new Set<Promise<void>>();
  const errors: unknown[] = [];
  const events = createEventWait();

  const serve = async (socket: net.Socket, record: SessionRecord): Promise<void> => {
    try {
      const { certificate, script: _, ...rest } = behaviour;
      await playSession(socket, record, {
        ...rest,
        secureContext:
          certificate && createSecureContext({ cert: certificate.certificatePem, key: certificate.keyPem }),
        wake: () => events.wake(),
        ready(connection) {
          live.add(connection);
          void connection.closed.then(() => live.delete(connection));
          events.wake();
        },
        async answer(command, connection) {
          commands.push(command);
          events.wake();
          await behaviour.script(command, connection);
        },
      });
    } finally {
      events.wake();
    }
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const record: SessionRecord = {
      number: records.length + 1,
      inClear: [],
      inTls: [],
      plain: [],
      inputs: [],
      isSecure: false,
      clientMinor: undefined,
      isOpen: true,
      errors: [],
    };
    records.push(record);
    sockets.add(socket);
    socket.on('error', (error: Error) => record.errors.push(error));
    socket.on('close', () => {
      record.isOpen = false;
      sockets.delete(socket);
      events.wake();
    });
    const session = serve(socket, record).catch((error: unknown) => {
      errors.push(error);
      socket.destroy();
    });
    sessions.add(session);
    void session.then(() => sessions.delete(session));
    events.wake();
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (unix === undefined) server.listen(wantedPort, host, resolve);
    else server.listen(unix, resolve);
  });
  if (unix !== undefined) chmodSync(unix, 0o600);
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;

  const dovecot: ScriptedDovecot = {
    address: unix === undefined ? `${host}:${port}` : `unix:${unix}`,
    port,
    records,
    commands,
    get live() {
      return [...live];
    },
    get tlsHandshakes() {
      return records.filter((record) => record.isSecure).length;
    },
    get plainAttempts() {
      return records.flatMap(({ number, plain }) =>
        plain.map((attempt) => ({ connection: number, ...attempt })),
      );
    },
    received: () => Buffer.concat(records.flatMap(({ inClear, inTls }) => [...inClear, ...inTls])),
    change(changes) {
      behaviour = { ...behaviour, ...changes };
      events.wake();
    },
    waitFor: async (isTrue, what, ms) => {
      await events.until(
        () => isTrue(dovecot),
        () =>
          `${what}; ${records.length} connections, commands: ${commands.map(({ line }) => line.toString()).join(' | ')}`,
        ms,
      );
    },
    async close() {
      const closed = once(server.close(), 'close');
      for (const socket of sockets) socket.destroy();
      await closed;
      await Promise.all(sessions);
      if (errors.length > 0) {
        throw new AggregateError(errors, `in a script of the scripted Dovecot: ${String(errors[0])}`);
      }
    },
  };
  owner?.after(() => dovecot.close());
  return dovecot;
}

const defaults: ScriptedBehaviour = {
  script: cannedScript(),
  minor: 2,
  tls: 'plain',
  certificate: undefined,
  authenticate: true,
  password: 'secret',
  secondStatus: false,
  fault: undefined,
};
