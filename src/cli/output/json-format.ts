// Rows as one array of objects in one line, as doveadm 2.4 writes it: values are strings, but for columns that are numbers.
// Defined by Dovecot in src/lib-json: what is no UTF-8 becomes U+FFFD; control characters, U+2028 and U+2029 are escaped.

import type { ReplyColumn } from '../../domain/commands/columns.js';
import type { CellFormat, Sink } from './cell-format.js';

const escaped = /["\\\u0000-\u001f\u2028\u2029]/g;
const short: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

function escape(text: string): string {
  return text.replace(
    escaped,
    (found) => short[found] ?? `\\u${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
  );
}

/** The array begins with the first cell, or at the end; no line end follows it. */
export function createJsonFormat(columns: readonly ReplyColumn[], sink: Sink): CellFormat {
  let opening = '[';
  let decoder = new TextDecoder();
  let isQuoted = true;
  return {
    open(column) {
      const { key, isNumber } = columns[column] ?? { key: '', isNumber: false };
      if (column === 0) {
        sink(`${opening}{`);
        opening = ',';
      } else {
        sink(',');
      }
      isQuoted = !isNumber;
      sink(`"${escape(key)}":${isQuoted ? '"' : ''}`);
      decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    },
    write(bytes) {
      sink(escape(decoder.decode(bytes, { stream: true })));
    },
    close(column) {
      sink(escape(decoder.decode()));
      sink(`${isQuoted ? '"' : ''}${column === columns.length - 1 ? '}' : ''}`);
    },
    end() {
      sink(opening === '[' ? '[]' : ']');
    },
  };
}
