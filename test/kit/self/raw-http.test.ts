// The HTTP client of the tests: every framing, an interim answer, and every way in which an answer can be cut.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { type Owner } from '../plain/folder.js';
import { listenHere } from '../plain/free-ports.js';
import { askRaw, HttpCut } from '../plain/raw-http.js';

/** A server that answers the first bytes of each connection with these pieces, and then ends it as it is told. */
async function answering(
  owner: Owner,
  pieces: readonly string[],
  end: 'stay' | 'close' | 'reset' = 'close',
): Promise<{ port: number; requests: string[] }> {
  const requests: string[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (chunk) => {
      requests.push(chunk.toString());
      const next = (at: number): void => {
        const piece = pieces[at];
        if (piece !== undefined) socket.write(piece, () => setImmediate(next, at + 1));
        else if (end === 'close') socket.end();
        else if (end === 'reset') setTimeout(() => socket.resetAndDestroy(), 20);
      };
      next(0);
    });
  });
  const port = await listenHere(server);
  owner.after(() => void server.close());
  return { port, requests };
}

void test('an answer in every framing, at every cut of its bytes', async (t) => {
  const answers: [framing: string, text: string][] = [
    ['length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b \r\n\r\n[]'],
    [
      'chunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-a:b\r\n\r\n1\r\n[\r\n1;x=y\r\n]\r\n0\r\nT: u\r\n\r\n',
    ],
    ['close', 'HTTP/1.0 200 OK\r\nX-a: b\r\n\r\n[]'],
  ];
  for (const [framing, text] of answers) {
    for (let at = 1; at < text.length; at += 1) {
      const { port } = await answering(t, [text.slice(0, at), text.slice(at)]);
      const answer = await askRaw({ port }, 'GET / HTTP/1.1\r\n\r\n');
      assert.deepEqual(
        [answer.status, answer.reason, answer.framing, answer.header('x-a'), answer.body.toString()],
        [200, 'OK', framing, 'b', '[]'],
        `${framing} cut at ${at}`,
      );
    }
  }
});

void test('an answer that is cut is an error with its bytes, however the connection ended', async (t) => {
  const texts = [
    '',
    'HTTP/1.1 200',
    'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[[',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n',
  ];
  for (const text of texts) {
    for (const end of ['close', 'reset'] as const) {
      const { port } = await answering(t, [text], end);
      await assert.rejects(askRaw({ port }, 'GET / HTTP/1.1\r\n\r\n'), (error) => {
        assert.ok(error instanceof HttpCut, String(error));
        assert.equal(error.end, end === 'close' ? 'closed' : 'reset');
        assert.ok(text.startsWith(error.bytes.toString()), text);
        return true;
      });
    }
  }
  // Without a length only the way of the end tells whole from cut.
  const { port } = await answering(t, ['HTTP/1.1 200 OK\r\n\r\n[['], 'reset');
  await assert.rejects(askRaw({ port }, 'GET / HTTP/1.1\r\n\r\n'), { name: 'HttpCut', end: 'reset' });
});
