// Time stamps as RFC 3161 has them: the request, and what its answer proves. A stamp is believed only after all of this: its signature by
// the certificate that it names (RFC 5035), that certificate for time stamps alone, valid then, and chained to those that a person trusts;
// and the SHA-256 of the very bytes. Whoever has no key of such an authority can hold an answer back, and nothing else.

import { constants, createHash, type KeyObject, verify } from 'node:crypto';
import { bounds } from '../../../bounds/bounds.js';
import {
  constructed,
  type Der,
  DerFault,
  DerReader,
  identifierOf,
  numberOf,
  primitive,
  readWhole,
  tags,
  timeOf,
} from '../../language/der/read.js';
import {
  boolean,
  integer,
  nothing,
  objectIdentifier,
  octetString,
  sequence,
} from '../../language/der/write.js';
import {
  type Certificate,
  isChained,
  isForStampsAlone,
  isWeak,
  keyIdentifierOf,
  readCertificate,
} from './certificate.js';
import { StampFault } from './fault.js';

const ids = {
  sha256: '2.16.840.1.101.3.4.2.1',
  signedData: '1.2.840.113549.1.7.2',
  stampInfo: '1.2.840.113549.1.9.16.1.4',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingCertificate: '1.2.840.113549.1.9.16.2.12',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
};

const digests: ReadonlyMap<string, string> = new Map([
  [ids.sha256, 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);

interface Scheme {
  readonly keys: readonly KeyObject['asymmetricKeyType'][];
  /** Undefined: the one that the signature names beside it; null: none. */
  readonly digest?: string | null;
  readonly isPss?: boolean;
}

const rsa = ['rsa'] as const;
const ec = ['ec'] as const;
const schemes: ReadonlyMap<string, Scheme> = new Map<string, Scheme>([
  ['1.2.840.113549.1.1.1', { keys: rsa }],
  ['1.2.840.113549.1.1.11', { keys: rsa, digest: 'sha256' }],
  ['1.2.840.113549.1.1.12', { keys: rsa, digest: 'sha384' }],
  ['1.2.840.113549.1.1.13', { keys: rsa, digest: 'sha512' }],
  ['1.2.840.113549.1.1.10', { keys: ['rsa', 'rsa-pss'], isPss: true }],
  ['1.2.840.10045.4.3.2', { keys: ec, digest: 'sha256' }],
  ['1.2.840.10045.4.3.3', { keys: ec, digest: 'sha384' }],
  ['1.2.840.10045.4.3.4', { keys: ec, digest: 'sha512' }],
  ['1.3.101.112', { keys: ['ed25519'], digest: null }],
]);

/** PKIFailureInfo: why an authority gave none. */
const refusals: ReadonlyMap<number, string> = new Map([
  [0, 'it does not take this hash'],
  [2, 'it does not permit this request'],
  [5, 'it cannot read the request'],
  [14, 'its clock is not available'],
  [15, 'it has no such policy'],
  [25, 'it has failed itself'],
]);

export interface Stamp {
  /** Milliseconds since 1970, and how far it may be off by its own word. */
  readonly timeMs: number;
  readonly accuracyMs: number;
  /** Dotted. */
  readonly policy: string;
  /** Hex. */
  readonly serial: string;
  /** The subject of the certificate that signed it, in one line: words of the authority. */
  readonly signer: string;
}

/** A TimeStampReq over bytes, which asks for the certificates, too. */
export function makeStampRequest(stamped: Uint8Array, nonce: Buffer): Buffer {
  const algorithm = sequence(objectIdentifier(ids.sha256), nothing());
  return sequence(
    integer(Buffer.from([1])),
    sequence(algorithm, octetString(sha256(stamped))),
    integer(nonce),
    boolean(true),
  );
}

/**
 * What an answer (a whole TimeStampResp) proves of bytes. `authority`: what it must chain to; undefined: that is looked at later, and until
 * then anybody can have made it. `nonce`: that of the request; undefined: it was checked when the answer came. Throws a StampFault.
 */
export function checkStamp(
  answer: Buffer,
  stamped: Uint8Array,
  authority: readonly Certificate[] | undefined,
  nonce?: Buffer,
): Stamp {
  try {
    const token = readToken(answer);
    const info = readInfo(token.content);
    if (info.hash === undefined) throw new StampFault('other-hash');
    if (!info.hash.equals(sha256(stamped))) throw new StampFault('other-bytes');
    if (nonce !== undefined && info.nonce?.equals(new DerReader(integer(nonce)).next().content) !== true)
      throw new StampFault('other-nonce');
    const known = [...token.certificates, ...(authority ?? [])];
    const signer = known.find((each) => isNamed(token, each));
    if (signer === undefined) throw new StampFault('untrusted', 'the certificate that it names is not there');
    if (!isForStampsAlone(signer)) throw new StampFault('wrong-purpose');
    if (isWeak(signer)) throw new StampFault('weak');
    if (!isSignedBy(token, signer)) throw new StampFault('bad-signature');
    const { timeMs } = info;
    if (authority !== undefined && !isChained(signer, authority, token.certificates, timeMs))
      throw new StampFault(
        isChained(signer, authority, token.certificates, undefined) ? 'not-valid-then' : 'untrusted',
      );
    const { accuracyMs, policy, serial } = info;
    return { timeMs, accuracyMs, policy, serial, signer: signer.x509.subject.split('\n').join(', ') };
  } catch (fault) {
    throw fault instanceof DerFault ? new StampFault('malformed', fault.message, fault) : fault;
  }
}

/** Why a stamp is not that of the newest checkpoint of its time; undefined: it may be. `nextMs`: the time of the next checkpoint. */
export function whyOddTime(
  { timeMs, accuracyMs }: Pick<Stamp, 'timeMs' | 'accuracyMs'>,
  checkpointMs: number,
  nextMs: number | undefined,
): 'too-early' | 'too-late' | undefined {
  if (timeMs + accuracyMs + bounds.stampSkewMs < checkpointMs) return 'too-early';
  // It was asked for while that checkpoint was the last; the answer may have taken its time, and the two clocks are apart.
  return nextMs !== undefined && timeMs - accuracyMs > nextMs + 2 * bounds.stampSkewMs
    ? 'too-late'
    : undefined;
}

/** Its day in UTC, as `2026-11-29`. */
export function stampDay(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** A SignedData with one signer. */
interface Token {
  readonly content: Buffer;
  readonly certificates: readonly Certificate[];
  /** The issuer and number of the signer's certificate, or the identifier of its key. */
  readonly sid: Der;
  readonly digest: string;
  /** As they are signed. */
  readonly attributes: Buffer;
  readonly byId: ReadonlyMap<string, Der>;
  readonly scheme: Scheme;
  readonly signature: Buffer;
}

function readToken(answer: Buffer): Token {
  const response = readWhole(answer, tags.sequence);
  const status = response.into(tags.sequence);
  // Granted, or granted with changes.
  if (numberOf(status.take(tags.integer)) > 1) throw new StampFault('refused', refusalOf(status));
  const whole = response.into(tags.sequence);
  response.end();
  demand(whole, ids.signedData, 'it is not signed');
  const data = whole.into(constructed(0)).into(tags.sequence);
  data.take(tags.integer);
  data.take(tags.set);
  const inner = data.into(tags.sequence);
  demand(inner, ids.stampInfo, 'it is no time stamp');
  const { content } = inner.into(constructed(0)).take(tags.octetString);
  const certificates = (data.maybeInto(constructed(0))?.rest() ?? [])
    .slice(0, bounds.stampCertificates)
    .flatMap(({ bytes }) => readCertificate(bytes) ?? []);
  // Revocation lists.
  data.maybe(constructed(1));
  const signers = data.into(tags.set);
  const signer = signers.into(tags.sequence);
  signers.end();
  signer.take(tags.integer);
  const sid = signer.next();
  const digest = digests.get(algorithmOf(signer));
  const attributes = signer.take(constructed(0));
  const scheme = schemes.get(algorithmOf(signer));
  if (digest === undefined || scheme === undefined) throw new StampFault('weak', 'its hash or signature');
  const signature = signer.take(tags.octetString).content;
  const signed = Buffer.from(attributes.bytes);
  signed[0] = tags.set;
  const byId = readAttributes(new DerReader(attributes.content));
  return { content, certificates, sid, digest, attributes: signed, byId, scheme, signature };
}

function refusalOf(status: DerReader): string {
  status.maybe(tags.sequence);
  const [unused = 0, ...bytes] = status.maybe(tags.bitString)?.content ?? [];
  const bits = Math.max(0, bytes.length * 8 - unused);
  const isSet = (bit: number): boolean => bit < bits && ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;
  return [...refusals].find(([bit]) => isSet(bit))?.[1] ?? '';
}

function demand(reader: DerReader, id: string, otherwise: string): void {
  if (identifierOf(reader.take(tags.objectIdentifier)) !== id) throw new StampFault('malformed', otherwise);
}

function algorithmOf(reader: DerReader): string {
  return identifierOf(reader.into(tags.sequence).take(tags.objectIdentifier));
}

/** Each has one value, and none comes twice. */
function readAttributes(all: DerReader): Map<string, Der> {
  const byId = new Map<string, Der>();
  while (!all.isAtEnd) {
    const each = all.into(tags.sequence);
    const id = identifierOf(each.take(tags.objectIdentifier));
    const [value, ...more] = each.into(tags.set).rest();
    if (value === undefined || more.length > 0 || byId.has(id))
      throw new DerFault('an attribute has not one value');
    byId.set(id, value);
  }
  return byId;
}

/** Whether the token says, under its signature, that this certificate signed it; and beside it, too. */
function isNamed({ sid, byId }: Token, certificate: Certificate): boolean {
  const second = byId.get(ids.signingCertificateV2);
  const list = second ?? byId.get(ids.signingCertificate);
  if (list === undefined) throw new StampFault('malformed', 'it does not say which certificate signed it');
  const first = new DerReader(list.content).into(tags.sequence).into(tags.sequence);
  const written = second && first.maybeInto(tags.sequence);
  const hash =
    second === undefined
      ? 'sha1'
      : written === undefined
        ? 'sha256'
        : digests.get(identifierOf(written.take(tags.objectIdentifier)));
  if (hash === undefined) throw new StampFault('weak', 'the hash of its certificate');
  const print = createHash(hash).update(certificate.x509.raw).digest();
  if (!first.take(tags.octetString).content.equals(print)) return false;
  if (sid.tag === primitive(0)) return keyIdentifierOf(certificate)?.equals(sid.content) === true;
  if (sid.tag !== tags.sequence) throw new DerFault('it names no signer');
  const named = new DerReader(sid.content);
  return (
    named.take(tags.sequence).bytes.equals(certificate.issuer) &&
    named.take(tags.integer).content.equals(certificate.serial)
  );
}

function isSignedBy(
  { content, digest, attributes, byId, scheme, signature }: Token,
  signer: Certificate,
): boolean {
  const type = byId.get(ids.contentType);
  const said = byId.get(ids.messageDigest);
  if (type?.tag !== tags.objectIdentifier || identifierOf(type) !== ids.stampInfo) return false;
  if (said?.tag !== tags.octetString) return false;
  if (!said.content.equals(createHash(digest).update(content).digest())) return false;
  const { publicKey } = signer.x509;
  if (!scheme.keys.includes(publicKey.asymmetricKeyType)) return false;
  const how =
    scheme.isPss === true
      ? {
          key: publicKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_AUTO,
        }
      : publicKey;
  return verify(scheme.digest === undefined ? digest : scheme.digest, attributes, how, signature);
}

/** A TSTInfo. `hash`: undefined: it is not a SHA-256. */
function readInfo(content: Buffer) {
  const info = readWhole(content, tags.sequence);
  if (numberOf(info.take(tags.integer)) !== 1) throw new DerFault('it has another version');
  const policy = identifierOf(info.take(tags.objectIdentifier));
  const imprint = info.into(tags.sequence);
  const isSha256 = algorithmOf(imprint) === ids.sha256;
  const hash = imprint.take(tags.octetString).content;
  imprint.end();
  const serial = info.take(tags.integer).content.toString('hex');
  const timeMs = timeOf(info.take(tags.generalizedTime));
  const accuracyMs = readAccuracy(info.maybeInto(tags.sequence));
  info.maybe(tags.boolean);
  const nonce = info.maybe(tags.integer)?.content;
  info.maybe(constructed(0));
  // Of its extensions none is understood.
  const extensions = info.maybeInto(constructed(1))?.rest() ?? [];
  info.end();
  const isCritical = extensions.some((each) => {
    const extension = new DerReader(each.content);
    extension.take(tags.objectIdentifier);
    return extension.maybe(tags.boolean)?.content[0] === 0xff;
  });
  if (isCritical) throw new DerFault('it demands something unknown');
  return { policy, hash: isSha256 ? hash : undefined, serial, timeMs, accuracyMs, nonce };
}

function readAccuracy(reader: DerReader | undefined): number {
  if (reader === undefined) return 0;
  const seconds = reader.maybe(tags.integer);
  const millis = reader.maybe(primitive(0));
  const micros = reader.maybe(primitive(1));
  reader.end();
  const [whole = 0, thousandth = 0, millionth = 0] = [seconds, millis, micros].map((each) =>
    each === undefined ? 0 : numberOf(each),
  );
  return whole * 1000 + thousandth + millionth / 1000;
}
