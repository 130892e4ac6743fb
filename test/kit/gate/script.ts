// What a script of the scripted Dovecot sees and may do, how the server behaves around it, and what is written down of each connection.
// Types, the gate that scripts wait at, and ready-made answers; no socket.

import type { LogTypeName } from '../plain/framing.js';
import type { KeyPairPem } from './certificates.js';

/** What goes wrong between accept and login. */
export type GreetingFault =
  | 'greeting-endless' // a VERSION line that has no end
  | 'injected-same-segment' // "-\nINJECTED\n" in one write
  | 'plain-refused'; // `-` and the end, whatever the password

/** One command line as it came, fields unescaped. */
export interface ScriptedCommand {
  /** Letters of the flags field. */
  flags: string;
  /** Entries of the extra field (flag x), unescaped. */
  extra: string[];
  user: string;
  /** Everything after the user: the command's name (one or more words), options, arguments. */
  fields: string[];
  /** The line without its end, as it came. */
  line: Buffer;
  /** Number of the connection that it came on, from 1. */
  connection: number;
}

/** What a script may do to the connection that its command came on. A write is done when there is room for more, or nobody to write to. */
export interface ScriptedConnection {
  readonly number: number;
  readonly clientMinor: number;
  readonly isSecure: boolean;
  /** Whether this client sees log lines: it is framed, and from minor 3 on it asked for them by OPTION. */
  readonly hasLogChannel: boolean;
  /** One row, cells escaped; a packet of its own. */
  row(...cells: (string | Buffer)[]): Promise<void>;
  /** Bytes of the reply channel as they are; a packet of its own. */
  body(bytes: string | Buffer): Promise<void>;
  /** One cell of so many bytes (none needs an escape), in packets of 8 KiB. */
  bigCell(bytes: number): Promise<void>;
  /** A log line; nothing when the client has no log channel. */
  log(type: LogTypeName, text: string): Promise<void>;
  /** Ends the rows and sends this status line (`+`, `-NOUSER`, ...); with `secondStatus` a bare `-` follows each failure. */
  status(line: string): Promise<void>;
  /** Bytes without framing (inside TLS, where there is TLS). */
  raw(bytes: string | Buffer): Promise<void>;
  /** Dot-input of the command without its end, line ends LF; null when the client ends before the dot. */
  readInput(): Promise<Buffer | null>;
  /** Bytes behind the command line as they are (duplex commands); null at the client's end. */
  readSome(): Promise<Buffer | null>;
  /** true leaves what the client sends in the kernel, false takes it again. */
  setStopped(isStopped: boolean): void;
  /** Ends both directions after what was written: FIN. */
  end(): void;
  /** Drops what was written, and resets (a UNIX socket: closes). A peer on Node sees an end if unread bytes came just before. */
  reset(): void;
  /** Resolves when the connection is gone, whoever ended it: what a script that hangs awaits. */
  readonly closed: Promise<void>;
}

/** Answers one command. Commands of a connection come one after the other; a script that returns without a status leaves the reply open. */
export type Script = (command: ScriptedCommand, connection: ScriptedConnection) => void | Promise<void>;

/** How the server behaves. Changes hold for connections accepted afterwards, those of the script for the next command. */
export interface ScriptedBehaviour {
  /** Default: cannedScript(). */
  script: Script;
  /** N of the VERSION line. Default 2. */
  minor: number;
  /** starttls: offered, and demanded before PLAIN; implicit: TLS from the first byte; plain: PLAIN is taken in clear. Default plain. */
  tls: 'starttls' | 'implicit' | 'plain';
  /** Needed unless `tls` is plain. */
  certificate: KeyPairPem | undefined;
  /** false: greets `+`. Default: true on TCP, false on a UNIX socket. */
  authenticate: boolean;
  /** Default `secret`; the user is always `doveadm`. */
  password: string;
  /** A second status line after each failed command, as 2.3.0 to 2.3.16 send it. Default false. */
  secondStatus: boolean;
  fault: GreetingFault | undefined;
}

/** What is written down of one connection. It grows while the connection lives. */
export interface SessionRecord {
  readonly number: number;
  /** Chunks received before TLS (all of them when there was none), the ClientHello excluded. */
  readonly inClear: Buffer[];
  /** Chunks received inside TLS, decrypted. */
  readonly inTls: Buffer[];
  readonly plain: { user: string; password: string; isAccepted: boolean }[];
  /** Dot-inputs in order. */
  readonly inputs: Buffer[];
  isSecure: boolean;
  /** M of the client's VERSION line. */
  clientMinor: number | undefined;
  isOpen: boolean;
  /** What the socket or TLS failed with. */
  readonly errors: Error[];
}

/** A door that a script waits at until the test opens it. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function createGate(): Gate {
  let openIt = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    openIt = resolve;
  });
  return { opened, open: () => openIt() };
}

/** A ready-made answer to a command of that name. */
export interface CannedReply {
  rows?: readonly (readonly (string | Buffer)[])[];
  logs?: readonly (readonly [LogTypeName, string])[];
  /** Default `+`. */
  status?: string;
  /** Reads dot-input before it answers. */
  takesInput?: boolean;
}

/** What an almost empty Dovecot says to the commands that tests use most. */
export const commonReplies: Record<string, CannedReply> = {
  'quota get': {
    rows: [
      ['User quota', 'STORAGE', '72', '10240', '0'],
      ['User quota', 'MESSAGE', '4', '-', '0'],
    ],
  },
  'mailbox list': { rows: [['Ünïcode'], ['Drafts'], ['Archive'], ['INBOX']] },
  save: { takesInput: true },
  'sieve put': { takesInput: true },
};

/**
 * Answers by the command's name (its first field, or its first two). An unknown name gets what Dovecot says: an error line and a bare `-`.
 * Users that begin with `nouser` do not exist: `-NOUSER`, after the input where there is one.
 */
export function cannedScript(replies: Record<string, CannedReply> = commonReplies): Script {
  return async (command, connection) => {
    const [first = '', second = ''] = command.fields;
    const reply = replies[first] ?? replies[`${first} ${second}`];
    if (reply === undefined) {
      await connection.log('error', `doveadm: doveadm: doveadm: Client sent unknown command: ${first}`);
      await connection.status('-');
      return;
    }
    if (reply.takesInput === true && (await connection.readInput()) === null) return;
    if (command.user.startsWith('nouser')) {
      await connection.log('error', `doveadm(${command.user}): User doesn't exist`);
      await connection.status('-NOUSER');
      return;
    }
    for (const [type, text] of reply.logs ?? []) await connection.log(type, text);
    for (const row of reply.rows ?? []) await connection.row(...row);
    await connection.status(reply.status ?? '+');
  };
}

/** One row: four messages in the INBOX. */
export const oneRow: Script = async (_command, connection) => {
  await connection.row('INBOX', '4');
  await connection.status('+');
};
