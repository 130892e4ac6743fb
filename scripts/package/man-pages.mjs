// The manual pages, made of what the built program says of itself: `--help` of each subcommand, the usage of the drop-in doveadm, and
// of docs/settings.md. Nothing is written twice.
//
//   dovegate(1)  doveadm-dovegate(1)  dovegate.yaml(5)

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { doveadm } from '../../dist/doveadm.js';
import { runDovegate } from '../../dist/program.js';
import { root } from '../setup.mjs';

/** What a call prints, with lines that are not wrapped and have no colors. */
async function printed(call) {
  const { write, columns, isTTY } = process.stdout;
  const color = process.env.NO_COLOR;
  let text = '';
  Object.assign(process.stdout, { columns: 100_000, isTTY: true });
  process.env.NO_COLOR = '1';
  process.stdout.write = (chunk) => {
    text += chunk;
    return true;
  };
  try {
    await call();
  } finally {
    Object.assign(process.stdout, { write, columns, isTTY });
    if (color === undefined) delete process.env.NO_COLOR;
    else process.env.NO_COLOR = color;
  }
  return text;
}

/** Text as roff shows it: no requests, no escapes, ASCII, and hyphens that can be copied into a shell. */
function roff(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(
      /[^\n\x20-\x7e]/gu,
      (one) => `\\[u${one.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .replaceAll(/^(?=[.'])/gm, '\\&');
}

/** `code` of Markdown as bold, links as their text. */
function roffOfMarkdown(text) {
  return text
    .replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .split(/`([^`]*)`/)
    .map((part, at) => (at % 2 === 1 ? `\\fB${roff(part)}\\fR` : roff(part).replaceAll('**', '')))
    .join('');
}

const literal = (lines) => ['.PP', '.in +4n', '.nf', ...lines.map(roff), '.fi', '.in', ''].join('\n');
const tagged = (term, text) => `.TP\n\\fB${roff(term)}\\fR\n${text}`;

/** Help of commander in its parts: `Usage: ...`, the description, and lines below `Options:` and other heads. */
function partsOf(help) {
  const [usage = '', ...rest] = help.trimEnd().split('\n\n');
  const parts = { usage: usage.replace(/^Usage: /, ''), description: '', codes: '', blocks: new Map() };
  for (const block of rest) {
    const [head = '', ...lines] = block.split('\n');
    if (head.startsWith('Exit codes: ')) parts.codes = head.replace('Exit codes: ', '');
    else if (head.endsWith(':') && lines.every((line) => line.startsWith('  '))) {
      parts.blocks.set(
        head.slice(0, -1),
        lines.map((line) => line.trim()),
      );
    } else parts.description += `${block}\n`;
  }
  return parts;
}

/** `--config <file>  the configuration file` in two. */
function pairOf(line) {
  const [term = '', ...text] = line.split(/ {2,}/);
  return [term, text.join(' ')];
}

const isOwnHelp = (term) => term.startsWith('help ') || term.startsWith('-h, --help');

/** The pages of all subcommands below `words`, in the order of the help. */
async function* subcommands(words) {
  const parts = partsOf(await printed(() => runDovegate([...words, '--help'])));
  if (words.length > 0) yield parts;
  for (const line of parts.blocks.get('Commands') ?? []) {
    const [term] = pairOf(line);
    if (!isOwnHelp(term)) yield* subcommands([...words, term.split(' ')[0]]);
  }
}

function sectionOf({ usage, description, codes, blocks }) {
  const text = [`.SS ${roff(usage.replace(' [options]', ''))}`, roff(description.trim())];
  for (const [head, lines] of blocks) {
    if (head === 'Examples') text.push('.PP\nExamples:', literal(lines));
    else if (head !== 'Commands')
      for (const [term, meaning] of lines.map(pairOf))
        if (!isOwnHelp(term)) text.push(tagged(term, roff(meaning)));
  }
  if (codes !== '') text.push(`.PP\nExit codes: ${roff(codes)}.`);
  return text.filter(Boolean).join('\n');
}

const places = [
  ['/etc/dovegate/dovegate.yaml', 'the configuration, see dovegate.yaml(5)'],
  ['/etc/dovegate/credentials/', 'secrets of the service, readable by root alone'],
  ['/etc/dovegate/client.yaml', 'the server that send and the drop-in doveadm use by default'],
  ['/var/lib/dovegate/', 'the audit journal, and what must outlive the daemon'],
  ['/run/dovegate/', 'sockets, and records on their way to the disk'],
];

async function dovegatePage() {
  const { description } = partsOf(await printed(() => runDovegate(['--help'])));
  const sections = [];
  for await (const parts of subcommands([])) sections.push(sectionOf(parts));
  return `.SH NAME
dovegate \\- policy and audit in front of Dovecot's doveadm
.SH SYNOPSIS
.B dovegate
.I COMMAND
.RI [ OPTION ...]
.SH DESCRIPTION
${roff(description.trim())}
.PP
Most commands read the configuration; \\fB\\-\\-config\\fR names another file than the standard one. Every command has \\fB\\-\\-help\\fR.
.SH COMMANDS
${sections.join('\n')}
.SH FILES
${places.map(([path, text]) => tagged(path, roff(text))).join('\n')}
.SH SEE ALSO
.BR dovegate.yaml (5),
.BR doveadm\\-dovegate (1)
.PP
All pages of documentation are in /usr/share/doc/dovegate.`;
}

const environment = [
  ['DOVEADM_SOCKET', 'the server where -S does not name one: a path or HOST:PORT'],
  ['DOVEGATE_REASON', 'why the command is run, for the audit journal and for rules that demand a reason'],
  ['DOVEGATE_CLIENT_CONFIG', 'another file than /etc/dovegate/client.yaml'],
];

async function doveadmPage() {
  const usage = (await printed(() => doveadm(['--help'], {}))).trimEnd().split('\n');
  return `.SH NAME
doveadm\\-dovegate \\- the command line of doveadm, in front of dovegate
.SH SYNOPSIS
.B doveadm
[\\fB\\-Dv\\fR] [\\fB\\-f\\fR \\fIFORMAT\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]
.SH DESCRIPTION
Dovecot's own
.BR doveadm (1)
works in front of dovegate as it is: \\fBdoveadm quota get \\-u USER \\-S /run/dovegate/TEAM.sock\\fR.
.PP
On a host without Dovecot, the program of dovegate under the name doveadm has the same command line
(\\fBln \\-s /usr/lib/dovegate/dist/main.js /usr/local/bin/doveadm\\fR). It sends every command to the server, also those
that the real one runs itself. Commands that need Dovecot's own machine end with 64.
.SH COMMANDS
${usage.map(commandOf).join('\n')}
.SH ENVIRONMENT
${environment.map(([name, text]) => tagged(name, roff(text))).join('\n')}
.SH EXIT STATUS
0 done, 64 usage, 65 a value that is not accepted, 67 no such user, 68 not found, 75 temporary failure or not reached, 77 denied.
.SH SEE ALSO
.BR dovegate (1),
.BR doveadm (1)`;
}

/** `doveadm kick [-f] <mask>` as a tagged line. */
function commandOf(line) {
  const [, name = '', rest = ''] = /^doveadm (.+?)(?: ([[<].*))?$/.exec(line) ?? [];
  return tagged(name, roff(rest));
}

/** The page of settings: paragraphs as they are, each list as settings. */
function settingsPage() {
  const text = [];
  const page = readFileSync(join(root, 'docs/settings.md'), 'utf8');
  for (const block of page.trim().split('\n\n')) {
    // The title, and what the page says of itself.
    if (block.startsWith('# ') || block.includes('make-settings.mjs')) continue;
    else if (block.startsWith('## ')) text.push(`.SH ${roffOfMarkdown(block.slice(3).toUpperCase())}`);
    else if (block.startsWith('- `')) {
      for (const item of block.split(/^- /m).slice(1)) {
        const line = item.trim().replaceAll(/\s+/g, ' ');
        const [, path = '', known = '', meaning = ''] = /^`([^`]+)`( \(.*?\))?: (.*)$/.exec(line) ?? [];
        text.push(tagged(path, `${roffOfMarkdown(meaning)}${roffOfMarkdown(known)}`));
      }
    } else if (block.startsWith('- ')) {
      for (const item of block.split(/^- /m).slice(1))
        text.push(`.IP \\(bu 2\n${roffOfMarkdown(item.trim())}`);
    } else text.push(`.PP\n${roffOfMarkdown(block)}`);
  }
  return `.SH NAME
dovegate.yaml \\- configuration of dovegate
.SH DESCRIPTION
The daemon reads /etc/dovegate/dovegate.yaml. \\fBdovegate check\\fR prints every problem of it, with its place.
${text.join('\n')}
.SH SEE ALSO
.BR dovegate (1)`;
}

/** File name -> text. `day`: YYYY-MM-DD, of the release. */
export async function manPages(version, day) {
  const page = (name, section, body) => [
    `${name}.${section}`,
    `.\\" Made by scripts/package/man-pages.mjs.\n.TH ${roff(name.toUpperCase())} ${section} "${day}" "dovegate ${version}" "dovegate"\n.nh\n.ad l\n${body}\n`,
  ];
  return new Map([
    page('dovegate', 1, await dovegatePage()),
    page('doveadm-dovegate', 1, await doveadmPage()),
    page('dovegate.yaml', 5, settingsPage()),
  ]);
}
