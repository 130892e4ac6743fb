// Many hosts on one real server, whose gates have nothing to send but a checkpoint now and then, and what the server counts of it.

import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { type Nats, openNatsServer } from '../../kit/gate/nats.js';
import type { Owner } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import type { Skipped } from '../../kit/plain/skipped.js';
import { openAdministrator } from './administrator.js';
import { HandJournal } from './hand-journal.js';
import { openVerifier, type Verifier } from './verifier.js';

export interface QuietFleet {
  readonly nats: Nats;
  readonly verifier: Verifier;
  readonly hosts: readonly string[];
  /** A checkpoint of this host's gate, stored when it resolves: two messages for the server. */
  checkpoint(host: string): Promise<void>;
  /** So many blocks of this host's gate, each of so many commands, stored when it resolves; its last record. */
  work(host: string, blocks: number, commands: number): Promise<number>;
  /** Messages that clients have sent to the server and got from it, without those of `checkpoint`. */
  messages(): Promise<number>;
}

/** Each gate has sent its first records. */
export async function openQuietFleet(owner: Owner, count: number): Promise<QuietFleet | Skipped> {
  const [port = 0] = await freePorts(1);
  const nats = await openNatsServer(owner, { gates: [], more: `http: "127.0.0.1:${port}"` });
  if ('skip' in nats) return nats;
  const administrator = await openAdministrator(owner, nats);
  const signKey = makeSignKey();
  const journals = new Map(
    Array.from({ length: count }, (_, at) => {
      const host = `gate-${at + 1}`;
      return [host, new HandJournal({ host, signKey })];
    }),
  );
  const hosts = [...journals.keys()];
  await administrator.createStreams(hosts);
  let published = 0;
  const send = async (host: string, commands: number): Promise<number> => {
    const journal = journals.get(host);
    if (journal === undefined) throw new Error(`no host ${host}`);
    const before = journal.seq;
    journal.work(commands);
    await administrator.publish(journal.block(before + 1));
    published += 1;
    return journal.seq;
  };
  for (const journal of journals.values()) {
    journal.work(1);
    await administrator.publish(journal.block());
  }
  const verifier = openVerifier(owner, {
    nats,
    hosts: Object.fromEntries(hosts.map((host) => [host, `{ key: "${signKey.key}", silent_after: 1d }`])),
  });
  return {
    nats,
    verifier,
    hosts,
    async checkpoint(host) {
      await send(host, 0);
    },
    async work(host, blocks, commands) {
      let seq = 0;
      for (let left = blocks; left > 0; left -= 1) seq = await send(host, commands);
      return seq;
    },
    async messages() {
      const answer = await fetch(`http://127.0.0.1:${port}/varz`);
      const counted: { in_msgs: number; out_msgs: number } = JSON.parse(await answer.text());
      return counted.in_msgs + counted.out_msgs - 2 * published;
    },
  };
}
