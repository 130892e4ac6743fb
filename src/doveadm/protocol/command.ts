// The command line: flags, extra fields, user, words.
//
//     v  TAB alice@example.org TAB quota get TAB -u TAB alice@example.org TAB -- LF
//     Dx TAB proxy-ttl=5 TAB alice@example.org TAB mailbox list LF
//        TAB TAB OPTION TAB log-passthrough LF                                        no reply comes to this
//
// Where the name ends and the arguments begin depends on the command (doveadm/commands). Defined by Dovecot in doveadm's client connection
// (t_strsplit_tabescaped of the line). Lines that Dovecot does not read as they look are refused: there a NUL ends the line or the field,
// `xx` takes two fields, and 2.4.0 to 2.4.4 read past the end of a short line (measured).

import { bounds } from '../../host/bounds/bounds.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { WireFault } from '../../host/ports/faults.js';
import { decodeUtf8, escapeText, unescapeText } from './lines.js';

/** A line that a client sent after the handshake. */
export type FrontendLine =
  | { kind: 'command'; command: CommandLine }
  /** OPTION and its word: log-passthrough, dovegate-reason=TEXT, or anything; further words are left out. No reply. */
  | { kind: 'option'; name: string };

/** A command as it stands on its line: neither its existence nor its permission is checked yet. */
export interface CommandLine {
  /** Flag D. */
  debug: boolean;
  /** Flag v. */
  verbose: boolean;
  /** The N of the extra field proxy-ttl=N, 0 to 4294967295; undefined when there is none. */
  proxyTtl: number | undefined;
  /** The user field, unescaped; may be empty. */
  user: string;
  /** All fields after the user, unescaped: the name in one field or in several, then the arguments. At least one. */
  words: string[];
  /** Such a line is refused, whatever it asks for. */
  fault: LineFault | undefined;
  /** For a command that came as JSON, its parameters by name; `words` is its name alone then. Undefined: a line of the wire protocol. */
  named: readonly NamedParameter[] | undefined;
}

/** `not-utf8`: such bytes became U+FFFD in `user` and `words`. `too-many-fields`: `words` holds the first ones. */
export type LineFault = 'not-utf8' | 'too-many-fields';

/** A JSON value, as far as parameters can use it. */
export type JsonValue =
  | { readonly kind: 'string'; readonly text: string }
  /** As it was written. */
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'true' | 'false' | 'null' }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  /** An object, or a list that holds anything but strings. */
  | { readonly kind: 'other'; readonly what: 'object' | 'list' }
  /** A string of any length: the position of its content in the body of the request, `to` excluded. */
  | { readonly kind: 'span'; readonly from: number; readonly to: number };

export const isJson = predicateOf<JsonValue>();

/** A parameter as the client named it; the spelling may vary, and a name may occur twice. */
export interface NamedParameter {
  readonly name: string;
  readonly value: JsonValue;
}

/** A command to encode for a server. The texts are not escaped. */
export interface CommandToSend {
  /** Sends flag D; then `verbose` is not sent, as with real clients. */
  debug?: boolean;
  verbose?: boolean;
  /** Sends flag x and proxy-ttl=N, which servers of minor 2 and less answer with end of file (measured). */
  proxyTtl?: number | undefined;
  user: string;
  /** One field: 'quota get'. */
  name: string;
  args: readonly string[];
}

/** A NUL would end the field at the server; half a surrogate pair would arrive as another character. */
const unsendable = /[\0\p{Surrogate}]/u;
const perhapsUnsendable = /[\0\ud800-\udfff]/;
const numberMax = 0xffff_ffff;
const optionWord = 'OPTION';

/**
 * Parses a line (without LF). `fieldsMax`: the number of fields in the line (flags and user included), and of entries in the extra field;
 * stops a line of TABs, and no further field is read. Throws WireFault bad-command for an empty line, fewer fields than flags, (extra,)
 * user and word, an unknown flag, more than one x, a NUL raw or escaped, and an extra proxy-ttl that is no number or is repeated;
 * bad-escape as unescapeText does.
 */
export function parseCommandLine(line: Buffer, fieldsMax: number = bounds.commandFields): FrontendLine {
  const text = decodeUtf8(line);
  const { fields, isCut } = splitText(text ?? line.toString(), fieldsMax);
  const flags = fields[0] ?? '';
  if (/[^Dvx]/.test(flags)) throw badCommand('an unknown flag');
  const hasExtra = flags.includes('x');
  if (hasExtra && flags.indexOf('x') !== flags.lastIndexOf('x')) throw badCommand('flag x twice');
  const [user, ...words] = fields.slice(hasExtra ? 2 : 1);
  const [firstWord] = words;
  if (user === undefined || firstWord === undefined) throw badCommand('a line with too few fields');
  const extra = hasExtra ? splitText(fields[1] ?? '', fieldsMax) : undefined;
  const proxyTtl = extra && proxyTtlIn(extra.fields);
  if (firstWord === optionWord) return { kind: 'option', name: words[1] ?? '' };
  return {
    kind: 'command',
    command: {
      debug: flags.includes('D'),
      verbose: flags.includes('v'),
      proxyTtl,
      user,
      words,
      fault: isCut || extra?.isCut === true ? 'too-many-fields' : text === undefined ? 'not-utf8' : undefined,
      named: undefined,
    },
  };
}

/**
 * Encodes the line with its LF, in the spelling of the real client. Throws WireFault bad-command for a NUL or half a surrogate pair in any
 * field, and for the name OPTION, which would not be a command.
 */
export function encodeCommandLine(command: CommandToSend): Buffer {
  const { debug = false, verbose = false, proxyTtl, user, name, args } = command;
  if (name === optionWord) throw badCommand('OPTION is no command');
  const flags = debug ? 'D' : verbose ? 'v' : '';
  if (proxyTtl === undefined) return encodeFields([flags, user, name, ...args]);
  if (!Number.isInteger(proxyTtl) || proxyTtl < 0 || proxyTtl > numberMax) {
    throw new RangeError('proxyTtl is out of range');
  }
  return encodeFields([`${flags}x`, `proxy-ttl=${proxyTtl}`, user, name, ...args]);
}

/** The OPTION line with its LF. Throws WireFault bad-command as encodeCommandLine does. */
export function encodeOption(name: string): Buffer {
  return encodeFields(['', '', optionWord, name]);
}

function splitText(text: string, fieldsMax: number): { readonly fields: string[]; readonly isCut: boolean } {
  const raw = text.split('\t', fieldsMax + 1);
  const isCut = raw.length > fieldsMax;
  if (isCut) raw.pop();
  const fields = raw.map(unescapeText);
  // Raw or escaped: splitting keeps a raw NUL and decodes an escaped one.
  if (fields.some((field) => field.includes('\0'))) throw badCommand('a field with a NUL');
  return { fields, isCut };
}

/**
 * The proxy-ttl of the extra field, which is a list of its own, escaped inside the field: `proxy-ttl=3` SOH t `forward=a=b`. Its `forward`
 * is dropped, because the client can put anything there.
 */
function proxyTtlIn(entries: readonly string[]): number | undefined {
  let proxyTtl: number | undefined;
  for (const entry of entries) {
    if (!entry.startsWith('proxy-ttl=')) continue;
    const value = entry.slice('proxy-ttl='.length);
    if (proxyTtl !== undefined || !/^[0-9]+$/.test(value) || Number(value) > numberMax) {
      throw badCommand('an extra field proxy-ttl that is no number, or twice');
    }
    proxyTtl = Number(value);
  }
  return proxyTtl;
}

function encodeFields(fields: readonly string[]): Buffer {
  const text = fields.join('\t');
  // The first expression is ten times as fast, and rarely matches.
  if (perhapsUnsendable.test(text) && unsendable.test(text)) {
    throw badCommand('a field that cannot be sent as it is');
  }
  return Buffer.from(`${fields.map(escapeText).join('\t')}\n`);
}

function badCommand(message: string): WireFault {
  return new WireFault('bad-command', message);
}
