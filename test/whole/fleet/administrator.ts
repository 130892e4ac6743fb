// The administrator of a NATS server, who may do all that the server permits: publish what no gate would, remove the stream, read
// everything. By the library itself, and not by our link, so that what tests compare with was not read by what they test.

import { readFileSync } from 'node:fs';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, headers as newHeaders } from '@nats-io/transport-node';
import { checkpointStreamOf, hostStreamOf } from '../../../src/evidence/fleet/block.js';
import type { Nats } from '../../kit/gate/nats.js';
import type { Owner } from '../../kit/plain/folder.js';
import type { HandBlock } from './hand-journal.js';

/** A message as the stream has it. */
export interface StoredMessage extends HandBlock {
  readonly streamSeq: number;
}

export interface Administrator {
  /** Without any expectation; in their order. Resolves when all are stored. */
  publish(...blocks: readonly HandBlock[]): Promise<void>;
  /** That of the checkpoints, and one for each host (default: those of the server's gates), as `fleet init` makes them. */
  createStreams(hosts?: readonly string[]): Promise<void>;
  deleteStreams(): Promise<void>;
  /** Everything, in the order of each stream. */
  readAll(subject?: string): Promise<StoredMessage[]>;
  /** Only the number of messages, and bytes as the server counts them. */
  count(): Promise<{ readonly messages: number; readonly bytes: number }>;
  close(): Promise<void>;
}

/** Ends with the test, or with the server. `prefix`: of the streams that it reads. */
export async function openAdministrator(
  owner: Owner,
  nats: Nats,
  prefix = 'DOVEGATE_AUDIT',
): Promise<Administrator> {
  const { servers, caFile = '', credentialsFile, client: own } = nats.settingsOf('admin');
  const read = (file = ''): string => readFileSync(file, 'utf8');
  // The library hands what it does not know on to Node. The server's name is the business of other tests.
  const tls = {
    ca: read(caFile),
    ...(own && { cert: read(own.certificateFile), key: read(own.keyFile) }),
    checkServerIdentity: () => undefined,
  };
  const names = servers.map(({ host, port }) => `${host}:${port}`);
  const connection = await connect({
    servers: names,
    reconnect: false,
    tls,
    ...(credentialsFile !== undefined && {
      authenticator: credsAuthenticator(readFileSync(credentialsFile)),
    }),
  });
  const client = jetstream(connection);
  const manager = await jetstreamManager(connection);
  const namesOf = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for await (const name of manager.streams.names()) if (name.startsWith(prefix)) found.push(name);
    return found.toSorted();
  };
  const readStream = async (name: string, subject: string): Promise<readonly StoredMessage[]> => {
    const { state } = await manager.streams.info(name, { subjects_filter: subject });
    const wanted = Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
    const found: StoredMessage[] = [];
    if (wanted === 0) return found;
    const consumer = await client.consumers.get(name, { filter_subjects: subject });
    const messages = await consumer.consume();
    for await (const message of messages) {
      const given = message.headers;
      found.push({
        streamSeq: message.seq,
        subject: message.subject,
        headers: (given?.keys() ?? []).map((key) => [key, given?.get(key) ?? ''] as const),
        // The library reuses nothing, but the bytes are a view of a larger piece.
        bytes: Buffer.from(message.data),
      });
      if (found.length === wanted) break;
    }
    return found;
  };
  const administrator: Administrator = {
    async publish(...blocks) {
      for (const { subject, headers, bytes } of blocks) {
        const given = newHeaders();
        for (const [name, value] of headers) given.append(name, value);
        await client.publish(subject, bytes, { headers: given });
      }
    },
    async createStreams(hosts = nats.gates) {
      const made = [checkpointStreamOf(prefix), ...hosts.map((host) => hostStreamOf(prefix, host))];
      for (const { name, subjects } of made)
        await manager.streams.add({
          name,
          subjects: [...subjects],
          discard: 'new',
          deny_delete: true,
          deny_purge: true,
          allow_direct: true,
        });
    },
    async deleteStreams() {
      for (const name of await namesOf()) await manager.streams.delete(name);
    },
    async readAll(subject = '>') {
      const found: StoredMessage[] = [];
      for (const name of await namesOf()) found.push(...(await readStream(name, subject)));
      return found;
    },
    async count() {
      let [messages, bytes] = [0, 0];
      for (const name of await namesOf()) {
        const { state } = await manager.streams.info(name);
        messages += state.messages;
        bytes += state.bytes;
      }
      return { messages, bytes };
    },
    close: () => connection.close(),
  };
  owner.after(() => connection.close());
  return administrator;
}
