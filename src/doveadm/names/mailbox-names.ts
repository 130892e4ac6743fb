// Which mailboxes a name may be to a server: one mailbox has several names. Measured on 2.3.19.1 and 2.4.1
// (test/whole/dovecot/mailbox-names.test.ts):
//
//   prefix INBOX/, inbox      INBOX/INBOX is the INBOX; so is inbox/INBOX, but not INBOX/inbox
//   prefix Mail/, inbox       Mail/INBOX is the INBOX, and so is Mail (maildir: the root of the namespace is the INBOX)
//   Private/ alias for it     Private/Sub is Mail/Sub, Private is the INBOX; Private/INBOX is the INBOX in 2.4 and another mailbox in 2.3
//   shared/                   shared/bob is shared/bob/INBOX
//
// No server is asked. What the configuration does not say is doubted: then a name may be several mailboxes. A rule that allows must match
// the name and all of its `readings`; a rule that denies counts when it matches one of its `spellings`.
import { foldAscii } from '../../host/words/text.js';
import { maskCovers } from './mask.js';

export interface Namespace {
  /** Empty, or ends with the separator. */
  readonly prefix: string;
  /** One character. */
  readonly separator: string;
  readonly inbox: boolean;
  /** Prefix of the namespace whose mailboxes it shows under other names. */
  readonly aliasFor: string | undefined;
  /** An alias has the kind of its target namespace. */
  readonly kind: 'private' | 'shared' | 'public';
}

/** Names of mailboxes and masks for them (with `*` or `%`), as one backend reads them, or any of several. */
export interface MailboxNames {
  readonly key: string;
  /** Other names of the same mailbox at the server, without the name itself. */
  readings(name: string): readonly string[];
  /** All known names of the mailbox, the name itself first. */
  spellings(name: string): readonly string[];
  /** The spellings in lower case, for rules that deny. */
  folded(name: string): readonly string[];
  /** Not all names of the INBOX are known: any name that ends in INBOX may be one. */
  readonly isInboxDoubted: boolean;
}

/**
 * Used if a configuration does not declare the prefixes; case does not matter. A virtual mailbox shows mail of any other one that its user
 * sees, also of one that somebody shares.
 */
export const usualSharedPrefixes: readonly string[] =
  'shared/,shared.,public/,public.,user/,user.,users/,users.,other users/,other users.,#shared/,#public/,#users/,virtual/,virtual.,~'.split(
    ',',
  );

const inboxName = 'INBOX';

/** Possible separators before INBOX if a configuration does not declare them: ASCII punctuation except `-` and `_`. */
const usualSeparators = '/.\\:^|~#,;!+=@$&';
/** Separators that a server may drop when repeated or at an end: those in common use. */
const usualHierarchySeparators = '/.';

/**
 * The names at a backend that declares all of its namespaces, or none (undefined). `sharedPrefixes`: of its shared and public namespaces,
 * each with its separator at the end.
 */
export function createMailboxNames(
  namespaces: readonly Namespace[] | undefined,
  sharedPrefixes: readonly string[],
): MailboxNames {
  const listed = namespaces ?? [];
  const isInboxDoubted = !listed.some((each) => each.inbox);
  const said = listed.map((each) => each.separator).join('');
  const separators = new Set(isInboxDoubted ? usualSeparators + said : said);
  const withoutEmptyParts = createEmptyPartRemover(isInboxDoubted ? usualHierarchySeparators + said : said);
  // Below the prefix of a public namespace are mailboxes, not users.
  const ofUsers = namespaces?.filter(({ kind }) => kind === 'shared').map(({ prefix }) => prefix);
  const shared = (ofUsers ?? sharedPrefixes).map(foldAscii);

  return {
    key: [
      namespaces === undefined ? '\x06' : '',
      sharedPrefixes === usualSharedPrefixes ? '\x07' : '',
      ...listed.map(({ prefix, separator, inbox, aliasFor, kind }) =>
        [prefix, separator, inbox ? 'inbox' : kind, aliasFor ?? '\x03'].join('\x02'),
      ),
      ...shared,
    ].join('\x01'),
    isInboxDoubted,
    readings,
    spellings,
    folded: (name) => inLowerCase(spellings(name)),
  };

  function readings(name: string): readonly string[] {
    // A rule that permits a mask for all of them permits all of them.
    if (/^[*%]+$/.test(name)) return none;
    const plain = inCapitals(isMailboxMask(name) ? name : withoutEmptyParts(name));
    const found = new Set([plain, ...mailboxesOf(plain)]);
    found.delete(name);
    return found.size === 0 ? none : [...found];
  }

  function spellings(name: string): readonly string[] {
    const found = [name, ...readings(name)];
    // A reading that is a different mailbox (a root and its INBOX) has names of its own, which may be meant too.
    return [...new Set([...found, ...found.flatMap(namesOf)])];
  }

  /** The possible mailboxes of a name, each by one canonical name. */
  function mailboxesOf(name: string): string[] {
    const found: string[] = [];
    if (mayBeInbox(name)) found.push(inboxName);
    if (name === inboxName) return found;
    for (const { namespace, rest } of placesOf(name)) {
      const home = homeOf(namespace);
      const isInbox = home.inbox && (rest === '' || rest === inboxName);
      if (home !== namespace && !isInbox) found.push(nameIn(home, namespace, rest));
      // The root of a namespace without the INBOX is the INBOX there in 2.4; in 2.3 these are two mailboxes.
      if (rest === inboxName && !home.inbox) found.push(rootOf(home));
    }
    if (isMailboxMask(name)) return found;
    const [part, above] = lastPartOf(name);
    if (isInboxDoubted && part === 'inbox' && above !== '') found.push(above);
    const owner = sharedOwnerOf(name);
    if (owner !== undefined) found.push(owner);
    return found.filter((each) => each !== '');
  }

  function namesOf(name: string): string[] {
    const found: string[] = [];
    if (name === inboxName) {
      for (const namespace of listed) {
        if (!homeOf(namespace).inbox) continue;
        found.push(`${namespace.prefix}${inboxName}`, rootOf(namespace));
      }
      return found.filter((each) => each !== '');
    }
    for (const { namespace, rest } of placesOf(name)) {
      const home = homeOf(namespace);
      for (const each of listed) {
        if (homeOf(each) === home) found.push(nameIn(each, namespace, rest));
      }
      if (rest === '' && !home.inbox) found.push(`${home.prefix}${inboxName}`);
    }
    // For rules that deny: possible separators between such a user and the INBOX.
    const isUser = shared.some((prefix) => prefix.length === 1 && name.length > 1 && name.startsWith(prefix));
    if (isUser && !/[/.*%]/.test(name)) {
      found.push(...usualHierarchySeparators.split('').map((separator) => name + separator + inboxName));
    }
    return found;
  }

  function mayBeInbox(name: string): boolean {
    const folded = foldAscii(name);
    if (isMailboxMask(name)) {
      const mask = folded.replaceAll('%', '*');
      return (
        maskCovers(mask, 'inbox') ||
        lastPartOf(name)[0] === 'inbox' ||
        listed.some(
          (each) => homeOf(each).inbox && rootOf(each) !== '' && maskCovers(mask, foldAscii(rootOf(each))),
        )
      );
    }
    if (folded === 'inbox') return true;
    if (isInboxDoubted && lastPartOf(name)[0] === 'inbox') return true;
    return placesOf(name).some(
      ({ namespace, rest }) =>
        homeOf(namespace).inbox && (foldAscii(rest) === 'inbox' || (rest === '' && namespace.prefix !== '')),
    );
  }

  /**
   * The namespaces of a name, with the rest of it: the one with the longest prefix. A mask may be in several if its first wildcard is
   * within their prefixes; the rest is any text then.
   */
  function placesOf(name: string): { readonly namespace: Namespace; readonly rest: string }[] {
    const wild = name.search(/[*%]/);
    const literal = wild === -1 ? name : name.slice(0, wild);
    const places: { readonly namespace: Namespace; readonly rest: string }[] = [];
    let best: Namespace | undefined;
    for (const namespace of listed) {
      const { prefix } = namespace;
      if (literal.startsWith(prefix)) {
        if (best === undefined || prefix.length > best.prefix.length) best = namespace;
      } else if (wild !== -1 && prefix.startsWith(literal)) places.push({ namespace, rest: '*' });
      else if (wild === -1 && rootOf(namespace) === name) places.push({ namespace, rest: '' });
    }
    if (best !== undefined) places.push({ namespace: best, rest: name.slice(best.prefix.length) });
    return places;
  }

  function homeOf(namespace: Namespace): Namespace {
    if (namespace.aliasFor === undefined) return namespace;
    return listed.find((each) => each.prefix === namespace.aliasFor) ?? namespace;
  }

  /** Servers read INBOX at the beginning of a name in any case; in a mask only the literal part counts. */
  function inCapitals(name: string): string {
    const wild = name.search(/[*%]/);
    const literal = foldAscii(name.slice(0, wild === -1 ? 6 : Math.min(6, wild)));
    const isWhole = literal.startsWith('inbox') && (literal.length === 5 || separators.has(literal[5] ?? ''));
    const isStart = wild !== -1 && literal.length < 5 && 'inbox'.startsWith(literal);
    if (!isWhole && !isStart) return name;
    const length = Math.min(5, literal.length);
    return inboxName.slice(0, length) + name.slice(length);
  }

  /** The last part of a name in lower case, and the part before its separator. */
  function lastPartOf(name: string): [part: string, above: string] {
    for (let at = name.length - 1; at >= 0; at -= 1) {
      if (separators.has(name[at] ?? '')) return [foldAscii(name.slice(at + 1)), name.slice(0, at)];
      if (name.length - at > inboxName.length + 1) break;
    }
    return [foldAscii(name), ''];
  }

  /** The INBOX of the user whose mailboxes are below a shared namespace's prefix; undefined: the name is not just such a user. */
  function sharedOwnerOf(name: string): string | undefined {
    const folded = foldAscii(name);
    for (const prefix of shared) {
      // A prefix of one character has no separator, so the end of the user's name is unknown.
      if (prefix.length === 1) continue;
      const separator = prefix.at(-1) ?? '';
      const isOwner = folded.startsWith(prefix) && folded.length > prefix.length;
      if (isOwner && !folded.includes(separator, prefix.length)) return `${name}${separator}${inboxName}`;
    }
    return undefined;
  }
}

const none: readonly never[] = [];

function inLowerCase(names: readonly string[]): readonly string[] {
  return names.map((name) => name.toLowerCase());
}

/** Drops the separators that a server drops: at the beginning, repeated ones, and one at the end. */
function createEmptyPartRemover(separators: string): (name: string) => string {
  const one = `[${Array.from(separators, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`).join('')}]`;
  const any = new RegExp(`^${one}|(${one})\\1|${one}$`, 'u');
  const first = new RegExp(`^${one}+`, 'u');
  const repeated = new RegExp(`(${one})\\1+`, 'gu');
  const last = new RegExp(`${one}$`, 'u');
  return (name) => {
    if (!any.test(name)) return name;
    const text = name.replace(first, '').replaceAll(repeated, '$1').replace(last, '');
    return text === '' ? name : text;
  };
}

export function isMailboxMask(name: string): boolean {
  return /[*%]/.test(name);
}

function rootOf({ prefix }: Namespace): string {
  return prefix.slice(0, -1);
}

/** The name that `rest` of a name in one namespace has in another. */
function nameIn(to: Namespace, from: Namespace, rest: string): string {
  if (rest === '') return rootOf(to);
  return to.prefix + (from.separator === to.separator ? rest : rest.replaceAll(from.separator, to.separator));
}

export const doubtedNames: MailboxNames = createMailboxNames(undefined, usualSharedPrefixes);

/** Whether a pattern of a rule, in any case, is a name that may be one of the INBOX if its names are unknown. */
export function endsInInbox(pattern: string): boolean {
  return /(?:^|[^A-Za-z0-9_ -])inbox$/i.test(pattern);
}

/** For several backends, each of which may read the name; for none, or one without declared namespaces: the doubted names. */
export function namesAmong(
  backends: readonly { readonly mailboxNames?: MailboxNames | undefined }[],
): MailboxNames {
  const each = backends.map(({ mailboxNames = doubtedNames }) => mailboxNames);
  const [first = doubtedNames, ...others] = new Map(each.map((names) => [names.key, names])).values();
  if (others.length === 0) return first;
  const all = [first, ...others];
  const joint = (of: (names: MailboxNames) => readonly string[]): readonly string[] => [
    ...new Set(all.flatMap(of)),
  ];
  return {
    key: all.map(({ key }) => key).join('\x05'),
    readings: (name) => joint((names) => names.readings(name)),
    spellings: (name) => joint((names) => names.spellings(name)),
    folded: (name) => joint((names) => names.folded(name)),
    isInboxDoubted: all.some((names) => names.isInboxDoubted),
  };
}

/** Caches results until `forget`, for the judgement of one line: each of its rules, in both series, needs the same names. */
export function rememberNames(names: MailboxNames): MailboxNames & { forget(): void } {
  const known: Map<string, readonly string[]>[] = [];
  const once = (find: (name: string) => readonly string[]): ((name: string) => readonly string[]) => {
    const answers = new Map<string, readonly string[]>();
    known.push(answers);
    return (name) => {
      const earlier = answers.get(name);
      if (earlier !== undefined) return earlier;
      const found = find(name);
      answers.set(name, found);
      return found;
    };
  };
  const spellings = once((name) => names.spellings(name));
  return {
    key: names.key,
    isInboxDoubted: names.isInboxDoubted,
    readings: once((name) => names.readings(name)),
    spellings,
    folded: once((name) => inLowerCase(spellings(name))),
    forget: () => {
      for (const answers of known) answers.clear();
    },
  };
}
