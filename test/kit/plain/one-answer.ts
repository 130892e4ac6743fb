// Command lines, and the one answer that everybody must give: the daemon, explain, policy tests, replay.
//
// An answer has a letter for each series and client: 2.3 for minors 1, 2, 4, then 2.4 for the same; one letter alone: all the same.
//   a allowed   d denied   u cannot be read   o allowed, and cannot be carried out

/** `[answer, user, command line]`; `-`: no user. */
export type AnsweredLine = readonly [answer: string, user: string, words: string];

export interface AnswerTable {
  /** For a backend series. */
  readonly settings: (series: string) => string;
  readonly lines: readonly AnsweredLine[];
}

const listeners =
  'version: 1\nlisteners: { support: { unix: support.sock, policy: support, sessions: 5000 } }';
const routes = `routes:
  - { users: ["*@one.example"], backend: mail1 }
  - { users: ["*@two.example"], backend: mail2 }`;

const backendsOf = (one: string, two: string): string => `backends:
  mail1: { address: "unix:mail1.sock", connections: 2, ${one} }
  mail2: { address: "unix:mail2.sock", connections: 2, ${two} }`;

/** A policy for everybody. */
const wide: AnswerTable = {
  settings: (series) => `${listeners}
${backendsOf(`series: "${series}", shared_namespaces: []`, `series: "${series}"`)}
${routes}
server_commands: { kick: by_user }
policies:
  support:
    users: ["*"]
    allow:
      - quota get
      - { command: quota get, all_users: true }
      - { command: save, all_users: true }
      - { command: mailbox list, all_users: true }
      - { command: mailbox list, all_users: true, shared: true, where: { mailbox-mask: [INBOX, "Work/*"] } }
      - mailbox status
      - mailbox create
      - { command: search, where: { query: { mailbox: [INBOX, Trash] } } }
      - { command: fetch, where: { field: [uid, flags] } }
      - { command: expunge, all_users: true, where: { query: { mailbox: [Trash] } } }
      - fts flatcurve check
      - who
      - { command: kick, masks: true, where: { mask: any, force: any } }
      - { command: acl get, reason: required }
      - dsync-server
      - { command: copy, where: { destination-mailbox: any, query: { mailbox: [INBOX] } } }
    deny: [mailbox delete]
`,
  lines: [
    ['a', 'bob@one.example', 'quota get'],
    ['a', 'bob@two.example', 'quota get'],
    ['a', 'BOB@One.Example', 'quota get'],
    ['o', 'bob@none.example', 'quota get'],
    ['a', 'bob@one.example', 'quota|get'],
    ['d', '-', 'quota get'],
    ['oooaaa', '-', 'quota get|-A'],
    ['aaoaaa', 'bob@one.example', 'quota get|-A'],
    ['oooooa', 'bob@none.example', 'quota get|-A'],
    ['a', 'bob@one.example', 'quota get|-u|bob@one.example'],
    ['a', 'bob@one.example', 'quota get|-u|*@one.example'],
    ['u', 'bob@one.example', 'quota get|-u|eve@one.example'],
    ['u', 'bob@one.example', 'quota get|-x'],
    ['u', 'bob@one.example', 'quota get|more'],
    ['u', 'bob@one.example', 'quota gte'],
    ['u', 'bob@one.example', 'Quota Get'],
    ['u', 'b b', 'quota get'],
    ['u', 'bob@one.example', ''],
    ['d', 'bob@one.example', 'quota recalc'],
    ['d', 'bob@one.example', 'mailbox delete|Old'],
    ['d', 'bob@none.example', 'mailbox delete|Old'],
    ['a', 'bob@one.example', 'save'],
    ['o', 'bob@none.example', 'save'],
    ['o', '-', 'save|-A'],
    ['aaoaao', 'bob@one.example', 'save|-A'],
    ['a', 'bob@one.example', 'save|-m|INBOX'],
    ['a', 'bob@one.example', 'mailbox list'],
    ['d', 'bob@two.example', 'mailbox list'],
    ['a', 'bob@one.example', 'mailbox list|INBOX'],
    ['a', 'bob@two.example', 'mailbox list|INBOX'],
    ['a', 'bob@one.example', 'mailbox list|-s|INBOX'],
    ['a', 'bob@one.example', 'mailbox list|*'],
    ['d', 'bob@two.example', 'mailbox list|*'],
    ['a', 'bob@two.example', 'mailbox list|Work/*'],
    ['d', 'bob@two.example', 'mailbox list|shared/*'],
    ['aaoaaa', 'bob@one.example', 'mailbox list|-A|INBOX'],
    ['oooaaa', '-', 'mailbox list|-A|INBOX'],
    ['d', '-', 'mailbox list|-A'],
    ['u', 'bob@one.example', 'mailbox list|-z'],
    ['d', 'bob@one.example', 'mailbox list|-F|/etc/passwd'],
    ['a', 'bob@one.example', 'mailbox status|messages|INBOX'],
    ['a', 'bob@one.example', 'mailbox status|-t|messages|INBOX'],
    ['u', 'bob@one.example', 'mailbox status|mesages|INBOX'],
    ['a', 'bob@one.example', 'mailbox status|messages vsize|INBOX|Trash'],
    ['aadaad', 'bob@one.example', 'mailbox status|-A|messages|INBOX'],
    ['a', 'bob@one.example', 'mailbox create|New'],
    ['a', 'bob@one.example', 'mailbox create|-s|New'],
    ['o', 'bob@none.example', 'mailbox create|New'],
    ['u', 'bob@one.example', 'mailbox create'],
    ['a', 'bob@one.example', 'search|mailbox|INBOX|seen'],
    ['a', 'bob@two.example', 'search|mailbox|INBOX|seen'],
    ['d', 'bob@one.example', 'search|mailbox|Archive|seen'],
    ['d', 'bob@one.example', 'search|text|invoice'],
    ['d', 'bob@one.example', 'search|all'],
    ['u', 'bob@one.example', 'search'],
    ['u', 'bob@one.example', 'search|mailbox'],
    ['u', 'bob@one.example', 'search|nosuchkey'],
    ['u', 'bob@one.example', 'search|mailbox|INBOX|or|seen|all'],
    ['a', 'bob@one.example', 'fetch|uid|all'],
    ['a', 'bob@one.example', 'fetch|uid flags|mailbox|INBOX'],
    ['d', 'bob@one.example', 'fetch|hdr|all'],
    ['u', 'bob@one.example', 'fetch|nosuchfield|all'],
    ['a', 'bob@one.example', 'expunge|mailbox|Trash|all'],
    ['d', 'bob@one.example', 'expunge|mailbox|INBOX|all'],
    ['d', 'bob@one.example', 'expunge|-d|mailbox|Trash|all'],
    ['aaoaaa', 'bob@one.example', 'expunge|-A|mailbox|Trash|all'],
    ['uuuaaa', 'bob@one.example', 'fts flatcurve check|INBOX'],
    ['uuuooo', 'bob@none.example', 'fts flatcurve check|INBOX'],
    ['d', 'bob@one.example', 'fts rescan'],
    ['d', '-', 'who'],
    ['d', 'bob@one.example', 'who'],
    ['d', '-', 'who|bob*'],
    ['a', '-', 'who|bob@one.example'],
    ['u', '-', 'who|-x'],
    ['a', '-', 'kick|bob@one.example'],
    ['aaauuu', '-', 'kick|bob@one.example|eve@one.example'],
    ['ooouuu', '-', 'kick|bob@one.example|eve@two.example'],
    ['o', '-', 'kick|bob@none.example'],
    ['o', '-', 'kick|*@one.example'],
    ['aaauuu', '-', 'kick|-f|bob@one.example'],
    ['d', '-', 'reload'],
    ['d', '-', 'log errors'],
    ['oodood', 'bob@one.example', 'dsync-server|-A'],
    ['d', 'bob@one.example', 'acl set|INBOX|user=eve@one.example|lookup'],
    ['u', 'bob@one.example', 'backup|-1'],
    ['a', 'bob@one.example', 'copy|Trash|mailbox|INBOX|all'],
    ['d', 'bob@one.example', 'copy|Trash|user|eve@one.example|mailbox|INBOX|all'],
    ['d', 'bob@one.example', 'copy|Trash|mailbox|Trash|all'],
  ],
};

/** A policy for some, on backends of which only one says its namespaces; `series` is that of the second. */
const narrow: AnswerTable = {
  settings: (series) => `${listeners}
${backendsOf(`series: "2.4", shared_namespaces: ["Public/"]`, `series: "${series}"`)}
${routes}
policies:
  support:
    users: ["*@one.example", "*@none.example", "*@two.example"]
    except: ["ceo@*"]
    mode: enforce
    allow:
      - quota get
      - mailbox list
      - { command: mailbox list, shared: true, where: { mailbox-mask: ["Public/*"] } }
      - fts flatcurve check
      - { command: acl set, shared: true, where: { id: any, mailbox: any, right: any } }
`,
  lines: [
    ['a', 'bob@one.example', 'quota get'],
    ['d', 'ceo@one.example', 'quota get'],
    ['d', 'ceo@none.example', 'quota get'],
    ['d', 'bob@three.example', 'quota get'],
    ['o', 'bob@none.example', 'quota get'],
    ['aadaad', 'bob@one.example', 'quota get|-A'],
    ['d', '-', 'quota get|-A'],
    ['a', 'bob@one.example', 'mailbox list|INBOX'],
    ['a', 'bob@one.example', 'mailbox list|Public/*'],
    ['a', 'bob@one.example', 'mailbox list|shared/*'],
    ['d', 'bob@two.example', 'mailbox list|shared/*'],
    ['a', 'bob@two.example', 'mailbox list|Public/*'],
    ['o', 'bob@none.example', 'mailbox list|shared/*'],
    ['o', 'bob@none.example', 'mailbox list|INBOX'],
    ['a', 'bob@one.example', 'fts flatcurve check|INBOX'],
    ['uuuaaa', 'bob@two.example', 'fts flatcurve check|INBOX'],
    ['o', 'bob@none.example', 'fts flatcurve check|INBOX'],
    ['d', 'bob@one.example', 'acl set|INBOX|user=ceo@one.example|lookup'],
    ['d', '-', 'who'],
  ],
};

export const answerTables = { wide, narrow } as const;

export const answerSeries = ['2.3', '2.4'] as const;
export const answerMinors = [1, 2, 4] as const;

const fates = { a: 'allow', d: 'deny', u: 'unparsable', o: 'obstacle' } as const;

/** The one answer to a line. */
export function answerFor(answer: string, series: number, minor: number): string {
  const letter = answer.length === 1 ? answer : answer[series * answerMinors.length + minor];
  const fate = Object.entries(fates).find(([key]) => key === letter)?.[1];
  if (fate === undefined) throw new Error(`no answer for series ${series} and minor ${minor} in ${answer}`);
  return fate;
}

/** The user field, and the words, of a line of the table. */
export function readLine([, user, words]: AnsweredLine): { readonly user: string; readonly words: string[] } {
  return { user: user === '-' ? '' : user, words: words.split('|') };
}

/** What a daemon made of a command, by its two records. */
export function fateOfRecords(
  admission: Readonly<Record<string, unknown>>,
  completion: Readonly<Record<string, unknown>>,
): string {
  if (completion['outcome'] === 'unparsable')
    return admission['decision'] === 'allow' ? 'obstacle' : 'unparsable';
  if (admission['decision'] === 'deny') return 'deny';
  return completion['sent'] === true ? 'allow' : 'obstacle';
}
