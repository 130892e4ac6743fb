// A dialog of the browser's own kind: the focus stays in it, Escape closes it, and what is behind it cannot be used.

import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { sentenceOf } from './api.js';
import { Button, Name, Sentence } from './kit.js';
import { useSession } from './session.js';

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  /** At the side, as high as the window. */
  readonly isDrawer?: boolean;
  readonly children: ComponentChildren;
}

export function Dialog({ title, onClose, isDrawer, children }: DialogProps) {
  const place = useRef<HTMLDialogElement>(null);
  const id = useId();
  // In a layout effect: a key that is pressed before the next frame already reaches the dialog.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const dialog = place.current;
    dialog?.showModal();
    return () => {
      // Nothing behind an open dialog can have the focus.
      dialog?.close();
      // A row that was redrawn is another element; then there is nothing to go back to.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={place}
      class={isDrawer === true ? 'drawer' : undefined}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  readonly title: string;
  /** The question; gone when it is done. */
  readonly children: ComponentChildren;
  /** The word on the button: "drain mail1". */
  readonly doit: string;
  readonly isDanger?: boolean;
  readonly obstacle?: string | undefined;
  /** Resolves to a sentence about what was done. */
  readonly onDo: () => Promise<string>;
  readonly onClose: () => void;
}

export function Confirm({ title, children, doit, isDanger, obstacle, onDo, onClose }: ConfirmProps) {
  const { me } = useSession();
  const [state, setState] = useState<
    'asking' | 'doing' | { readonly text: string; readonly isDone: boolean }
  >('asking');
  const run = async (): Promise<void> => {
    setState('doing');
    try {
      setState({ text: await onDo(), isDone: true });
    } catch (error) {
      setState({ text: sentenceOf(error), isDone: false });
    }
  };
  const isOver = typeof state === 'object';
  // While the action runs, it may itself remove what it acts on: that is no obstacle.
  const said =
    typeof state === 'object' ? state : { text: state === 'asking' ? obstacle : undefined, isDone: false };
  return (
    <Dialog title={title} onClose={onClose}>
      {!said.isDone && children}
      <p role="status" class={said.isDone ? 'said good' : 'said bad'}>
        <Sentence text={said.text ?? ''} />
      </p>
      {!isOver && (
        <p class="faint">
          You act as <Name value={me.name} max={80} />.
        </p>
      )}
      <div class="buttons">
        <Button onClick={onClose}>{isOver ? 'Close' : 'Cancel'}</Button>
        {!isOver && (
          <Button
            kind={isDanger ? 'danger' : 'main'}
            isOff={state === 'doing' || obstacle !== undefined}
            onClick={() => void run()}
          >
            {state === 'doing' ? 'Working …' : doit}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
