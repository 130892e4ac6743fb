// Finds what one source refers to: imports of every form, and files named by `new URL(..., import.meta.url)`.
// It relies on the layout of the formatter. A form that it does not know is unclear, which fails the build.

export interface Reference {
  /** `url`: a file that is loaded by its address, as a worker is. */
  readonly kind: 'import' | 'url';
  readonly specifier: string;
  readonly line: number;
  /** What stands between `import` and `from`. */
  readonly clause: string;
}

export interface Unclear {
  readonly line: number;
  readonly text: string;
}

/** A backslash could spell a name that the table does not hold, so a specifier has none. */
const known = [
  /^(?:import|export)\b(?<clause>[^;'"`]*?) from '(?<specifier>[^'\\]+)'/gm,
  /^import '(?<specifier>[^'\\]+)'/gm,
  /\bimport\((?:\/\*[^*]*\*\/ )?'(?<specifier>[^'\\]+)'\)/g,
  /\bimport\.meta\.resolve\('(?<specifier>[^'\\]+)'\)/g,
];
const address = /\bnew URL\('(?<specifier>[^'\\]+)', import\.meta\.url\)/g;
/** Parts of any import. Outside of the known forms they are unclear, also in a comment or a string. */
const signs = new RegExp(
  [
    /\bfrom(?: |\s*\/\*.*?\*\/\s*)'/,
    /^(?:import|export|\}).* from "/,
    /^\s*import\s*(?:\/\*.*?\*\/\s*)?['"`]/,
    /\bimport\s*(?:\/\*.*?\*\/\s*)?\(/,
    /\bimport\.meta\b/,
    /\brequire\s*\(/,
    /\/\/\/ *</,
  ]
    .map(({ source }) => source)
    .join('|'),
  'gm',
);

/** All references of a source, and the places that look like one and have no known form. */
export function referencesOf(source: string): { references: Reference[]; unclear: Unclear[] } {
  const lineAt = (index: number): number => source.slice(0, index).split('\n').length;
  const references: Reference[] = [];
  let rest = source;
  for (const form of [...known, address]) {
    for (const { 0: text, index, groups } of source.matchAll(form)) {
      const { specifier = '', clause = '' } = groups ?? {};
      const kind = form === address ? 'url' : 'import';
      references.push({ kind, specifier, line: lineAt(index), clause: clause.trim() });
      rest = rest.slice(0, index) + text.replaceAll(/[^\n]/g, ' ') + rest.slice(index + text.length);
    }
  }
  const unclear = [...rest.matchAll(signs)].map(({ 0: text, index }) => ({ line: lineAt(index), text }));
  return { references, unclear };
}
