// A report of one mailbox as one page of HTML to print or to send: no script, no link, nothing is loaded. All texts go through `escape`.

import { printable } from '../../host/words/text.js';
import type { MailboxLine } from '../views/trail.js';
import type { Completeness } from './completeness.js';
import { formatSpan, linesOf, type ReportForm, type ReportHead } from './lines.js';
import { createDayBook, type TouchDay, touchClasses } from './touch.js';

// A cell breaks a word only where the word alone is wider than `min-width`. On a narrow screen each row is a block of labeled lines.
const style = `
:root { color-scheme: light }
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact }
body { font: 11pt/1.45 system-ui, sans-serif; max-width: 90em; margin: 0 auto; padding: 1.5em; color: #1a1a1a; background: #fff; overflow-wrap: break-word }
h1 { font-size: 1.5em; margin: 0 0 .6em }
.answer, .verdict { border-left: .4em solid; padding: .5em 1em; margin: .6em 0; font-weight: bold }
.answer { font-size: 1.2em }
.good, .complete { color: #0a5c1e; background: #e6f5ea }
.bad, .doubtful { color: #8f1414; background: #fde8e8 }
.warn { color: #6f4300; background: #fff1d6 }
.quiet { color: #333; background: #eee }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15em 1em; margin: 1em 0 }
dt { color: #555 } dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; margin: 1.5em 0; font-size: .92em }
caption { text-align: left; font-weight: bold; font-size: 1.15em; padding-bottom: .3em; break-after: avoid }
tr { break-inside: avoid }
th, td { border-bottom: .5pt solid #999; padding: .35em .8em .35em 0; text-align: left; vertical-align: top }
th { white-space: nowrap; color: #555 }
td { overflow-wrap: anywhere; min-width: 9em }
td.what { white-space: nowrap; min-width: 0 }
td.count { min-width: 0; text-align: right; font-weight: bold } td.time { min-width: 5em; overflow-wrap: normal }
td.what span { padding: .1em .5em; border-radius: .3em; font-weight: bold }
@media screen and (max-width: 50em) {
  body { padding: 1em; font-size: 12pt }
  dl { display: block } dd { margin-bottom: .4em }
  table, caption, tbody, tr, td { display: block; width: 100% }
  thead { display: none }
  tr { border: .5pt solid #999; border-radius: .4em; padding: .5em .8em; margin: .6em 0 }
  td, td.count { border: 0; padding: .1em 0; min-width: 0; text-align: left }
  td::before { content: attr(data-name) ": "; color: #555; font-weight: normal }
  td:empty { display: none }
}
@page { size: landscape; margin: 12mm }
@media print { body { margin: 0; padding: 0; font-size: 9.5pt } }`;

export function createHtmlReport(): ReportForm {
  const book = createDayBook();
  let isEmpty = true;
  return {
    begin(head, completeness, { deleted, maybeDeleted }) {
      const { mailbox, period, isComplete, isNamed, isContentOnly, answer, sentences, madeAt, madeBy } = head;
      const [first = '', ...rest] = sentences;
      const title = escape(`Who touched ${mailbox}, ${period}`);
      const tone = deleted + maybeDeleted > 0 ? 'bad' : !isNamed ? 'warn' : isComplete ? 'good' : 'quiet';
      return [
        '<!DOCTYPE html>',
        '<html lang="en"><head><meta charset="utf-8">',
        `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        `<title>${title}</title><style>${style}\n</style></head><body>`,
        `<h1>${title}</h1>`,
        `<p class="answer ${tone}">${escape(answer)}</p>`,
        `<p class="verdict ${isComplete ? 'complete' : 'doubtful'}">${escape(first)}</p>`,
        '<dl>',
        ...factsOf(head, completeness).map(
          ([name, text]) => `<dt>${escape(printable(name))}</dt><dd>${escape(printable(text))}</dd>`,
        ),
        '</dl>',
        ...(rest.length === 0 ? [] : ['<ul>', ...rest.map((text) => `<li>${escape(text)}</li>`), '</ul>']),
        ...(isContentOnly
          ? ['<p>Only commands that showed or searched content, or may have, are listed.</p>']
          : []),
        `<p>Made by dovegate at ${escape(madeAt)}${madeBy === undefined ? '' : `, for ${escape(madeBy)}`}. Days and times are UTC.</p>`,
      ];
    },
    take: (touch) => tables(book.take(touch)),
    finish() {
      const last = tables(book.finish());
      return [...last, ...(isEmpty ? ['<p>No command is listed.</p>'] : []), '</body></html>'];
    },
  };

  function tables(days: readonly TouchDay[]): string[] {
    return days.flatMap((day) => {
      isEmpty = false;
      const lines = linesOf(day);
      const isFleet = lines.some(({ host }) => host !== undefined);
      const shown = columns.filter(({ name }) => isFleet || name !== 'Host');
      const head = shown.map(({ name }) => `<th>${name}</th>`).join('');
      return [
        `<table><caption>${escape(lines[0]?.day ?? '')}</caption><thead><tr>${head}</tr></thead><tbody>`,
        ...lines.map((line) => `<tr>${shown.map((column) => cell(column, line)).join('')}</tr>`),
        '</tbody></table>',
      ];
    });
  }
}

function factsOf({ host, journal }: ReportHead, completeness: Completeness): (readonly [string, string])[] {
  const { signedBy, whose, signedTo, hosts } = completeness;
  if (hosts !== undefined)
    return [
      ['Made on host', host],
      ['Hosts', hosts.map((each) => each.host).join(', ')],
      ...hosts.map((each) => [`Signer of ${each.host}`, each.signedBy ?? 'none'] as const),
    ];
  const signer =
    signedBy === undefined
      ? 'none that was checked'
      : `${signedBy}${whose === '' ? '' : ` (${whose})`}${signedTo === undefined ? '' : `, up to ${signedTo}`}`;
  return [
    ['Made on host', host],
    ['Journal', journal],
    ['Signer', signer],
  ];
}

interface HtmlColumn {
  readonly name: string;
  readonly kind?: 'what' | 'count' | 'time';
  readonly text: (line: MailboxLine) => string;
}

const columns: readonly HtmlColumn[] = [
  { name: 'Host', text: ({ host = '' }) => host },
  { name: 'Requester', text: ({ requester }) => requester },
  { name: 'What', kind: 'what', text: ({ what }) => what },
  { name: 'Count', kind: 'count', text: ({ count }) => String(count) },
  { name: 'Time (UTC)', kind: 'time', text: formatSpan },
  { name: 'Reason', text: ({ reason }) => reason },
  { name: 'Commands', text: ({ commands }) => commands },
  { name: 'Note', text: ({ note }) => note },
];
const tones = new Map(touchClasses.map((each) => [each.class, each.tone]));

function cell({ name, kind, text }: HtmlColumn, line: MailboxLine): string {
  // A long name of a requester may go on in the next line after its @ or a dot.
  const shown = escape(text(line)).replace(/(?<=[^@.\s]{5}[@.])(?=\S)/gu, '<wbr>');
  const marked =
    kind === 'what' ? `<span class="${tones.get(line.class) ?? 'quiet'}">${shown}</span>` : shown;
  return `<td${kind === undefined ? '' : ` class="${kind}"`} data-name="${name}">${marked}</td>`;
}

const entities = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities.get(character) ?? '');
}
