// The streams of a cluster of three, as an administrator sees them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { checkpointStreamOf, hostStreamOf } from '../../../src/evidence/fleet/block.js';
import { useNats } from '../../../src/evidence/nats/link.js';
import type { NatsCluster } from '../../kit/gate/nats-cluster.js';
import { until } from '../../kit/plain/until.js';

const never = new AbortController().signal;

/** Of the checkpoints and of one host, with three replicas; they are whole when it resolves. */
export async function makeStreams(cluster: NatsCluster, prefix: string, host: string): Promise<void> {
  const own = hostStreamOf(prefix, host);
  const make = async (): Promise<boolean> => {
    try {
      await useNats(cluster.settingsOf('admin'), never, async (admin) => {
        const made = { replicas: 3, maxAgeMs: 0, maxBytes: undefined };
        for (const { name, subjects } of [checkpointStreamOf(prefix), own])
          await admin.createStream(name, { ...made, subjects });
      });
      return true;
    } catch {
      return false;
    }
  };
  await until(make, 'the cluster takes a stream', 120_000);
  await until(() => isWhole(cluster, own.name), 'every replica is there', 120_000);
}

export function connectAdmin(cluster: NatsCluster, server: number): Promise<NatsConnection> {
  const { folder } = cluster;
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const [at] = cluster.settingsOf('admin', [server]).servers;
  return connect({
    servers: `127.0.0.1:${at?.port}`,
    reconnect: false,
    timeout: 5_000,
    tls: { ca: read('ca.pem') },
    authenticator: credsAuthenticator(Buffer.from(read('admin.creds'))),
  });
}

interface StreamInfo {
  readonly state?: object;
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly current?: boolean; readonly offline?: boolean }[];
  };
}

/** The stream, asked for through this server; its leader answers. Rejects when the server or the leader does not answer. */
export async function streamInfo(cluster: NatsCluster, stream: string, server: number): Promise<StreamInfo> {
  const admin = await connectAdmin(cluster, server);
  try {
    const answer = await admin.request(`$JS.API.STREAM.INFO.${stream}`, '', { timeout: 5_000 });
    const info: StreamInfo = answer.json();
    return info;
  } finally {
    await admin.close();
  }
}

/**
 * Number of the stream's leader, as two servers report it: one that was just away may name the previous one. Rejects while there is none.
 */
export async function leaderOf(cluster: NatsCluster, stream: string): Promise<number> {
  const named = new Set<number>();
  for (const server of [0, 1, 2]) {
    const info = await streamInfo(cluster, stream, server).catch(() => undefined);
    const found = cluster.names.indexOf(info?.cluster?.leader ?? '');
    if (found >= 0 && named.has(found)) return found;
    named.add(found);
  }
  throw new Error('no leader');
}

/** Every replica has everything. */
export async function isWhole(cluster: NatsCluster, stream: string): Promise<boolean> {
  const info = await streamInfo(cluster, stream, 0).catch(() => undefined);
  const replicas = info?.cluster?.replicas ?? [];
  return (
    info?.cluster?.leader !== undefined &&
    replicas.length === 2 &&
    replicas.every((each) => each.current === true && each.offline !== true)
  );
}
