// Seven jobs of a site that has run for years, as lines from a seed: what they do all day, once a day with the day in a name, once a month
// and hardly ever. Also what nobody has done yet: relatives of lines that were seen. Knows no server and no gate.

import { pick, type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';

/** Somebody with a socket or an account; those of one policy do one job. */
export interface Lane {
  readonly name: string;
  readonly policy: string;
  readonly listener: string;
  /** Of the peer of the socket; undefined: it logs in over TCP as `name`. */
  readonly uid: number | undefined;
}

const atSocket = (name: string, policy: string, uid: number): Lane => ({
  name,
  policy,
  listener: policy,
  uid,
});

export const lanes: readonly Lane[] = [
  atSocket('monitoring', 'monitoring', 2001),
  atSocket('backup', 'backup', 2002),
  atSocket('billing', 'billing', 2003),
  atSocket('panel', 'panel', 2004),
  { name: 'webpanel', policy: 'panel', listener: 'panel-web', uid: undefined },
  atSocket('anna', 'support', 2005),
  atSocket('carl', 'support', 2006),
  atSocket('provisioning', 'provisioning', 2007),
  atSocket('archiver', 'archiver', 2008),
];

export const jobs: readonly string[] = [...new Set(lanes.map(({ policy }) => policy))];

/** What policies of the site allow before the first night, as the guide to move in has it: what observing does not serve without a rule. */
export const ownRules: Readonly<Record<string, string>> = {
  monitoring: '[quota get, { command: quota get, all_users: true }, { command: who, all_users: true }]',
  backup: '[{ command: backup, root_equivalent: true, where: { destination: ["maildir:~/copy"] } }]',
  billing: '[]',
  panel: '[mailbox list, { command: user, where: { user-mask: ["*@example.org"] } }]',
  support: '[]',
  provisioning: '[]',
  archiver: '[]',
};

const numbered = (count: number, of: (number: string) => string): string[] =>
  Array.from({ length: count }, (_, at) => of(String(at + 1).padStart(2, '0')));

/** Who has mail. */
const atOrg = numbered(20, (number) => `u${number}@example.org`);
const atNet = numbered(8, (number) => `n${number}@example.net`);
export const people: readonly string[] = [...atOrg, ...atNet];
/** Who gets a mailbox in the course of the days, one after the other. */
export const newcomers = numbered(90, (number) => `new${number}@example.org`);
/** Nobody of the site has this domain. */
const stranger = 'mallory@example.com';

/** Mailboxes that everybody has, and how many mails are in it. */
export const mailboxes: Readonly<Record<string, number>> = {
  INBOX: 4,
  Sent: 2,
  Archive: 3,
  Trash: 3,
  Junk: 2,
  Old: 2,
};

/** What a kind of work is done to. */
export interface Place {
  readonly mailbox: string;
  /** `30d`. */
  readonly age: string;
  /** With the option that this kind can have. */
  readonly option: boolean;
}

export interface Line extends Work {
  /** Of {@link lanes}. */
  readonly lane: Lane;
  /** Empty: it names none. */
  readonly user: string;
  readonly place: Place;
  readonly words: readonly string[];
  /** As the client states it. */
  readonly reason: string | undefined;
}

interface Work {
  /** Two kinds differ in more than their place. */
  readonly kind: string;
  readonly make: (place: Place) => readonly string[];
}

interface Kind {
  readonly lanes: readonly string[];
  /** How often it is drawn: 10 is all day, below 0.1 hardly ever. */
  readonly weight: number;
  readonly make: (place: Place, random: Random) => readonly string[];
  readonly users?: readonly string[];
  /** Default INBOX. */
  readonly mailboxes?: readonly string[];
  readonly ages?: readonly string[];
  /** How often it has its option. */
  readonly options?: number;
}

/** Words of mails are recorded as digests, and a rule cannot tell from one that `subject 2` narrows nothing: these have letters enough. */
const subjects = ['mail', 'invoice', 'order 4711'];
const nobody = [''];
const query = (text: string): string[] => text.split(' ');
const folders = ['INBOX', 'Sent', 'Archive'];
const projects = numbered(9, (number) => `Project-${number}`);
const odd =
  'mailbox list -s|acl rights INBOX|search mailbox INBOX seen|mailbox path INBOX|sieve list|mailbox status all Nope'
    .split('|')
    .map(query);

/** Words of a line: MAILBOX and AGE are those of the place, `_` is a blank within a word, and `[-s]` is there with the option. */
function made(text: string): (place: Place) => readonly string[] {
  return ({ mailbox, age, option }) =>
    query(text)
      .filter((word) => option || word !== '[-s]')
      .map((word) =>
        word.replace('[-s]', '-s').replace('MAILBOX', mailbox).replace('AGE', age).replaceAll('_', ' '),
      );
}

function asks(names: string, weight: number, text: string, more: Partial<Kind> = {}): Kind {
  return { lanes: query(names), weight, make: made(text), ...more };
}

const desk = 'anna carl';
const kinds: Readonly<Record<string, Kind>> = {
  // What programs ask all day.
  quota: asks('monitoring billing webpanel', 26, 'quota get'),
  messages: asks('monitoring webpanel panel', 16, 'mailbox status messages_unseen MAILBOX', {
    mailboxes: folders,
  }),
  sizes: asks('billing backup', 10, 'mailbox status messages_vsize *'),
  list: asks('panel webpanel backup', 10, 'mailbox list'),
  recalc: asks('billing', 1, 'quota recalc'),
  scripts: asks('panel', 5, 'sieve list'),
  texts: asks('backup', 10, 'fetch text mailbox MAILBOX uid 1', { mailboxes: folders }),
  subscribe: asks('panel', 7, 'mailbox subscribe MAILBOX', { mailboxes: [...folders, 'Trash'] }),
  unsubscribe: asks('panel', 4, 'mailbox unsubscribe MAILBOX', { mailboxes: folders }),
  rename: asks('panel', 0.6, '', {
    users: atOrg,
    mailboxes: ['Old', 'Older'],
    make: ({ mailbox }) => ['mailbox', 'rename', mailbox, mailbox === 'Old' ? 'Older' : 'Old'],
  }),
  // A support desk.
  look: asks(desk, 8, 'search mailbox MAILBOX all', { mailboxes: folders }),
  subject: asks(desk, 5, '', {
    mailboxes: ['INBOX', 'Sent'],
    make: ({ mailbox }, random) => [...query(`search mailbox ${mailbox} subject`), pick(random, subjects)],
  }),
  headers: asks(desk, 5, 'fetch uid_hdr.subject mailbox MAILBOX savedsince AGE', {
    mailboxes: ['INBOX', 'Sent'],
    ages: ['7d', '30d'],
  }),
  read: asks(desk, 6, '', {
    mailboxes: ['INBOX', 'Junk'],
    options: 0.3,
    make: ({ mailbox, option }) =>
      query(`flags add ${option ? '\\Flagged' : '\\Seen'} mailbox ${mailbox} all`),
  }),
  'empty-trash': asks(desk, 3, 'expunge mailbox MAILBOX all', { users: atOrg, mailboxes: ['Trash'] }),
  'empty-junk': asks(desk, 3, 'expunge mailbox MAILBOX all', { users: atNet, mailboxes: ['Junk'] }),
  'put-back': asks('anna carl archiver', 3, 'copy MAILBOX mailbox INBOX uid 1:2', {
    mailboxes: ['Trash', 'Junk'],
  }),
  // Who comes and goes.
  create: asks('provisioning', 1.5, 'mailbox create [-s] MAILBOX', { mailboxes: projects, options: 0.3 }),
  delete: asks('provisioning', 1.5, 'mailbox delete [-s] MAILBOX', { mailboxes: projects, options: 0.2 }),
  rights: asks('provisioning', 3, 'acl get INBOX'),
  // What goes with age.
  'old-trash': asks('archiver', 6, 'expunge mailbox MAILBOX savedbefore AGE', {
    users: atOrg,
    mailboxes: ['Trash'],
    ages: ['30d', '45d'],
  }),
  'old-junk': asks('archiver', 5, 'expunge mailbox MAILBOX savedbefore AGE', {
    mailboxes: ['Junk'],
    ages: ['7d'],
  }),
  'to-archive': asks('archiver', 1, 'move Archive mailbox MAILBOX before AGE', {
    users: atOrg,
    mailboxes: ['Sent'],
    ages: ['90d'],
  }),
  // Hardly ever. Those without a user need a connection of their own at Dovecot.
  who: asks('monitoring', 0.1, 'who', { users: nobody }),
  penalty: asks('monitoring', 0.05, 'penalty', { users: nobody }),
  services: asks('monitoring', 0.05, 'service status', { users: nobody }),
  everybody: asks('monitoring', 0.1, 'quota get -A', { users: nobody }),
  users: asks('panel', 0.15, 'user *@example.org', { users: nobody }),
  home: asks('billing', 0.15, 'user -f home u01@example.org', { users: nobody }),
  odd: asks('monitoring billing panel provisioning', 0.25, '', { make: (_, random) => pick(random, odd) }),
  repair: asks('archiver', 0.2, 'force-resync INBOX'),
  // What observing does not serve, and what no server can read.
  'all-names': asks('panel', 0.2, 'user *', { users: nobody }),
  'of-another': asks('anna', 0.3, '', {
    make: (_, random) => query(`copy Sent user ${pick(random, people)} mailbox INBOX all`),
  }),
  'for-another': asks('provisioning', 0.3, 'acl set INBOX user=u01@example.org lookup'),
  import: asks('backup', 0.2, '', { make: () => ['import', 'maildir:~/copy', '', 'all'] }),
  typo: asks('anna provisioning monitoring', 0.3, '', {
    make: (_, random) => pick(random, [query('mailbox craete New'), query('quota get -x')]),
  }),
};

interface Task extends Work {
  readonly lane: string;
  readonly user: string;
  readonly place: Place;
}

const plain: Place = { mailbox: 'INBOX', age: '', option: false };

const mailboxTasks = {
  'make-restored': made('mailbox create MAILBOX'),
  'fill-restored': made('copy MAILBOX mailbox INBOX uid 1:2'),
  'count-restored': made('mailbox status messages MAILBOX'),
  'empty-restored': made('expunge mailbox MAILBOX all'),
  'drop-restored': made('mailbox delete MAILBOX'),
  'make-archive': made('mailbox create MAILBOX'),
  'subscribe-archive': made('mailbox subscribe MAILBOX'),
  'open-archive': made('acl set MAILBOX owner lookup read insert'),
} as const;

/** `Restored-2026-09-01` and the days after it. */
function restoredAt(day: number): string {
  return `Restored-${new Date(Date.UTC(2026, 8, 1 + day)).toISOString().slice(0, 10)}`;
}

/** After so many days a restored mailbox goes. */
const keptDays = 3;

/** What is done once on that day, in this order. */
function tasksOf(day: number): readonly Task[] {
  const restored = [0, 1].map((at) => atOrg[(day * 2 + at) % 4] ?? '');
  const of = (lane: string, kind: keyof typeof mailboxTasks, user: string, mailbox: string): Task => ({
    lane,
    kind,
    user,
    make: mailboxTasks[kind],
    place: { ...plain, mailbox },
  });
  const before = restoredAt(day - keptDays);
  const left = [0, 1].map((at) => atOrg[((day - keptDays) * 2 + at + 400) % 4] ?? '');
  const newcomer = newcomers[day % newcomers.length] ?? '';
  return [
    ...restored.flatMap((user) =>
      (['make-restored', 'fill-restored', 'count-restored'] as const).map((kind) =>
        of('archiver', kind, user, restoredAt(day)),
      ),
    ),
    ...(day < keptDays
      ? []
      : left.flatMap((user) =>
          (['empty-restored', 'drop-restored'] as const).map((kind) => of('archiver', kind, user, before)),
        )),
    ...(['make-archive', 'subscribe-archive', 'open-archive'] as const).map((kind) =>
      of('provisioning', kind, newcomer, 'Archive'),
    ),
    // The first of a month; the site began on the first of September.
    ...(day % 30 === 0 ? monthly(day) : []),
  ];
}

function monthly(day: number): readonly Task[] {
  const user = atOrg[Math.floor(day / 30) % atOrg.length] ?? '';
  const age = `${365 - day}d`;
  return [
    {
      lane: 'archiver',
      kind: 'purge-old',
      user,
      make: ({ mailbox, age: of, option }) =>
        query(`expunge ${option ? '-d ' : ''}mailbox ${mailbox} savedbefore ${of}`),
      place: { mailbox: 'Old', age, option: true },
    },
    { lane: 'backup', kind: 'copy-all', user, make: () => ['backup', 'maildir:~/copy'], place: plain },
  ];
}

const laneNamed = new Map(lanes.map((lane) => [lane.name, lane]));

function laneOf(name: string): Lane {
  const lane = laneNamed.get(name);
  if (lane === undefined) throw new Error(`nobody is ${name}`);
  return lane;
}

/** So many lines, those of one day after those of another. */
export function siteLines(count: number, seed: number): Line[] {
  const random = seededRandom(seed);
  const draws = Object.entries(kinds).flatMap(([kind, each]) =>
    each.lanes.map((lane) => ({ kind, lane, each, weight: each.weight })),
  );
  const all = draws.reduce((sum, { weight }) => sum + weight, 0);
  const draw = (): Line => {
    let at = random() * all;
    const { kind, lane, each } = draws.find(({ weight }) => (at -= weight) < 0) ??
      draws[0] ?? { each: undefined };
    if (each === undefined) throw new Error('there is no work');
    const place: Place = {
      mailbox: pick(random, each.mailboxes ?? ['INBOX']),
      age: pick(random, each.ages ?? ['']),
      option: random() < (each.options ?? 0),
    };
    const user = pick(random, each.users ?? people);
    // A relative keeps what was drawn beside its place.
    const drawn = randomInteger(random, 1, 2 ** 31);
    const make = (of: Place): readonly string[] => each.make(of, seededRandom(drawn));
    return lineOf({ lane, kind, user, make, place }, random);
  };
  const days = Math.max(8, Math.round(count / 330));
  const lines: Line[] = [];
  for (let day = 0; day < days; day += 1) {
    const left = Math.round((count * (day + 1)) / days) - lines.length;
    const tasks = tasksOf(day)
      .slice(0, left)
      .map((task) => lineOf(task, random));
    const rest = Array.from({ length: left - tasks.length }, draw);
    // The tasks in their order, anywhere in the day.
    const places = tasks
      .map(() => randomInteger(random, 0, rest.length))
      .toSorted((one, other) => one - other);
    for (const [at, line] of [...rest, undefined].entries()) {
      for (; places[0] === at; places.shift()) lines.push(...tasks.splice(0, 1));
      if (line !== undefined) lines.push(line);
    }
  }
  return lines;
}

function lineOf({ lane, kind, user, make, place }: Task, random: Random): Line {
  const asked = random();
  const reason = asked < 0.4 ? `ticket ${randomInteger(random, 1000, 9999)}` : asked < 0.5 ? '..' : undefined;
  return { lane: laneOf(lane), kind, user, make, place, words: make(place), reason };
}

/** Whom it concerns, as far as a suggestion generalises. */
function domainOf(user: string): string {
  return user.slice(user.indexOf('@'));
}

/** How far into the mails of a mailbox it reaches: the less, the further. */
function reachOf({ words, place: { age } }: Pick<Line, 'words' | 'place'>): number {
  if (age === '') return 0;
  const days = Number.parseInt(age, 10);
  return words.some((word) => word.endsWith('since')) ? -days : days;
}

/**
 * Lines that nobody has run: as one of `bases`, but with another mailbox, on younger mail, with another option or for another domain. What
 * is within a line of `seen` is none: older mail of the same mailbox, or old mail of one of which all was taken. So many different ones;
 * fewer if there are no more.
 */
export function relativesOf(
  bases: readonly Line[],
  seen: readonly Line[],
  count: number,
  seed: number,
): Line[] {
  const random = seededRandom(seed);
  /** By policy, domain and words but the age, and but a subject, which a suggestion says to check: how far it reached. */
  const known = new Map<string, number>();
  const keyOf = ({ lane, user, make, place }: Line, isOfAll = false): string => {
    const words = make({ ...place, age: place.age === '' ? '' : 'AGE' });
    const at = words.indexOf('AGE');
    const read = isOfAll && at > 0 ? words.toSpliced(at - 1, 2, 'all') : words;
    return JSON.stringify([lane.policy, domainOf(user), read.filter((word) => !subjects.includes(word))]);
  };
  for (const line of seen) {
    const key = keyOf(line);
    known.set(key, Math.min(known.get(key) ?? Number.POSITIVE_INFINITY, reachOf(line)));
  }
  const found = new Map<string, Line>();
  for (let tries = 0; tries < count * 50 && found.size < count; tries += 1) {
    const line = pick(random, bases);
    const { user, place } = line;
    const restored = restoredAt(randomInteger(random, 0, 99));
    const others = [`${place.mailbox}x`, 'Private', ...Object.keys(mailboxes), ...projects, restored];
    const other: Pick<Line, 'place' | 'user'> = pick(random, [
      { user, place: { ...place, mailbox: pick(random, others) } },
      { user, place: place.age === '' ? place : { ...place, age: `${randomInteger(random, 1, 400)}d` } },
      { user, place: { ...place, option: !place.option } },
      { user: pick(random, [stranger, pick(random, atNet), pick(random, atOrg)]), place },
    ]);
    const relative: Line = { ...line, ...other, words: line.make(other.place) };
    if ((known.get(keyOf(relative)) ?? Number.POSITIVE_INFINITY) <= reachOf(relative)) continue;
    if (known.has(keyOf(relative, true))) continue;
    found.set(JSON.stringify([relative.lane.listener, relative.user, relative.words]), relative);
  }
  return [...found.values()];
}
