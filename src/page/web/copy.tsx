// A button that copies a text.

import { useState } from 'preact/hooks';
import { Button } from './kit.js';

/** A button, and what became of it. */
export function Copy({ text, label }: { readonly text: string; readonly label?: string }) {
  const [said, setSaid] = useState('');
  const copy = (): void => {
    const copied = window.isSecureContext
      ? navigator.clipboard.writeText(text)
      : Promise.reject(new Error('no clipboard'));
    copied.then(
      () => setSaid('Copied.'),
      () => setSaid('This browser does not permit it here: mark the text and copy it.'),
    );
  };
  return (
    <>
      <span role="status" class="faint">
        {said}
      </span>
      <Button onClick={copy} {...(label !== undefined && { label })}>
        Copy
      </Button>
    </>
  );
}
