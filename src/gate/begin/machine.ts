// Reads the facts of this machine before the first question: the user, the accounts, and an installed Dovecot. It changes nothing in
// Dovecot. If a Dovecot program hangs or prints something unexpected, the facts are unknown after a few seconds, and a sentence says why.

import { gidOf, ourselves, uidOf, userNameOf } from '../../host/machine/accounts.js';
import { isMissing } from '../../host/machine/files.js';
import { readFromDisk, shippedPresets } from '../../host/machine/process.js';
import { isProgramEnd, runProgram } from '../../host/machine/programs.js';
import { askDovecot, askLimits, type DovecotFacts } from '../../rules/setup/doveconf.js';

export interface Machine {
  readonly isRoot: boolean;
  /** The user of this process; under sudo, the user who called it. Undefined for root itself. */
  readonly person: string | undefined;
  readonly ownName: string;
  readonly uidOf: (name: string) => number | undefined;
  readonly gidOf: (name: string) => number | undefined;
  readonly daemonUser: string;
  readonly dovecot: DovecotFacts | undefined;
  /** Why no Dovecot is known, as a sentence. */
  readonly noDovecot: string | undefined;
  /** Patterns of Dovecot's mail users; empty: not known. */
  readonly mailUsers: readonly string[];
  /** One mail user of Dovecot, for the commands to try. */
  readonly mailUser: string | undefined;
  /** Why the mail users are not known, as a sentence without its dot; undefined: they are known, or there is no Dovecot. */
  readonly noMailUsers: string | undefined;
  readonly presets: readonly Preset[];
}

export interface Preset {
  readonly name: string;
  readonly about: string;
}

/** With more domains, the list of patterns is too long for a default. */
const domainsMax = 5;

export async function lookAtMachine(): Promise<Machine> {
  const { isRoot, uid } = ourselves();
  const ownName = userNameOf(uid) ?? String(uid);
  const behind = process.env['SUDO_USER'];
  // Root, who called sudo as another user, does not use the gate afterwards.
  const isBehindSudo = isRoot && behind !== undefined && (uidOf(behind) ?? 0) !== 0;
  const asked = await askDovecot();
  return {
    isRoot,
    person: isBehindSudo ? behind : isRoot ? undefined : ownName,
    ownName,
    uidOf,
    gidOf,
    daemonUser: isRoot && uidOf('dovegate') !== undefined ? 'dovegate' : ownName,
    dovecot: typeof asked === 'string' ? undefined : asked,
    noDovecot: typeof asked === 'string' ? asked : undefined,
    ...(typeof asked === 'string'
      ? { mailUsers: [], mailUser: undefined, noMailUsers: undefined }
      : await askMailUsers(asked)),
    presets: shippedPresets().map((name) => ({ name, about: aboutOf(readFromDisk.presetText(name)) })),
  };
}

async function askMailUsers({
  defaultRealm,
  baseDirectory,
}: DovecotFacts): Promise<Pick<Machine, 'mailUsers' | 'mailUser' | 'noMailUsers'>> {
  const ended = await runProgram('doveadm', ['user', '*'], askLimits);
  const isAnswered = isProgramEnd(ended, 'ended') && ended.exitCode === 0;
  const names = isAnswered ? ended.stdout.split('\n') : [];
  // The name becomes a word of a printed command.
  const mailUser = names.find((name) => /^[\w.+-]+@[\w.-]+$/.test(name));
  const mailUsers = patternsOf(names, defaultRealm);
  if (mailUsers.length > 0) return { mailUsers, mailUser, noMailUsers: undefined };
  // Dovecot's master process removes the file when it ends.
  const isRunning = !isMissing(`${baseDirectory}/master.pid`);
  const noMailUsers = isAnswered
    ? `"doveadm user '*'" lists users without a domain, or of more than ${domainsMax} domains`
    : whyNotListed(isRunning);
  return { mailUsers, mailUser, noMailUsers };
}

/** Why Dovecot lists no users, as a sentence without its dot. */
export function whyNotListed(isRunning: boolean): string {
  return isRunning
    ? `"doveadm user '*'" fails: the userdb of this Dovecot cannot list its users, as with the driver static`
    : `"doveadm user '*'" fails: Dovecot is stopped`;
}

/** `*@DOMAIN` for each domain; empty if there are none, or too many. */
export function patternsOf(names: readonly string[], defaultRealm: string | undefined): readonly string[] {
  const domains = new Set(
    names.filter((name) => name !== '').map((name) => name.split('@')[1] ?? defaultRealm ?? ''),
  );
  if (domains.size === 0 && defaultRealm !== undefined) domains.add(defaultRealm);
  const isPlain = [...domains].every((domain) => /^[a-z0-9.-]+$/.test(domain));
  return isPlain && domains.size <= domainsMax ? [...domains].toSorted().map((domain) => `*@${domain}`) : [];
}

/** The beginning of the second sentence of a preset's file; the first is about what its rules cannot enforce. Each continues with `#  `. */
function aboutOf(text: string | undefined): string {
  const [, about = ''] = /^# Not enforced: .*\n(?:# {3}.*\n)*# ([^.:;]*)/.exec(text ?? '') ?? [];
  return about.replaceAll(/\n# +/g, ' ');
}
