// Goal: a probe and a scraper get their answers while strangers occupy the admin endpoints. Phases: for each way to occupy a connection
// (silent, half a request, a body that is never sent, an answer that is not read), many connections are opened, and in a second run
// opened again as soon as they are closed, while probes ask. What must not happen: a probe without an answer, more descriptors of the
// daemon than the endpoints may have.
// Over TCP the strangers have an address of their own. On a UNIX socket they are of the group that may use it, and nothing tells them
// from the probe. Where they connect faster than it sends its request, it is closed for them, and asks again as probes do.
//
// DOVEGATE_ROUNDS=50 makes it 10,000 connections.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { test } from 'node:test';
import { openGateway } from '../../kit/gate/gateway.js';
import { askHttp, type HttpPlace } from '../../kit/plain/ask-http.js';
import { countDescriptors } from '../../kit/plain/descriptors.js';
import { freePorts } from '../../kit/plain/free-ports.js';

const connections = 200 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const probes = 9;

/** What an occupying connection sends. */
const occupiers = {
  silent: '',
  'half a request': 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow:',
  'a body that is never sent': 'POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n',
  'an answer that is not read': 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n',
};

/**
 * Runs in a process of its own, so that its work does not delay the probes. Arguments: the place, the count, the bytes, whether to open
 * again.
 */
const occupier = `
const [place, count, bytes, again] = process.argv.slice(1).map((text) => JSON.parse(text));
let opened = 0;
function open() {
  const socket = require('node:net').connect({ ...place, onread: { buffer: Buffer.alloc(1), callback: () => false } });
  socket.on('connect', () => {
    if (bytes !== '') socket.write(bytes);
    opened += 1;
    if (opened === Math.min(count, 40)) console.log('occupied');
  });
  socket.on('error', () => undefined).on('close', () => again && setImmediate(open));
}
for (let at = 0; at < count; at += 1) open();
process.stdin.on('end', () => { console.log(opened); process.exit(); }).resume();
`;

function occupy(place: HttpPlace, bytes: string, again: boolean): ChildProcess {
  const where = 'socketPath' in place ? { path: place.socketPath } : { ...place, localAddress: '127.0.0.2' };
  const words = [where, connections, bytes, again].map((each) => JSON.stringify(each));
  return spawn(process.execPath, ['-e', occupier, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** Resolves to all that it printed, with the number of connections that it opened. */
function printed(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    child.on('close', () => resolve(text.trim()));
  });
}

function firstLine(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.stdout?.once('data', () => resolve());
  });
}

for (const door of ['tcp', 'unix'] as const) {
  test(`probes are answered beside ${connections} connections that occupy admin.${door}`, async (t) => {
    const [port = 0] = await freePorts(1);
    const { daemon } = await openGateway(t, {
      more: `admin: { unix: admin.sock, tcp: "127.0.0.1:${port}" }`,
    });
    const place = door === 'tcp' ? { host: '127.0.0.1', port } : { socketPath: daemon.path('admin.sock') };
    const more = countDescriptors(t, daemon.pid);
    for (const [kind, bytes, again] of Object.entries(occupiers).flatMap(
      ([each, sent]) =>
        [
          [each, sent, false],
          [each, sent, true],
        ] as const,
    )) {
      const name = `${kind}${again ? ', opened again' : ''}`;
      const child = occupy(place, bytes, again);
      t.after(() => void child.kill());
      const all = printed(child);
      await firstLine(child);
      let unanswered = 0;
      let longestMs = 0;
      let most = 0;
      for (let at = 0; at < probes; at += 1) {
        const startMs = performance.now();
        const path = ['/healthz', '/readyz', '/metrics'][at % 3] ?? '';
        let status = 0;
        for (let left = door === 'unix' ? 3 : 1; left > 0 && status === 0; left -= 1)
          status = await askHttp(place, path).then(
            (got) => got.status,
            () => 0,
          );
        if (status === 0) unanswered += 1;
        longestMs = Math.max(longestMs, performance.now() - startMs);
        most = Math.max(most, more());
      }
      child.stdin?.end();
      const opened = (await all).split('\n').pop();
      t.diagnostic(
        `${name}: ${probes - unanswered} of ${probes} probes answered, the slowest after ${Math.round(longestMs)} ms; ` +
          `${opened} connections opened, at most ${most} more descriptors`,
      );
      assert.equal(unanswered, 0, `${name}: ${unanswered} of ${probes} probes have no answer`);
      assert.ok(most <= 160, `${most} more descriptors`);
    }
  });
}
