// What tests of HTTP sessions in memory share: the settings of one backend, an engine with them, requests, and the answer to one.

import { kernelAccess, type ListenerAccess } from '../../../src/gate/session/greet-peer.js';
import {
  type MemoryEngine,
  type MemoryEngineOptions,
  openMemoryEngine,
} from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import type { MemoryPeer } from '../../kit/plain/memory-transport.js';

export const httpSettings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, protocol: http, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 2, series: "2.4", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.org"]
    allow: [quota get, mailbox list, mailbox status, search, save, who, "user", { command: fetch, content: true }]
`;

export function openHttp(settings = httpSettings, options: MemoryEngineOptions = {}): MemoryEngine {
  const access = (): ListenerAccess => ({ ...kernelAccess, protocol: 'http' });
  return openMemoryEngine({ settings, minor: 4, access, ...options });
}

export function post(commands: unknown, headers = '', target = '/doveadm/v1'): string {
  const body = JSON.stringify(commands);
  return `POST ${target} HTTP/1.1\r\nHost: gate\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

export async function turns(count = 40): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await settle();
}

/** The first answer that a client has. */
export function answerOf(peer: MemoryPeer): { status: number; head: string; body: string } {
  const [head = '', body = ''] = peer.received().toString().split('\r\n\r\n', 2);
  return { status: Number(head.split(' ')[1]), head, body };
}

/** One request of a client that ends after it, and its answer. */
export async function ask(engine: MemoryEngine, request: string): Promise<ReturnType<typeof answerOf>> {
  const { peer } = await engine.client(undefined, { uid: 1000, user: 'root' });
  peer.send(request);
  peer.end();
  // A body in a file takes as long as the disk does.
  await peer.receive((bytes) => bytes.includes('\r\n\r\n'));
  await turns();
  return answerOf(peer);
}
