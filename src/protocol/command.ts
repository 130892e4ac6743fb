// The command line: flags, extra fields, user, words.
//
//     v  TAB alice@example.org TAB quota get TAB -u TAB alice@example.org TAB -- LF
//     Dx TAB proxy-ttl=5 TAB alice@example.org TAB mailbox list LF
//        TAB TAB OPTION TAB log-passthrough LF                                        no reply comes to this
//
// Defined by Dovecot in doveadm's client connection (t_strsplit_tabescaped of the line).
// The rule: what Dovecot would read as something else than it looks is refused. There a NUL ends the line or the field,
// `xx` takes two fields, and 2.4.0 to 2.4.4 read past the end of a short line (measured).
import { WireFault } from '../ports/wire-fault.js';
import { decodeUtf8, escapeText, unescapeText } from './lines.js';

/** A line that a client sent after the handshake. */
export type FrontendLine =
  | { kind: 'command'; command: CommandLine }
  /** OPTION and its word: log-passthrough, dovegate-reason=TEXT, or anything; further words are left out. No reply. */
  | { kind: 'option'; name: string };

/** A command as it stands on its line: nothing is known to exist yet, and nothing is allowed. */
export interface CommandLine {
  /** Flag D. */
  debug: boolean;
  /** Flag v. */
  verbose: boolean;
  /** The N of the extra field proxy-ttl=N, 0 to 4294967295; undefined when there is none. */
  proxyTtl: number | undefined;
  /** There was an extra field forward=...; its value is the client's invention and is left out. */
  hasForward: boolean;
  /** The user field, unescaped; may be empty. */
  user: string;
  /** All behind the user field, unescaped: the name in one field or in several, then the arguments. At least one. */
  words: string[];
  /** False: the line held bytes that are no UTF-8; where `user` or `words` did, there is U+FFFD. */
  isUtf8: boolean;
}

/** A NUL would end the field at the server; half a surrogate pair would arrive as another character. */
const unsendable = /[\0\p{Surrogate}]/u;
const perhapsUnsendable = /[\0\ud800-\udfff]/;

/** What parseCommandLine takes at most. */
export interface CommandLimits {
  /** Fields of the line, flags and user counted, and as many entries in the extra field. Stops a line of TABs. */
  fieldsMax: number;
}

/** A command to write for a server. The texts are not escaped. */
export interface CommandToSend {
  /** Sends flag D; then `verbose` is not sent, as real clients do it. */
  debug?: boolean;
  verbose?: boolean;
  /** Sends flag x and proxy-ttl=N, which servers of minor 2 and less answer with end of file (measured). */
  proxyTtl?: number | undefined;
  user: string;
  /** One field: 'quota get'. */
  name: string;
  args: readonly string[];
}

const numberMax = 0xffff_ffff;
const digits = /^[0-9]+$/;
const optionWord = 'OPTION';

/**
 * Reads a line (without LF). Throws WireFault bad-command for an empty line, fewer fields than flags, (extra,) user and
 * word, an unknown flag, more than one x, a NUL raw or escaped, an extra proxy-ttl that is no number or comes twice, and
 * too many fields; bad-escape as unescapeText does.
 */
export function parseCommandLine(line: Buffer, limits: CommandLimits): FrontendLine {
  const text = decodeUtf8(line);
  const fields = splitText(text ?? line.toString(), limits);
  const flags = parseFlags(fields[0] ?? '');
  const [user, ...words] = fields.slice(flags.hasExtra ? 2 : 1);
  const [firstWord] = words;
  if (user === undefined || firstWord === undefined)
    throw new WireFault('bad-command', 'a line with too few fields');
  const extra = parseExtra(flags.hasExtra ? fields[1] : undefined, limits);
  if (firstWord === optionWord) return { kind: 'option', name: words[1] ?? '' };
  return {
    kind: 'command',
    command: {
      debug: flags.debug,
      verbose: flags.verbose,
      ...extra,
      user,
      words,
      isUtf8: text !== undefined,
    },
  };
}

/**
 * The line with its LF, in the spelling of the real client. Throws WireFault bad-command for a NUL or half a surrogate
 * pair in any field, and for the name OPTION, which would be no command.
 */
export function encodeCommandLine(command: CommandToSend): Buffer {
  const { debug = false, verbose = false, proxyTtl, user, name, args } = command;
  if (name === optionWord) throw new WireFault('bad-command', 'OPTION is no command');
  let flags = debug ? 'D' : verbose ? 'v' : '';
  const fields = [user, name, ...args];
  if (proxyTtl !== undefined) {
    if (!Number.isInteger(proxyTtl) || proxyTtl < 0 || proxyTtl > numberMax) {
      throw new RangeError('proxyTtl is out of range');
    }
    flags += 'x';
    fields.unshift(`proxy-ttl=${proxyTtl}`);
  }
  return encodeFields([flags, ...fields]);
}

/** The OPTION line with its LF. Throws WireFault bad-command as encodeCommandLine does. */
export function encodeOption(name: string): Buffer {
  return encodeFields(['', '', optionWord, name]);
}

function splitText(text: string, { fieldsMax }: CommandLimits): string[] {
  // split() stops at its limit, which it takes modulo 2^32.
  const raw = text.split('\t', Math.min(fieldsMax + 1, numberMax));
  if (raw.length > fieldsMax) throw new WireFault('bad-command', `a line with more than ${fieldsMax} fields`);
  const fields = raw.map(unescapeText);
  // Raw or escaped: splitting leaves the one as it is and makes the other.
  if (fields.some((field) => field.includes('\0'))) throw new WireFault('bad-command', 'a field with a NUL');
  return fields;
}

function parseFlags(field: string): { debug: boolean; verbose: boolean; hasExtra: boolean } {
  let debug = false;
  let verbose = false;
  let hasExtra = false;
  for (const letter of field) {
    switch (letter) {
      case 'D':
        debug = true;
        break;
      case 'v':
        verbose = true;
        break;
      case 'x':
        if (hasExtra) throw new WireFault('bad-command', 'flag x twice');
        hasExtra = true;
        break;
      default:
        throw new WireFault('bad-command', 'an unknown flag');
    }
  }
  return { debug, verbose, hasExtra };
}

/** The extra field is a list of its own, escaped inside the field: `proxy-ttl=3` SOH t `forward=a=b`. */
function parseExtra(
  field: string | undefined,
  limits: CommandLimits,
): Pick<CommandLine, 'proxyTtl' | 'hasForward'> {
  let proxyTtl: number | undefined;
  let hasForward = false;
  if (field !== undefined) {
    for (const entry of splitText(field, limits)) {
      if (entry.startsWith('forward=')) hasForward = true;
      if (!entry.startsWith('proxy-ttl=')) continue;
      const value = entry.slice('proxy-ttl='.length);
      const ttl = Number(value);
      if (proxyTtl !== undefined || !digits.test(value) || ttl > numberMax) {
        throw new WireFault('bad-command', 'an extra field proxy-ttl that is no number, or twice');
      }
      proxyTtl = ttl;
    }
  }
  return { proxyTtl, hasForward };
}

function encodeFields(fields: readonly string[]): Buffer {
  const text = fields.join('\t');
  // The first expression is ten times as fast, and nearly every line has none of these.
  if (perhapsUnsendable.test(text) && unsendable.test(text)) {
    throw new WireFault('bad-command', 'a field that cannot be sent as it is');
  }
  return Buffer.from(`${fields.map(escapeText).join('\t')}\n`);
}
