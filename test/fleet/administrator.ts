// The administrator of a NATS server, who may do all that the server permits: publish what no gate would, remove the stream, read
// everything. By the library itself, and not by our link, so that what tests compare with was not read by what they test.

import { readFileSync } from 'node:fs';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers as newHeaders } from '@nats-io/transport-node';
import type { Owner } from '../kit/folder.js';
import type { Nats } from '../kit/nats.js';
import type { HandBlock } from './hand-journal.js';

/** A message as the stream has it. */
export interface StoredMessage extends HandBlock {
  readonly streamSeq: number;
}

export interface Administrator {
  /** Without any expectation; in their order. Resolves when all are stored. */
  publish(...blocks: readonly HandBlock[]): Promise<void>;
  /** As `fleet init` makes it, for a stream of tests. */
  createStream(): Promise<void>;
  deleteStream(): Promise<void>;
  /** Everything, in its order. */
  readAll(subject?: string): Promise<StoredMessage[]>;
  /** Only the number of messages, and bytes as the server counts them. */
  count(): Promise<{ readonly messages: number; readonly bytes: number }>;
  close(): Promise<void>;
}

/** Ends with the test, or with the server. */
export async function openAdministrator(
  owner: Owner,
  nats: Nats,
  stream = 'DOVEGATE_AUDIT',
): Promise<Administrator> {
  const { servers, caFile = '', client: own } = nats.settingsOf('admin');
  const read = (file = ''): string => readFileSync(file, 'utf8');
  // The library hands what it does not know on to Node. The server's name is the business of other tests.
  const tls = {
    ca: read(caFile),
    cert: read(own?.certificateFile),
    key: read(own?.keyFile),
    checkServerIdentity: () => undefined,
  };
  const names = servers.map(({ host, port }) => `${host}:${port}`);
  const connection = await connect({ servers: names, reconnect: false, tls });
  const client = jetstream(connection);
  const manager = await jetstreamManager(connection);
  const administrator: Administrator = {
    async publish(...blocks) {
      for (const { subject, headers, bytes } of blocks) {
        const given = newHeaders();
        for (const [name, value] of headers) given.append(name, value);
        await client.publish(subject, bytes, { headers: given });
      }
    },
    async createStream() {
      await manager.streams.add({
        name: stream,
        subjects: ['dovegate.audit.>', 'dovegate.fleet.checkpoint'],
        discard: 'new',
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
      });
    },
    async deleteStream() {
      await manager.streams.delete(stream);
    },
    async readAll(subject = '>') {
      const { state } = await manager.streams.info(stream, { subjects_filter: subject });
      const wanted = Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
      const found: StoredMessage[] = [];
      if (wanted === 0) return found;
      const consumer = await client.consumers.get(stream, { filter_subjects: subject });
      const messages = await consumer.consume();
      for await (const message of messages) {
        const given = message.headers;
        found.push({
          streamSeq: message.seq,
          subject: message.subject,
          headers: (given?.keys() ?? []).map((name) => [name, given?.get(name) ?? ''] as const),
          // The library reuses nothing, but the bytes are a view of a larger piece.
          bytes: Buffer.from(message.data),
        });
        if (found.length === wanted) break;
      }
      return found;
    },
    async count() {
      const { state } = await manager.streams.info(stream);
      return { messages: state.messages, bytes: state.bytes };
    },
    close: () => connection.close(),
  };
  owner.after(() => connection.close());
  return administrator;
}
