// A time stamp authority for tests: certificates by the openssl program, stamps by `openssl ts` behind HTTP, as a public one; and stamps of
// any time and form by its own key, as an authority that lies, or whoever stole that key, can make them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { constructed, DerReader, tags } from '../../src/domain/language/der/read.js';
import {
  explicit,
  integer,
  nothing,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
} from '../../src/domain/language/der/write.js';
import { makeFolder, type Owner, removeAfter } from './folder.js';
import { listenHere } from './free-ports.js';

export interface AuthorityOptions {
  /** Of its root. */
  readonly name?: string;
  readonly keys?: 'rsa' | 'ec' | 'ed25519';
  /** Of the certificate that signs; default: from yesterday on, for years. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** The extended key usage; default: what RFC 3161 demands. */
  readonly purpose?: string;
  /** Who issues the certificate that signs: the root, an authority under it, or a certificate that may issue none. */
  readonly under?: 'root' | 'middle' | 'leaf';
}

export interface StampAuthority {
  /** PEM of the root: the file `root.pem` in its folder. */
  readonly root: string;
  readonly rootFile: string;
  readonly folder: string;
  readonly signer: X509Certificate;
  readonly key: KeyObject;
  /** Undefined: the root. */
  readonly issuer: X509Certificate | undefined;
  /** By `openssl ts`, now. */
  answer(request: Buffer): Buffer;
  /** A server of it. `listener`: what it does instead. */
  listen(owner: Owner, listener?: RequestListener): Promise<string>;
}

function openssl(folder: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, `openssl ${args.join(' ')}: ${stderr}`);
}

const dayMs = 86_400_000;
const digits = (date: Date): string => `${date.toISOString().replaceAll(/[-:T]|\..*/g, '')}Z`;

export function makeStampAuthority(owner: Owner, options: AuthorityOptions = {}): StampAuthority {
  const {
    name = 'Stamps of the test',
    keys = 'rsa',
    purpose = 'critical,timeStamping',
    under = 'root',
  } = options;
  const notBefore = options.notBefore ?? new Date(Date.now() - dayMs);
  const notAfter = options.notAfter ?? new Date(Date.now() + 1000 * dayMs);
  const folder = makeFolder();
  removeAfter(owner, folder);
  mkdirSync(join(folder, 'new'));
  for (const [file, text] of Object.entries({
    'index.txt': '',
    serial: '1000\n',
    tsserial: '01\n',
    'c.cnf': configuration(purpose, under),
  }))
    writeFileSync(join(folder, file), text);
  const made = {
    rsa: ['rsa:2048'],
    ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    ed25519: ['ed25519'],
  }[keys];
  const common = ['-config', 'c.cnf', '-nodes', '-newkey', ...made];
  const year = [
    '-startdate',
    digits(new Date(Date.now() - 4000 * dayMs)),
    '-enddate',
    digits(new Date(Date.now() + 4000 * dayMs)),
  ];
  const issue = (file: string, subject: string, kind: string, by: string, dates: readonly string[]): void => {
    const request = ['-new', '-keyout', `${file}.key`, '-out', `${file}.csr`, '-subj', `/CN=${subject}`];
    openssl(folder, 'req', ...common, ...request);
    const issuer = by === file ? ['-selfsign'] : ['-cert', `${by}.pem`];
    const how = ['-batch', ...issuer, '-keyfile', `${by}.key`, '-extensions', kind, ...dates, '-notext'];
    openssl(folder, 'ca', '-config', 'c.cnf', ...how, '-in', `${file}.csr`, '-out', `${file}.pem`);
  };
  issue('root', name, 'root', 'root', year);
  if (under !== 'root') issue('middle', `${name} 0`, under === 'middle' ? 'middle' : 'tsa', 'root', year);
  const time = ['-startdate', digits(notBefore), '-enddate', digits(notAfter)];
  issue('tsa', `${name} 1`, 'tsa', under === 'root' ? 'root' : 'middle', time);
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  let count = 0;
  const authority: StampAuthority = {
    root: read('root.pem'),
    rootFile: join(folder, 'root.pem'),
    folder,
    signer: new X509Certificate(read('tsa.pem')),
    issuer: under === 'root' ? undefined : new X509Certificate(read('middle.pem')),
    key: createPrivateKey(read('tsa.key')),
    answer(request) {
      count += 1;
      const [query, reply] = [`q${count}`, `r${count}`];
      writeFileSync(join(folder, query), request);
      const from = ['-config', 'c.cnf', '-section', 'stamps', '-queryfile', query];
      openssl(folder, 'ts', '-reply', ...from, '-out', reply);
      const bytes = readFileSync(join(folder, reply));
      for (const file of [query, reply]) rmSync(join(folder, file));
      return bytes;
    },
    async listen(to, listener) {
      const server = createServer(
        listener ??
          ((request, response) => {
            const pieces: Buffer[] = [];
            request.on('data', (piece: Buffer) => pieces.push(piece));
            request.on('end', () => {
              response.writeHead(200, { 'Content-Type': 'application/timestamp-reply' });
              response.end(authority.answer(Buffer.concat(pieces)));
            });
          }),
      );
      const port = await listenHere(server);
      to.after(() => {
        server.closeAllConnections();
        server.close();
      });
      return `http://127.0.0.1:${port}/tsr`;
    },
  };
  return authority;
}

function configuration(purpose: string, under: string): string {
  return `
[req]
distinguished_name = name
prompt = no
[name]
CN = x
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = new
serial = serial
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[middle]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
${purpose === '' ? '' : `extendedKeyUsage = ${purpose}`}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[stamps]
dir = .
serial = tsserial
signer_cert = tsa.pem
certs = ${under === 'root' ? 'root' : 'middle'}.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
`;
}

export interface PaperStamp {
  readonly timeMs: number;
  readonly stamped: Uint8Array;
  /** Replace what an honest authority would write. */
  readonly hash?: string;
  readonly hashId?: string;
  readonly nonce?: Buffer;
  readonly isPss?: boolean;
  /** The certificate that the signed attributes name. */
  readonly named?: X509Certificate;
  readonly contentType?: string;
  /** Signed in the place of the digest of the content. */
  readonly digest?: Buffer;
  /** ESS in its first version, over SHA-1, or none. */
  readonly ess?: 1 | 2 | undefined;
  readonly isEssLeftOut?: boolean;
  readonly certificates?: readonly X509Certificate[];
}

const ids = {
  sha256: '2.16.840.1.101.3.4.2.1',
  sha512: '2.16.840.1.101.3.4.2.3',
  signedData: '1.2.840.113549.1.7.2',
  stampInfo: '1.2.840.113549.1.9.16.1.4',
};
const schemes: Readonly<Record<string, string>> = {
  rsa: '1.2.840.113549.1.1.11',
  pss: '1.2.840.113549.1.1.10',
  ec: '1.2.840.10045.4.3.2',
  ed25519: '1.3.101.112',
};

const algorithm = (id: string): Buffer => sequence(objectIdentifier(id), nothing());
const digestOf = (hash: string, bytes: Uint8Array): Buffer => createHash(hash).update(bytes).digest();
const attribute = (id: string, value: Buffer): Buffer => sequence(objectIdentifier(id), setOf(value));

/** A whole answer that says what it is told to say, signed by a key of an authority. */
export function paperStamp(
  { signer, key }: Pick<StampAuthority, 'signer' | 'key'>,
  stamp: PaperStamp,
): Buffer {
  const { timeMs, stamped, hash = 'sha256', hashId = ids.sha256, nonce, named = signer } = stamp;
  const time = Buffer.from(`${new Date(timeMs).toISOString().replaceAll(/[-:T]|\..*/g, '')}Z`);
  const info = sequence(
    integer(Buffer.from([1])),
    objectIdentifier('1.3.6.1.4.1.99999.1'),
    sequence(algorithm(hashId), octetString(digestOf(hash, stamped))),
    integer(Buffer.from([7])),
    Buffer.concat([Buffer.from([tags.generalizedTime, time.length]), time]),
    ...(nonce === undefined ? [] : [integer(nonce)]),
  );
  const ess =
    stamp.ess === 1
      ? attribute(
          '1.2.840.113549.1.9.16.2.12',
          sequence(sequence(sequence(octetString(digestOf('sha1', named.raw))))),
        )
      : attribute(
          '1.2.840.113549.1.9.16.2.47',
          sequence(sequence(sequence(octetString(digestOf('sha256', named.raw))))),
        );
  const isEd = key.asymmetricKeyType === 'ed25519';
  const attributes = [
    attribute('1.2.840.113549.1.9.3', objectIdentifier(stamp.contentType ?? ids.stampInfo)),
    attribute(
      '1.2.840.113549.1.9.4',
      octetString(stamp.digest ?? digestOf(isEd ? 'sha512' : 'sha256', info)),
    ),
    ...(stamp.isEssLeftOut === true ? [] : [ess]),
  ].toSorted((one, other) => Buffer.compare(one, other));
  const signed = setOf(...attributes);
  const unsigned = Buffer.from(signed);
  unsigned[0] = constructed(0);
  const scheme = schemes[stamp.isPss === true ? 'pss' : (key.asymmetricKeyType ?? '')] ?? '';
  // RSA_PKCS1_PSS_PADDING.
  const with_ = stamp.isPss === true ? { key, padding: 6, saltLength: 32 } : key;
  const [issuer, serial] = placeOf(signer);
  const signerInfo = sequence(
    integer(Buffer.from([1])),
    sequence(issuer, serial),
    algorithm(isEd ? ids.sha512 : ids.sha256),
    unsigned,
    isEd ? sequence(objectIdentifier(scheme)) : algorithm(scheme),
    octetString(sign(isEd ? null : 'sha256', signed, with_)),
  );
  const certificates = (stamp.certificates ?? [signer]).map(({ raw }) => raw);
  const data = sequence(
    integer(Buffer.from([3])),
    setOf(algorithm(ids.sha256)),
    sequence(objectIdentifier(ids.stampInfo), explicit(0, octetString(info))),
    ...(certificates.length === 0 ? [] : [explicit(0, ...certificates)]),
    setOf(signerInfo),
  );
  return sequence(
    sequence(integer(Buffer.from([0]))),
    sequence(objectIdentifier(ids.signedData), explicit(0, data)),
  );
}

/** A refusal, with a bit of PKIFailureInfo. */
export function refusal(bit: number): Buffer {
  const bytes = Buffer.alloc((bit >> 3) + 1);
  bytes[bit >> 3] = 0x80 >> (bit & 7);
  const bits = Buffer.concat([Buffer.from([tags.bitString, bytes.length + 1, 7 - (bit & 7)]), bytes]);
  return sequence(sequence(integer(Buffer.from([2])), bits));
}

/** The issuer's name and the number of a certificate, as they stand in it. */
function placeOf({ raw }: X509Certificate): readonly [issuer: Buffer, serial: Buffer] {
  const plan = new DerReader(raw).into(tags.sequence).into(tags.sequence);
  plan.maybe(constructed(0));
  const serial = plan.take(tags.integer).bytes;
  plan.take(tags.sequence);
  return [plan.take(tags.sequence).bytes, serial];
}

/** The request's nonce; for an authority that answers by itself. */
export function nonceOf(request: Buffer): Buffer {
  const query = new DerReader(request).into(tags.sequence);
  query.take(tags.integer);
  query.take(tags.sequence);
  return query.take(tags.integer).content;
}
