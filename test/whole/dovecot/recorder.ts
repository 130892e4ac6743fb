// A doveadm-server for the real doveadm: greets as minor 2 and hands each command line to the test, which answers it. Framing and
// escapes are the tests' own.
import { once } from 'node:events';
import net from 'node:net';
import { createByteReader } from '../../kit/plain/byte-reader.js';
import type { Owner } from '../../kit/plain/folder.js';
import { createFramer, replyChannel } from '../../kit/plain/framing.js';

/** A command line as the program sent it. */
export interface RecordedLine {
  /** Without LF. */
  readonly line: Buffer;
  /** M of its VERSION line. */
  readonly clientMinor: number;
  /** The dot-stream behind it, with its last line. */
  readonly input: Buffer | undefined;
}

/** Gives the rows and the status line, as they go on the wire. */
export type Answer = (recorded: RecordedLine) => Promise<Buffer>;

export const emptyReply = Buffer.from('\n+\n');

/** Listens at `path` until the test is over. */
export async function openRecorder(owner: Owner, path: string, answer: Answer): Promise<void> {
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
    serve(socket, answer).then(
      () => socket.end(),
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  owner.after(async () => {
    for (const socket of open) socket.destroy();
    await once(server.close(), 'close');
  });
}

async function serve(socket: net.Socket, answer: Answer): Promise<void> {
  const reader = createByteReader(socket);
  const version = /^VERSION\tdoveadm-server\t1\t(\d+)$/.exec((await reader.readLine())?.toString() ?? '');
  if (version === null) return;
  socket.write('VERSION\tdoveadm-client\t1\t2\n+\n');
  const frame = createFramer('packet');
  for (;;) {
    const line = await reader.readLine();
    if (line === null) return;
    let input: Buffer | undefined;
    if (/\t(?:save|sieve put)(?:\t|$)/.test(line.toString('latin1'))) {
      const lines: string[] = [];
      let text: string | undefined;
      while (text !== '.') {
        text = (await reader.readLine())?.toString('latin1');
        if (text === undefined) return;
        lines.push(`${text}\r\n`);
      }
      input = Buffer.from(lines.join(''), 'latin1');
    }
    const reply = await answer({ line, clientMinor: Number(version[1]), input });
    socket.write(frame(replyChannel, reply));
  }
}
