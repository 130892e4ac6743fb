// A bucket of a real S3 gateway for a test: Ceph's, unpacked from the distribution's packages (ceph/), one for a process. And what tests
// put between it and us.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AwsV4Signer } from 'aws4fetch';
import { makeFolder, type Owner, removeAfter } from './folder.js';
import { freePorts, listenHere } from './free-ports.js';
import { isRunning, runProgram } from './program.js';
import { projectRoot } from './root.js';
import { type Skipped, skipped } from './skipped.js';
import { until } from './until.js';

export interface Gateway {
  readonly origin: string;
  /** As the owner of all buckets, or another user; the path has the bucket. Rejects for any answer but success. */
  readonly ask: (
    method: string,
    path: string,
    body?: string,
    headers?: Readonly<Record<string, string>>,
    user?: string,
  ) => Promise<string>;
  /** A new bucket, with versions and a lock in COMPLIANCE for a day, or plain. Returns its URL. */
  readonly openBucket: (options: { readonly lock: boolean }) => Promise<string>;
  /** A user of the gateway with nothing of its own; the file has its credentials. */
  readonly makeUser: (name: string) => Promise<string>;
  /** The file with the credentials of the owner. */
  readonly credentialsFile: string;
}

const retention = '<DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention>';
const lockConfiguration = [
  '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>',
  `<Rule>${retention}</Rule></ObjectLockConfiguration>`,
].join('');
const scripts = join(fileURLToPath(new URL('test/kit/plain/ceph', projectRoot)));

export async function openGateway(owner: Owner): Promise<Gateway | Skipped> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return skipped('the S3 gateway is unpacked on amd64 only');
  if (process.geteuid?.() !== 0) return skipped('only root gets the packages of the S3 gateway');
  const root = join(process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs'), 'ceph');
  const unpacked = await runProgram('bash', [join(scripts, 'unpack.sh'), root], { timeoutMs: 10 * 60_000 });
  if (unpacked.exit !== 0) return skipped(`the S3 gateway is not to be had: ${unpacked.text}`);
  const folder = makeFolder();
  const run = join(folder, 'run');
  const [port = 0, mon = 0] = await freePorts(2);
  owner.after(async () => {
    const pids = readFileSync(join(run, 'pids'), 'utf8').split('\n').filter(Boolean).map(Number);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until(() => !pids.some(isRunning), 'the gateway has ended');
  });
  removeAfter(owner, folder);
  const started = await runProgram(
    'bash',
    [join(scripts, 'start.sh'), root, run, String(port), String(mon)],
    {
      timeoutMs: 120_000,
    },
  );
  if (started.exit !== 0) throw new Error(`the S3 gateway did not start: ${started.text}`);
  return gatewayAt(`http://127.0.0.1:${port}`, folder, async (name) => {
    const env = {
      CEPH_CONF: join(run, 'ceph.conf'),
      LD_LIBRARY_PATH: readFileSync(join(run, 'path'), 'utf8').trim(),
    };
    const args = ['-n', 'client.rgw', 'user', 'create', `--uid=${name}`, `--display-name=${name}`];
    const made = await runProgram(
      join(root, 'usr/bin/radosgw-admin'),
      [...args, `--access-key=AK${name}`, `--secret-key=SK${name}`],
      { env, timeoutMs: 60_000 },
    );
    if (made.exit !== 0) throw new Error(made.text);
  });
}

function gatewayAt(origin: string, folder: string, makeUser: (name: string) => Promise<void>): Gateway {
  let buckets = 0;
  const credentialsOf = (name: string): string => {
    const path = join(folder, `${name}.ini`);
    writeFileSync(path, `[default]\naws_access_key_id = AK${name}\naws_secret_access_key = SK${name}\n`, {
      mode: 0o600,
    });
    return path;
  };
  const gateway: Gateway = {
    origin,
    credentialsFile: credentialsOf('GATE'),
    async ask(method, path, body = '', headers = {}, user = 'GATE') {
      const signed = await new AwsV4Signer({
        method,
        url: origin + path,
        headers: {
          ...headers,
          'content-md5': createHash('md5').update(body).digest('base64'),
          'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
        },
        accessKeyId: `AK${user}`,
        secretAccessKey: `SK${user}`,
        service: 's3',
      }).sign();
      const answer = await fetch(signed.url, {
        method,
        headers: signed.headers,
        ...(body !== '' && { body }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text;
    },
    async openBucket({ lock }) {
      buckets += 1;
      const name = `trail-${buckets}`;
      await gateway.ask('PUT', `/${name}`, '', lock ? { 'x-amz-bucket-object-lock-enabled': 'true' } : {});
      if (lock) await gateway.ask('PUT', `/${name}?object-lock`, lockConfiguration);
      return `${origin}/${name}`;
    },
    async makeUser(name) {
      await makeUser(name);
      return credentialsOf(name);
    },
  };
  return gateway;
}

/** What becomes of one request: it goes on, or is spoiled before (`error`, `cut`) or after it was done (`lost`, `late`). */
export type Spoil = 'none' | 'error' | 'cut' | 'lost' | 'late';

/** A proxy in front of a server; `choose` is asked for each request. The address that requests are signed for is kept. */
export async function openProxy(owner: Owner, origin: string, choose: () => Spoil): Promise<string> {
  const pass = (asked: IncomingMessage, answer: ServerResponse): void => {
    const spoil = choose();
    asked.on('error', () => undefined);
    if (spoil === 'cut') return void asked.socket.destroy();
    if (spoil === 'error') {
      asked.resume();
      return void answer.writeHead(500).end('<Error><Code>InternalError</Code></Error>');
    }
    const on = request(
      origin + (asked.url ?? ''),
      { method: asked.method, headers: asked.headers },
      (back) => {
        back.on('error', () => asked.socket.destroy());
        if (spoil === 'lost') {
          asked.socket.destroy();
          return;
        }
        const send = (): void => {
          answer.writeHead(back.statusCode ?? 502, back.headers);
          back.pipe(answer);
        };
        if (spoil === 'late') setTimeout(send, 300);
        else send();
      },
    );
    on.on('error', () => asked.socket.destroy());
    asked.pipe(on);
  };
  return serve(owner, createServer(pass));
}

/** Listens on loopback until the test is over; returns its origin. */
export async function serve(owner: Owner, server: Server): Promise<string> {
  const port = await listenHere(server);
  owner.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${port}`;
}

/** The rules of AWS that the gateway does not have: a lock demands Content-MD5, and a name that is taken is refused when asked. */
export async function openStrict(owner: Owner): Promise<string> {
  const objects = new Map<string, Buffer>();
  const refuse = (answer: ServerResponse, status: number, code: string): void =>
    void answer.writeHead(status).end(`<Error><Code>${code}</Code></Error>`);
  const server = createServer((asked, answer) => {
    const chunks: Buffer[] = [];
    asked.on('data', (chunk: Buffer) => chunks.push(chunk));
    asked.on('end', () => {
      const url = new URL(asked.url ?? '', 'http://x');
      const name = decodeURIComponent(url.pathname);
      const bytes = Buffer.concat(chunks);
      const { headers } = asked;
      if (headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') !== true)
        return refuse(answer, 403, 'AccessDenied');
      if (headers['x-amz-content-sha256'] !== createHash('sha256').update(bytes).digest('hex'))
        return refuse(answer, 400, 'XAmzContentSHA256Mismatch');
      if (asked.method === 'PUT') {
        if (headers['content-md5'] !== createHash('md5').update(bytes).digest('base64'))
          return refuse(answer, 400, 'InvalidRequest');
        if (headers['if-none-match'] !== '*') return refuse(answer, 403, 'AccessDenied');
        if (objects.has(name)) return refuse(answer, 412, 'PreconditionFailed');
        objects.set(name, bytes);
        return void answer.writeHead(200).end();
      }
      const found = objects.get(name);
      if (found !== undefined)
        return void answer.writeHead(200, { 'last-modified': new Date().toUTCString() }).end(found);
      if (!url.searchParams.has('list-type')) return refuse(answer, 404, 'NoSuchKey');
      const from = `${url.pathname}/`;
      const prefix = url.searchParams.get('prefix') ?? '';
      const keys = [...objects.keys()]
        .map((key) => key.slice(from.length))
        .filter((key) => key.startsWith(prefix));
      const level = (key: string): string => key.slice(0, key.indexOf('/', prefix.length) + 1) || key;
      const shown = url.searchParams.has('delimiter') ? [...new Set(keys.map(level))] : keys;
      const entries = shown
        .toSorted()
        .map((key) =>
          key.endsWith('/')
            ? `<CommonPrefixes><Prefix>${key}</Prefix></CommonPrefixes>`
            : `<Contents><Key>${key}</Key></Contents>`,
        );
      answer.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${entries.join('')}</ListBucketResult>`);
    });
  });
  return `${await serve(owner, server)}/trail`;
}
