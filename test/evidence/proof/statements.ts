// Statements with their answers, which were written before the code answered. Each policy has a listener of its name.

export interface Expected {
  readonly statement: string;
  readonly answer: 'holds' | 'disproved' | 'undecided';
  /** Begins the reason of `undecided`; for `disproved` the command of the line, where one alone can be it. */
  readonly because?: string;
}

function table(text: string): Expected[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [answer = '', statement = '', because] = line.split(' | ').map((cell) => cell.trim());
      if (answer !== 'holds' && answer !== 'disproved' && answer !== 'undecided') throw new Error(line);
      return { answer, statement, ...(because !== undefined && { because }) };
    });
}

const policies = `
  leads:
    users: ["*@example.com"]
    allow: [expunge, mailbox delete, quota get]
    approve: [support]
  support:
    users: ["*@example.com", "*@example.org"]
    except: [ceo@example.com]
    allow:
      - quota get
      - mailbox list
      - { command: fetch, where: { field: [uid, flags] } }
      - command: expunge
        users: ["*@example.org"]
        where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } }
    deny: [mailbox delete]
    on_request:
      - { command: fetch, content: true }
      - { command: flags add, approvals: 0, uses: 1 }
  audit:
    users: ["*"]
    allow: [{ command: search, content: true }, mailbox status]
  jobs:
    users: ["*"]
    allow:
      - { command: kick, masks: true }
      - { command: purge, expires: 2020-01-01 }
      - { command: user, where: { user-mask: ["*@example.org"] } }
  folders:
    users: ["box-*@example.net"]
    allow:
      - { command: mailbox create, where: { mailbox: ["Archive/*"] } }
      - { command: mailbox delete, where: { mailbox: ["Old/*"] } }
    deny: [{ command: mailbox delete, where: { mailbox: ["old/*"] } }]
  chiefs:
    users: ["*@example.com"]
    allow: [mailbox rename]
  quota:
    users: ["*@example.com"]
    allow: [quota get]
  words:
    users: ["*@example.com"]
    allow: [{ command: search, content: true, where: { query: { regex: "mailbox [a-z]+ seen" } } }]
`;

export const names = ['leads', 'support', 'audit', 'jobs', 'folders', 'quota', 'words'];

/** `socket`: of the listener of a policy. `more`: further sections. */
export function configuration(
  socket: (name: string) => string,
  backend: string,
  more = '',
  own = policies,
  of: readonly string[] = names,
): string {
  return `version: 1
listeners:
${of.map((name) => `  ${name}: { unix: ${socket(name)}, mode: "0600", policy: ${name} }`).join('\n')}
${more}
backends: { mail1: { address: ${backend}, shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies:${own}`;
}

/** Listeners and persons that nothing is sent to. */
export const others = `  desk: { unix: desk.sock, policies: [{ peers: { groups: [root] }, policy: chiefs }, { policy: quota }] }
  api:
    tcp: 127.0.0.1:0
    protocol: http
    tls: { mode: off }
    keys:
      billing: { policy: quota, hash: "sha256$${'0'.repeat(64)}", expires: 2099-01-01 }
persons: { carol: { users: [carol] }, dave: { keys: [billing] } }`;

export const statements = table(`
holds      | nobody but policy leads may destroy in mailboxes of "*@example.com" by name
undecided  | nobody but policy leads may destroy in mailboxes of "*@example.com" | aliases
disproved  | nobody may destroy
holds      | nobody but policy leads, support may destroy
disproved  | policy support may only read | expunge
holds      | policy support can never reach content
disproved  | policy support can never reach content even with approval | fetch
disproved  | policy support can never change without approval
disproved  | policy audit can never reach content | search
holds      | policy audit may only read
holds      | policy audit may never run "mailbox delete"
disproved  | listener jobs may never end sessions | kick
holds      | nobody but listener jobs may end sessions
holds      | policy jobs may never destroy
holds      | policy folders may never destroy
holds      | policy folders may never change in mailboxes of "*@example.com" by name
disproved  | policy folders may never change in mailboxes of "box-1@example.net" | mailbox create
disproved  | policy folders can never run mailbox create in mailboxes of "*@example.net"
holds      | policy support may never run quota get in mailboxes of "ceo@example.com" by name
disproved  | policy support may never run quota get in mailboxes of "ceo*@example.com" by name | quota get
holds      | key:billing may only run quota get
undecided  | key:billing may never read in mailboxes of "*@example.org" | aliases
holds      | key:billing may never read in mailboxes of "*@example.org" by name
disproved  | nobody may run anything in mailboxes of "*@nowhere.example" by name
holds      | nobody but policy audit and policy jobs may run anything in mailboxes of "*@nowhere.example" by name
holds      | nobody may administer
holds      | nobody may run user in mailboxes of "*@example.com" by name
disproved  | nobody may run user in mailboxes of "bob@example.org" | user
undecided  | person carol may never run mailbox rename | groups
holds      | person dave may never destroy
disproved  | user:eve may never run expunge in mailboxes of "*@example.org" | expunge
undecided  | policy words can never reach content | the words of a query
`);

/** Policies that serve more than their rules say, and a command that may do anything. */
export const widePolicies = `
  watch: { mode: observe, users: [] }
  mirror: { users: ["*@example.com"], allow: [dsync-server] }
  shared: { users: ["*@example.net"], allow: [{ command: search, shared: true }] }
`;

export const wideNames = ['watch', 'mirror', 'shared'];

export const wideStatements = table(`
disproved | policy watch may never destroy
disproved | policy watch can never read content | fetch
holds     | policy watch may never run batch
disproved | policy watch may never end sessions
disproved | policy mirror may only administer | dsync-server
disproved | policy mirror may never destroy in mailboxes of "x@example.com" | dsync-server
holds     | policy shared may never read in mailboxes of "*@example.com" by name
holds     | policy shared may only read
`);

const inTrash = '{ command: search, where: { query: { mailbox: [Trash] } } }';
const denying = 'deny: [{ command: quota get, users: ["a*@example.com"] }]';

/** What a change may be: the rules that a policy allows before and after, or all its keys; and the answer. */
export const changes: readonly (Expected & { readonly before: string; readonly after: string })[] = [
  ['holds', 'quota get, mailbox list', 'quota get'],
  ['disproved', 'quota get', 'quota get, mailbox list', 'mailbox list'],
  ['holds', 'quota get', 'quota get, mailbox list', '', 'except mailbox list'],
  ['holds', 'quota get', 'quota get, mailbox list', '', 'except policy p'],
  ['disproved', inTrash, 'search', 'search'],
  [
    'holds',
    '{ command: expunge, where: { query: { mailbox: [Trash, Junk], savedbefore: { at_least: 7d } } } }',
    '{ command: expunge, where: { query: { mailbox: [Junk], savedbefore: { at_least: 30d }, seen: present } } }',
  ],
  ['disproved', creating('["Archive/*"]'), creating('["Arc*"]'), 'mailbox create'],
  ['holds', creating('{ regex: "Archive/[0-9]+" }'), creating('{ regex: "Archive/20[0-9]{2}" }')],
  ['disproved', 'except: [ceo@example.com]\n    allow: [quota get]', 'quota get', 'quota get'],
  ['disproved', `allow: [quota get]\n    ${denying}`, 'quota get', 'quota get'],
  ['disproved', '{ command: quota get, reason: required }', 'quota get', 'quota get'],
  ['undecided', '{ command: quota get, expires: 2099-01-01 }', 'quota get', 'time'],
  ['disproved', 'fetch', '{ command: fetch, content: true }', 'fetch'],
  ['disproved', 'quota get', 'mode: observe\n    allow: [quota get]'],
  ['holds', 'mode: observe\n    allow: [quota get]', 'quota get, expunge'],
  ['holds', 'quota get', requesting('expunge')],
  ['disproved', 'quota get', requesting('expunge'), 'expunge', 'even with approval'],
  ['disproved', 'quota get', requesting('{ command: expunge, approvals: 0, uses: 1 }'), 'expunge'],
  ['holds', 'quota get', 'quota get, { command: expunge, users: ["*@example.org"] }'],
  // The policy is not for everybody.
  ['holds', 'quota get', '{ command: quota get, all_users: true }'],
].map(([answer = '', before = '', after = '', because = '', rest = '']) => {
  if (answer !== 'holds' && answer !== 'disproved' && answer !== 'undecided') throw new Error(answer);
  const statement = `after this change nobody may do more than before ${rest}`.trim();
  const policy = (text: string): string => {
    const own = text.includes('allow: [') ? text : `allow: [${text}]`;
    return `\n  p:\n    users: ["*@example.com"]\n    ${own}\n  q: { users: ["*@example.com"], allow: [], approve: [p] }\n`;
  };
  const reason = because !== '' && { because };
  return { answer, statement, before: policy(before), after: policy(after), ...reason };
});

function creating(mailbox: string): string {
  return `{ command: mailbox create, where: { mailbox: ${mailbox} } }`;
}

function requesting(rule: string): string {
  return `allow: [quota get]\n    on_request: [${rule}]`;
}
