// The commands that the driver sends (../commands.ts), as servers of doveadm 2.3 and 2.4 read them: own table, from the catalog's data. Any
// other one that reaches a backend is a finding. A line is
// `[SERIES ]NAME|EFFECT mail|server [ordered] [text]|PARAMETER...`; a parameter is `[LETTER/]LONG` and marks: `!` positional, `.` takes no
// value, `*` a list, `?` only after its own name, and after a colon its class: F file, S socket, U other users, A all users, D destination
// or program, u the user itself, Q query and O output fields. Every mail command takes the parameters of `mailParameters` too.

/** What a parameter names, where that matters to a judgement. */
const classes = ['F', 'S', 'U', 'A', 'D', 'u', 'Q', 'O', ''] as const;
type ParameterClass = (typeof classes)[number];

export interface Parameter {
  letter: string;
  long: string;
  isPositional: boolean;
  isFlag: boolean;
  isList: boolean;
  isKeyed: boolean;
  class: ParameterClass;
}

export type Series = '2.3' | '2.4';

export interface CommandSpec {
  name: string;
  effect: string;
  /** The wire user is whose mailbox it is; server commands ignore it. */
  isMail: boolean;
  /** The first positional ends the options. */
  isOrdered: boolean;
  /** A dot-stream follows the line. */
  takesText: boolean;
  parameters: Parameter[];
}

const mailParameters =
  'A/all-users.:A S/socket-path:S u/user:u trans-flags:D no-userdb-lookup.:D F/user-file:F';

const table = `
2.3 batch|admin mail ordered|separator! args!*:D
2.3 copy|write mail|destination-mailbox! source-type! source-user!:U query!*:Q
2.4 copy|write mail|destination-mailbox! source-user!?:U query!*:Q
2.3 director kick|session server|a/socket-path:S f/passdb-field user!:u
2.3 dsync-server|admin mail|E/legacy-dsync. r/rawlog:F T/timeout U/replicator-notify. ignore-arg!:D
2.4 dsync-server|admin mail|r/rawlog:F T/timeout ignore-arg!:D
expunge|destroy mail|d/delete-empty-mailbox. query!*:Q
fetch|read mail|field*:O fieldstr!:O query!*:Q
flags add|write mail|flag* flagstr! query!*:Q
flags remove|write mail|flag* flagstr! query!*:Q
2.3 fs get|read server|fs-driver!:F fs-args!:F path!:F
2.4 fs get|read server|filter-name! path!:F
2.3 import|write mail|U/source-user:U s/subscribe. source-location!:F dest-parent-mailbox! query!*:Q
2.4 import|write mail|U/source-user:U s/subscribe. p/source-option*:D source-location!:F dest-parent-mailbox! query!*:Q
2.3 kick|session server|a/socket-path:S f/force. mask!*:U
2.4 kick|session server|a/socket-path:S f/passdb-field h/dest-host:D mask!*:U
mailbox create|write mail|s/subscriptions. g/guid mailbox!*
mailbox delete|destroy mail|e/require-empty. s/subscriptions. r/recursive. Z/unsafe. mailbox!*
mailbox list|read mail|7/mutf7. 8/utf8. s/subscriptions. mailbox-mask!*
mailbox status|read mail|t/total-sum. f/field*:O fieldstr!:O mailbox-mask!*
2.3 save|write mail text|m/mailbox file!:F
2.4 save|write mail text|m/mailbox U/uid g/guid r/received-date file!:F
search|read mail|query!*:Q
sieve put|write mail text|a/activate. scriptname! file!:F
user|read server|a/socket-path:S x/auth-info* f/field:O e/expand-field:D u/userdb-only. user-mask!*:U
2.3 who|read server|a/socket-path:S 1/separate-connections. mask!*:U
2.4 who|read server|a/socket-path:S 1/separate-connections. f/passdb-field mask!*:U
`;

function parseParameter(text: string): Parameter {
  const parts = /^(?:(.)\/)?([a-z0-9-]+)([!.*?]*)(?::(.))?$/.exec(text);
  if (parts === null) throw new Error(`not a parameter: ${text}`);
  const marks = parts[3] ?? '';
  return {
    letter: parts[1] ?? '',
    long: parts[2] ?? '',
    isPositional: marks.includes('!'),
    isFlag: marks.includes('.'),
    isList: marks.includes('*'),
    isKeyed: marks.includes('?'),
    class: classes.find((one) => one === (parts[4] ?? '')) ?? '',
  };
}

function parseTable(): Record<Series, Map<string, CommandSpec>> {
  const specs = { '2.3': new Map<string, CommandSpec>(), '2.4': new Map<string, CommandSpec>() };
  const shared = mailParameters.split(' ').map(parseParameter);
  for (const line of table.trim().split('\n')) {
    const [head = '', kind = '', parameters = ''] = line.split('|');
    const series: Series[] = head.startsWith('2.3 ')
      ? ['2.3']
      : head.startsWith('2.4 ')
        ? ['2.4']
        : ['2.3', '2.4'];
    const name = head.replace(/^2\.[34] /, '');
    const words = kind.split(' ');
    const own = parameters === '' ? [] : parameters.split(' ').map(parseParameter);
    const isMail = words.includes('mail');
    const spec: CommandSpec = {
      name,
      effect: words[0] ?? '',
      isMail,
      isOrdered: words.includes('ordered'),
      takesText: words.includes('text'),
      parameters: isMail ? [...own, ...shared] : own,
    };
    for (const one of series) specs[one].set(name, spec);
  }
  return specs;
}

export const catalog = parseTable();
