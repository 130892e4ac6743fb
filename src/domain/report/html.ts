// A report of one mailbox as one page of HTML to print or to send: no script, no link, nothing that is loaded.
// The rule: every text goes through `escape`.

import { formatSpan, linesOf, type ReportForm } from './lines.js';
import { createDayBook, type TouchDay } from './touch.js';

const style = `
body { font: 11pt/1.4 sans-serif; margin: 2em; color: #000; background: #fff }
.verdict { border: 2pt solid; padding: .5em 1em; font-weight: bold }
.complete { border-color: #060 } .doubtful { border-color: #a00 }
table { border-collapse: collapse; width: 100%; margin: 1em 0 }
caption { text-align: left; font-weight: bold } tr { break-inside: avoid }
th, td { border-bottom: .5pt solid #888; padding: .2em .6em .2em 0; text-align: left; vertical-align: top; overflow-wrap: anywhere }
@media print { body { margin: 0 } }`;

const names = ['Person', 'What', 'Count', 'Time (UTC)', 'Reason', 'Commands', 'Note'];

export function createHtmlReport(): ReportForm {
  const book = createDayBook();
  let isEmpty = true;
  return {
    begin({ mailbox, period, isComplete, isContentOnly, sentences: [first = '', ...rest], madeAt, madeBy }) {
      const title = escape(`Who touched ${mailbox}, ${period}`);
      const box = isComplete ? 'complete' : 'doubtful';
      return [
        '<!DOCTYPE html>',
        '<html lang="en"><head><meta charset="utf-8">',
        `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
        `<title>${title}</title><style>${style}\n</style></head><body>`,
        `<h1>${title}</h1>`,
        `<p class="verdict ${box}">${escape(first)}</p>`,
        ...(rest.length === 0 ? [] : ['<ul>', ...rest.map((text) => `<li>${escape(text)}</li>`), '</ul>']),
        ...(isContentOnly ? ['<p>Only commands that showed content, or may have, are listed.</p>'] : []),
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
      const rows = lines.map((line) => {
        const { host = [], person, what, count, reason, commands, note } = line;
        const texts = [host, person, what, String(count), formatSpan(line), reason, commands, note].flat();
        return `<tr>${texts.map((text) => `<td>${escape(text)}</td>`).join('')}</tr>`;
      });
      const isFleet = lines.some(({ host }) => host !== undefined);
      const head = `<tr>${(isFleet ? ['Host', ...names] : names).map((name) => `<th>${name}</th>`).join('')}</tr>`;
      return [`<table><caption>${escape(lines[0]?.day ?? '')}</caption>`, head, ...rows, '</table>'];
    });
  }
}

const entities = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities.get(character) ?? '');
}
