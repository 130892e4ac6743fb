// Shapes of signs and of the menu, and the mark of dovegate: lines on a grid of 16, drawn in the colour of the text beside them.

import type { Shape } from './signs.js';

const shapes: Readonly<Record<Shape, string>> = {
  check: 'M3 8.5l3.2 3.2L13 5',
  cross: 'M4 4l8 8M12 4l-8 8',
  stop: 'M2.5 8a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0M4.2 11.8l7.6-7.6',
  question: 'M5.5 6a2.6 2.6 0 1 1 3.8 2.3c-.9.5-1.3 1-1.3 1.9M8 13v.1',
  dots: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  ring: 'M3.5 8a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0',
  triangle: 'M8 2l6.5 12h-13zM8 6.5v3.5M8 11.6v.6',
  eye: 'M1.5 8c2-3.2 4.1-4.5 6.5-4.5S12.5 4.8 14.5 8c-2 3.2-4.1 4.5-6.5 4.5S3.5 11.2 1.5 8zM8 8v.1',
  envelope: 'M2 4h12v8.5H2zM2 4.5l6 4.5l6-4.5',
  link: 'M5 8h6M6 5H4.5a3 3 0 0 0 0 6H6M10 5h1.5a3 3 0 0 1 0 6H10',
  pen: 'M3 13l.8-3L11 2.8l2.2 2.2L6 12.2z',
  gear: 'M8 2v2M8 12v2M2 8h2M12 8h2M3.8 3.8l1.4 1.4M10.8 10.8l1.4 1.4M12.2 3.8l-1.4 1.4M5.2 10.8l-1.4 1.4M8 6v4M6 8h4',
  flame: 'M3 4.5h10M6 4.5V2.5h4v2M4.5 4.5l.6 9h5.8l.6-9M7 7v4M9 7v4',
};

export function ShapeOf({ shape }: { readonly shape: Shape }) {
  return <Drawn path={shapes[shape]} />;
}

const icons: Readonly<Record<string, string>> = {
  Now: 'M1.5 9h3l2-5.5 3 9 2-6 1 2.5h2',
  Trail: 'M6 3.5h7.5M6 8h7.5M6 12.5h7.5M2.5 3.5h.01M2.5 8h.01M2.5 12.5h.01',
  Mailbox: shapes.envelope,
  Proof: 'M8 1.8l5 2v4c0 3-2 5-5 6.4-3-1.4-5-3.4-5-6.4v-4zM5.5 8l2 2 3-3.5',
  Access: 'M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5',
  Requests: 'M2 3.5h12v8H7l-3 2.5v-2.5H2zM5 6.2h6M5 8.8h4',
  out: 'M9.5 3H3v10h6.5M7 8h7M11.5 5.5L14 8l-2.5 2.5',
  filter: 'M2.5 3.5h11L9.3 8.5V13l-2.6-1.5v-3z',
  bell: 'M3 11.5h10l-1.2-2V6.8a3.8 3.8 0 0 0-7.6 0v2.7zM6.8 13.6h2.4',
  help: shapes.question,
  empty: 'M2 9l2-5.5h8L14 9v4H2zM2 9h3.5l1 1.5h3l1-1.5H14',
};

export function Icon({ name }: { readonly name: string }) {
  const path = icons[name];
  return path === undefined ? null : <Drawn path={path} width="1.5" />;
}

function Drawn({ path, width }: { readonly path: string; readonly width?: string }) {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={path} class="stroke" stroke-width={width} />
    </svg>
  );
}

/** The mark: a dovecote, whose holes are gates. */
export function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="32" height="32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0c7a8c" />
      <path d="M16 4.5L27 13H5zM7 14.5h18V28H7z" fill="#fff" />
      <path
        d="M10 21v-2a2 2 0 0 1 4 0v2zM18 21v-2a2 2 0 0 1 4 0v2zM14 28v-2.5a2 2 0 0 1 4 0V28zM14.5 11a1.5 1.5 0 0 1 3 0v1h-3z"
        fill="#0c7a8c"
      />
    </svg>
  );
}
