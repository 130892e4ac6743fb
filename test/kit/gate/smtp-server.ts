// A mail server of a test: as much SMTP as a client needs to send a mail, with STARTTLS, and a place for what a hostile one says instead.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createSecureContext, TLSSocket } from 'node:tls';
import { listenHere } from '../plain/free-ports.js';
import type { KeyPairPem } from './certificates.js';

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly isSecure: boolean;
}

export interface SmtpServer {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
}

export interface SmtpOptions {
  readonly tls?: KeyPairPem;
  /** Instead of the answer to a command, which is in upper case; `greeting` is one, too. */
  readonly say?: (command: string) => string | undefined;
  /** What comes before the answer to a command; undefined: nothing does. */
  readonly think?: (command: string, socket: Socket) => Promise<void> | undefined;
  /** Instead of everything. */
  readonly talk?: (socket: Socket) => void;
}

export async function openSmtpServer(
  t: TestContext,
  { tls, say, think, talk }: SmtpOptions = {},
): Promise<SmtpServer> {
  const mails: ReceivedMail[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    if (talk !== undefined) talk(socket);
    else converse(socket, false, true);
  });
  const port = await listenHere(server);
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await once(server.close(), 'close');
  });
  return { port, mails };

  function converse(socket: Socket, isSecure: boolean, isNew: boolean): void {
    let rest = '';
    let from = '';
    let to: string[] = [];
    let text: string | undefined;
    const answer = (command: string, usual: string): void => {
      const write = (): void => void socket.write(`${say?.(command) ?? usual}\r\n`);
      const thought = think?.(command, socket);
      if (thought === undefined) write();
      else void thought.then(write);
    };
    const onLine = (line: string): void => {
      if (text !== undefined) {
        if (line !== '.') {
          text += `${line.replace(/^\./, '')}\n`;
          return;
        }
        mails.push({ from, to, text, isSecure });
        text = undefined;
        answer('.', '250 taken');
        return;
      }
      const command = line.toUpperCase();
      if (command.startsWith('EHLO'))
        answer('EHLO', tls !== undefined && !isSecure ? '250-test\r\n250 STARTTLS' : '250 test');
      else if (command === 'STARTTLS' && tls !== undefined) {
        socket.removeAllListeners('data');
        socket.write('220 go\r\n');
        const secureContext = createSecureContext({ cert: tls.certificatePem, key: tls.keyPem });
        const secure = new TLSSocket(socket, { isServer: true, secureContext });
        secure.on('error', () => socket.destroy());
        converse(secure, true, false);
      } else if (command.startsWith('MAIL')) {
        from = line;
        to = [];
        answer('MAIL', '250 ok');
      } else if (command.startsWith('RCPT')) {
        to = [...to, line];
        answer('RCPT', '250 ok');
      } else if (command === 'DATA') {
        text = '';
        answer('DATA', '354 go');
      } else if (command === 'STARTTLS') answer('STARTTLS', '502 no');
      else if (command === 'QUIT') socket.end('221 bye\r\n');
      else answer(command, '250 ok');
    };
    if (isNew) answer('greeting', '220 test ESMTP');
    socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('utf8')).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
  }
}
