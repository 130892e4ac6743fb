// The HTTP client of the tests: every framing, an interim answer, and every way in which an answer can be cut.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { makeAuthority } from '../kit/certificates.js';
import { type Owner, openFolder } from '../kit/folder.js';
import { askRaw, authorizationOf, encodePost, HttpCut, openRawHttp } from '../kit/raw-http.js';

const authority = makeAuthority({ name: 'HTTP Authority' });

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
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  owner.after(() => void server.close());
  const bound = server.address();
  return { port: typeof bound === 'object' && bound !== null ? bound.port : 0, requests };
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

void test('one connection, several answers, an interim one, none for HEAD', async (t) => {
  const { port } = await answering(t, [
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1',
    'HTTP/1.1 404 Path Not Found\r\nContent-Length: 16\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  ]);
  const client = await openRawHttp({ port });
  await client.write('x');
  const first = await client.readAnswer();
  assert.deepEqual([first.interim, first.body.toString()], [[100], '1']);
  const head = await client.readAnswer({ isHead: true });
  assert.deepEqual(
    [head.status, head.reason, head.framing, head.body.length],
    [404, 'Path Not Found', 'none', 0],
  );
  assert.equal((await client.readAnswer()).status, 204);
  assert.equal(await client.readEnd(), 'closed');
  assert.equal(client.received().subarray(0, 12).toString(), 'HTTP/1.1 100');
  client.close();
  await client.closed;
});

void test('over a UNIX socket, and over TLS with a certificate that is verified', async (t) => {
  const path = `${openFolder(t)}/http.sock`;
  const onSocket = (socket: net.Socket): void => {
    socket.once('data', (chunk) =>
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${chunk.length}\r\n\r\n${chunk.toString()}`),
    );
  };
  const unix = net.createServer(onSocket);
  const { certificatePem: cert, keyPem: key } = authority.issue({ names: ['127.0.0.1'] });
  const secure = tls.createServer({ cert, key }, onSocket);
  t.after(() => {
    unix.close();
    secure.close();
  });
  await new Promise<void>((resolve) => {
    unix.listen(path, resolve);
  });
  await new Promise<void>((resolve) => {
    secure.listen(0, '127.0.0.1', resolve);
  });
  const request = encodePost({ authorization: authorizationOf.key('k'), body: '[]' });
  assert.equal((await askRaw({ path }, request)).body.toString(), request.toString());
  const bound = secure.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  const answer = await askRaw({ port, tls: { ca: authority.certificatePem } }, request);
  assert.equal(answer.body.toString(), request.toString());
  const stranger = makeAuthority({ name: 'Stranger' }).certificatePem;
  await assert.rejects(askRaw({ port, tls: { ca: stranger } }, request));
});

void test('a POST in exact bytes', () => {
  assert.equal(
    encodePost({ authorization: authorizationOf.password('no'), body: '[]' }).toString(),
    'POST /doveadm/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ZG92ZWFkbTpubw==\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]',
  );
  const options = { target: '/', headers: { Accept: '*/*' }, isChunked: true, keepsAlive: true };
  const head = 'POST / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.equal(encodePost({ ...options, body: '[["é"]]' }).toString(), `${head}8\r\n[["é"]]\r\n0\r\n\r\n`);
  assert.equal(encodePost({ ...options, body: '' }).toString(), `${head}0\r\n\r\n`);
});
