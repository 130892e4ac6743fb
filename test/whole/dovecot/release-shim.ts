// A Dovecot that announces another minor: a forwarder on loopback in front of a real one, which writes another number into its VERSION
// line. So a release that this machine's Debian does not have is shown by one that has the same rows: 2.4.2 to 2.4.4 announce 3 and answer
// as 2.4.5 does; and a newer one than anybody knows.
// The server is never told more than its client may know: the client's number is lowered to the shown one.
import type { Owner } from '../../kit/plain/folder.js';
import { openForwarder } from './forwarder.js';

/** Forwards from a free port of 127.0.0.1 to a UNIX socket, until the owner ends. Resolves to the port. */
export function openReleaseShim(owner: Owner, path: string, minor: number): Promise<number> {
  return openForwarder(owner, { path }, ({ client, backend }) => {
    for (const [socket, other, shown] of [
      [client, backend, (said: number) => Math.min(said, minor)],
      [backend, client, () => minor],
    ] as const) {
      let first: Buffer | undefined = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        if (first === undefined) return other.write(chunk);
        first = Buffer.concat([first, chunk]);
        const end = first.indexOf('\n');
        if (end < 0) return true;
        const line = first.toString('latin1', 0, end);
        const changed = line.replace(/(?<=^VERSION\t[a-z-]+\t1\t)\d+$/, (said) =>
          String(shown(Number(said))),
        );
        const sent = other.write(Buffer.concat([Buffer.from(changed), first.subarray(end)]));
        first = undefined;
        return sent;
      });
    }
  });
}
