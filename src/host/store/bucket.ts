// A store in a bucket, by the requests that all servers of S3 have. The optional package aws4fetch signs them; the bytes go by `ask`, which
// bounds what an answer may cost. What comes back is not trusted: of XML only the text of known elements is read, names must ascend, pages
// are counted, and no redirect is followed. A request that a busy server, or one that is starting, spoils is repeated in place.

import { createHash } from 'node:crypto';
import { Agent as PlainAgent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { bounds } from '../bounds/bounds.js';
import { pause } from '../concurrency/waiting.js';
import { type Answer, AskFault, ask } from '../http/ask.js';
import { howToInstall, isInstalled } from '../machine/optional-packages.js';
import { createLookup, readText, trustIn } from '../net/receivers.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import {
  type ListOptions,
  type ObjectStore,
  type ObjectVersion,
  type StoreFacts,
  StoreFault,
} from '../ports/store.js';
import { printable } from '../words/text.js';
import { bytesWords } from '../words/words.js';

export interface BucketOptions {
  /** `https://HOST[:PORT]/BUCKET`; `http:` on loopback only. */
  readonly url: string;
  readonly prefix: string;
  /** A file in the form of AWS, read for each request: another program may renew it. */
  readonly credentialsFile: string;
  readonly caFile?: string | undefined;
  readonly clock: Clock;
}

const retryMs = [100, 200, 400, 800, 1600, 3200];
/** A server may send pages without entries, for entries that it hides. */
const emptyPagesMax = 16;
/** A larger difference of the clocks is not corrected. */
const skewMsMax = 24 * 3600_000;

export function openBucket(bucket: BucketOptions): ObjectStore {
  const { url, prefix: below, credentialsFile, caFile, clock } = bucket;
  const target = new URL(url);
  const isSecure = target.protocol === 'https:';
  const agent = new (isSecure ? SecureAgent : PlainAgent)({ keepAlive: true });
  const lookup = createLookup();
  const root = `${target.origin}${target.pathname.replace(/\/$/, '')}`;
  const base = below === '' ? '' : `${below}/`;
  /** Keys for signing, by day and region. */
  const cache = new Map<string, ArrayBuffer>();

  return {
    place: `${root}/${base}`,
    async *list(prefix, options) {
      const after: Parameters = options?.after === undefined ? {} : { 'start-after': base + options.after };
      const first = { 'list-type': '2', ...listed(prefix, options) };
      const pages = pagesOf(first, after, options?.signal, (found) => ({
        'continuation-token': found.text('NextContinuationToken'),
      }));
      for await (const page of namesIn(prefix, pages, options)) yield page.map(({ name }) => name);
    },
    async *versions(prefix, options) {
      const after: Parameters = options?.after === undefined ? {} : { 'key-marker': base + options.after };
      const first = { versions: '', ...listed(prefix, options) };
      const pages = pagesOf(first, after, options?.signal, (found) => ({
        'key-marker': textOf(found.text('NextKeyMarker')),
        'version-id-marker': found.text('NextVersionIdMarker'),
      }));
      yield* namesIn(prefix, pages, options);
    },
    async read(name, { bytesMax, version, signal }) {
      const asked: Parameters = version === undefined ? {} : { versionId: version };
      const { body, headers } = await request('GET', name, { asked, bytesMax, signal });
      const storedMs = Date.parse(headers['last-modified'] ?? '');
      if (Number.isNaN(storedMs)) throw new StoreFault('bad-answer', `${name} comes without a time`);
      return { bytes: Buffer.from(body, 'latin1'), storedMs };
    },
    async put(name, bytes, { ifAbsent, signal }) {
      const headers = {
        'content-type': 'application/octet-stream',
        // A bucket with a lock demands it.
        'content-md5': createHash('md5').update(bytes).digest('base64'),
        ...(ifAbsent && { 'if-none-match': '*' }),
      };
      const { status } = await request('PUT', name, { headers, bytes, signal });
      return status === 412 ? 'there' : 'stored';
    },
    async describe(signal): Promise<StoreFacts> {
      const versioning = await fact('versioning', signal);
      const lock = await fact('object-lock', signal);
      const mode = lock?.text('Mode');
      const status = versioning?.text('Status');
      const days = Number(lock?.text('Days')) || Number(lock?.text('Years')) * 365 || undefined;
      const isKnown = mode === 'COMPLIANCE' || mode === 'GOVERNANCE';
      return {
        kind: 'bucket',
        versions: versioning && (status === 'Enabled' ? 'on' : status === 'Suspended' ? 'suspended' : 'off'),
        lock:
          lock &&
          (lock.text('ObjectLockEnabled') === 'Enabled'
            ? { mode: isKnown ? mode : 'none', days }
            : { mode: 'off' }),
      };
    },
    close: () => agent.destroy(),
  };

  function listed(prefix: string, options: ListOptions | undefined): Parameters {
    return {
      'encoding-type': 'url',
      prefix: base + prefix,
      ...(options?.isLevel === true && { delimiter: '/' }),
    };
  }

  /** Undefined: this credential may not read it. */
  async function fact(what: string, signal: AbortSignal | undefined): Promise<Xml | undefined> {
    try {
      return readXml((await request('GET', undefined, { asked: { [what]: '' }, signal })).body);
    } catch (fault) {
      if (!(fault instanceof StoreFault) || (fault.code !== 'refused' && fault.code !== 'gone')) throw fault;
      // The bucket has no configuration of a lock, so it has no lock.
      return fault.code === 'gone' ? readXml('') : undefined;
    }
  }

  async function* pagesOf(
    first: Parameters,
    after: Parameters,
    signal: AbortSignal | undefined,
    nextOf: (found: Xml) => Parameters,
  ) {
    let next = after;
    let emptyPages = 0;
    for (let pages = 0; pages < bounds.storePages; pages += 1) {
      const { body } = await request('GET', undefined, {
        asked: { ...first, ...next },
        bytesMax: bounds.storePageBytes,
        signal,
      });
      const found = readXml(body);
      if (found.text('IsTruncated') === undefined)
        throw new StoreFault('bad-answer', `${root} lists nothing, in an answer that is no list`);
      yield found;
      if (found.entries.length === 0) emptyPages += 1;
      if (found.text('IsTruncated') !== 'true') return;
      if (emptyPages > emptyPagesMax) break;
      next = nextOf(found);
    }
    throw new StoreFault('bad-answer', `${root} lists too many pages`);
  }

  /** Names without the prefix of the store. Throws a StoreFault for names that do not ascend. */
  async function* namesIn(
    prefix: string,
    pages: AsyncIterable<Xml>,
    { after = '', isLevel }: ListOptions = {},
  ): AsyncGenerator<readonly ObjectVersion[]> {
    let last = '';
    for await (const { entries } of pages) {
      const sorted = entries.map(({ key, ...entry }) => ({ ...entry, key: bytesOf(key) }));
      // Objects and prefixes of a level come in two lists.
      if (isLevel === true) sorted.sort((one, other) => (one.key < other.key ? -1 : 1));
      const page: ObjectVersion[] = [];
      for (const { key, ...entry } of sorted) {
        if (key < last || (key === last && entry.version === '') || !key.startsWith(bytesOf(base + prefix)))
          throw new StoreFault('bad-answer', `${root} lists names that are out of order`);
        last = key;
        const name = Buffer.from(key, 'latin1').toString('utf8').slice(base.length);
        if (name > after) page.push({ name, ...entry });
      }
      if (page.length > 0) yield page;
    }
  }

  /** Repeats a request that may succeed at another try. */
  async function request(method: string, name: string | undefined, given: Request): Promise<Answer> {
    const { signal } = given;
    let skewMs = 0;
    let isSigned = false;
    const startMs = clock.now();
    for (let tries = 0; ; tries += 1) {
      signal?.throwIfAborted();
      const read = await readCredentials(credentialsFile);
      let fault: StoreFault;
      try {
        const answer = await send(method, name, given, read, skewMs);
        const { status } = answer;
        if (status === 200 || (method === 'PUT' && status === 412)) return answer;
        const code = readXml(answer.body).text('Code') ?? '';
        fault = faultOf(status, code, name);
        if (status === 403 && !isSigned) {
          isSigned = true;
          const offMs = Date.parse(answer.headers.date ?? '') - clock.wallMs();
          const isSkewed = code === 'RequestTimeTooSkewed' && Math.abs(offMs) <= skewMsMax;
          if (isSkewed) skewMs = offMs;
          if (isSkewed || (await readCredentials(credentialsFile)).text !== read.text) continue;
        }
      } catch (cause) {
        if (signal?.aborted === true) throw signal.reason;
        fault = asFault(cause);
      }
      const isSoon = clock.now() - startMs < bounds.storeSilentMs;
      const waitMs = fault.code === 'away' && isSoon ? retryMs[tries] : undefined;
      if (waitMs === undefined) throw fault;
      await pause(clock, waitMs, signal);
    }
  }

  async function send(
    method: string,
    name: string | undefined,
    { asked = {}, headers = {}, bytes = Buffer.alloc(0), bytesMax = 0, signal }: Request,
    { accessKeyId, secretAccessKey, sessionToken, region }: Credentials,
    skewMs: number,
  ): Promise<Answer> {
    const { AwsV4Signer } = await import('aws4fetch');
    const path = name === undefined ? '' : `/${(base + name).split('/').map(encodeURIComponent).join('/')}`;
    const query = Object.entries(asked).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}=${encodeURIComponent(value)}`],
    );
    const signed = await new AwsV4Signer({
      method,
      url: `${root}${path}${query.length === 0 ? '' : `?${query.join('&')}`}`,
      headers: { ...headers, 'x-amz-content-sha256': createHash('sha256').update(bytes).digest('hex') },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      ...(region !== undefined && { region }),
      service: 's3',
      cache,
      datetime: new Date(clock.wallMs() + skewMs).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
    }).sign();
    const options = {
      ...urlToHttpOptions(signed.url),
      method,
      agent,
      lookup,
      maxHeaderSize: bounds.noticeHeadBytes,
      headers: {
        ...Object.fromEntries(signed.headers),
        'content-length': bytes.length,
        'user-agent': 'dovegate',
      },
      ...(isSecure && (await trustIn(caFile))),
      ...(signal && { signal }),
    };
    return ask(options, bytes, {
      clock,
      ms: bounds.storeAnswerMs,
      silentMs: bounds.storeSilentMs,
      bytesMax: Math.max(bytesMax, bounds.storeWordBytes),
      encoding: 'latin1',
    }).then((answer) => {
      const most = Math.max(bytesMax, name === undefined ? bounds.storeWordBytes : 0);
      if (answer.status === 200 && answer.body.length > most)
        throw new AskFault('too-long', `it answers with more than ${bytesWords(most)}: is it a store?`);
      return answer;
    });
  }
}

type Parameters = Readonly<Record<string, string | undefined>>;

interface Request {
  readonly asked?: Parameters;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bytes?: Uint8Array;
  readonly bytesMax?: number;
  readonly signal?: AbortSignal | undefined;
}

function faultOf(status: number, word: string, name: string | undefined): StoreFault {
  const text = `${name ?? 'the bucket'}: it answers with ${status}${word && ` (${printable(word.slice(0, 100))})`}`;
  if (status === 501) return new StoreFault('refused', text);
  if (status >= 500 || status === 429 || status === 408 || status === 409)
    return new StoreFault('away', text);
  // 405: the version is a delete marker.
  if (status === 404 || (status === 405 && name !== undefined)) return new StoreFault('gone', text);
  if (status >= 300 && status < 400)
    return new StoreFault('refused', `${text}, to another place: redirects are not followed`);
  return new StoreFault(status >= 400 ? 'refused' : 'bad-answer', text);
}

function asFault(cause: unknown): StoreFault {
  if (cause instanceof StoreFault) return cause;
  if (cause instanceof AskFault && cause.code === 'too-long')
    return new StoreFault('too-large', cause.message, cause);
  const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return new StoreFault('away', messageOf(why), cause);
}

interface Credentials {
  readonly text: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  readonly region: string | undefined;
}

/** The section `[default]`. No value of it is in a message. */
async function readCredentials(path: string): Promise<Credentials> {
  if (!isInstalled('aws4fetch'))
    throw new StoreFault('refused', `the package for buckets is not installed: ${howToInstall('aws4fetch')}`);
  const text = await readText(path, bounds.secretFileBytes).catch((cause: unknown) => {
    throw new StoreFault('refused', `credentials cannot be read: ${messageOf(cause)}`, cause);
  });
  const values = new Map<string, string>();
  let section = '';
  for (const line of text.split(/\r?\n/)) {
    section = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line)?.[1] ?? section;
    const [, key, value] = /^\s*([a-z_]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (section === 'default' && key !== undefined && value !== undefined) values.set(key, value);
  }
  const accessKeyId = values.get('aws_access_key_id');
  const secretAccessKey = values.get('aws_secret_access_key');
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new StoreFault(
      'refused',
      `${path} has no aws_access_key_id and aws_secret_access_key below [default]`,
    );
  return {
    text,
    accessKeyId,
    secretAccessKey,
    sessionToken: values.get('aws_session_token'),
    region: values.get('region'),
  };
}

interface Xml {
  readonly entries: readonly (Omit<ObjectVersion, 'name'> & { readonly key: string })[];
  /** The text of the first element of that name outside of entries. */
  text(element: string): string | undefined;
}

const entryElements: ReadonlySet<string> = new Set(['Contents', 'CommonPrefixes', 'Version', 'DeleteMarker']);

/** One pass over opening and closing tags with the text after each: nothing in it takes more than linear time. */
function readXml(body: string): Xml {
  const entries: { key: string; version: string; readonly isMarker: boolean; storedMs?: number }[] = [];
  const texts = new Map<string, string>();
  let entry: (typeof entries)[number] | undefined;
  for (const [, slash, element = '', text = ''] of body.matchAll(/<(\/?)(\w{1,40})>([^<]*)/g)) {
    if (entryElements.has(element)) {
      entry = slash === '/' ? undefined : { key: '', version: '', isMarker: element === 'DeleteMarker' };
      if (entry !== undefined) entries.push(entry);
    } else if (slash === '/') continue;
    else if (entry === undefined) {
      if (!texts.has(element)) texts.set(element, plain(text));
    } else if (element === 'Key' || element === 'Prefix') entry.key = text;
    else if (element === 'VersionId') entry.version = plain(text);
    else if (element === 'LastModified') entry.storedMs = Date.parse(text) || 0;
  }
  return { entries, text: (element) => texts.get(element) };
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function plain(text: string): string {
  return text.trim().replaceAll(/&(amp|lt|gt|quot|apos);/g, (whole, name: string) => entities[name] ?? whole);
}

/** The bytes of a URL-encoded name, one in each character: so names sort as the store sorts them. */
function bytesOf(text: string): string {
  return text
    .replaceAll('+', ' ')
    .replaceAll(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    );
}

function textOf(marker: string | undefined): string | undefined {
  return marker && Buffer.from(bytesOf(marker), 'latin1').toString('utf8');
}
