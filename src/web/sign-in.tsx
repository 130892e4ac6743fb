// Before there is a session: the three ways in.

import { useEffect, useState } from 'preact/hooks';
import type { Entered, Login } from '../domain/page/api.js';
import { type Api, AskFault } from './api.js';
import { Button, Field } from './kit.js';
import { visible } from './visible.js';

interface SignInProps {
  readonly api: Api;
  /** Why somebody is here again. */
  readonly text: string | undefined;
  readonly onEntered: (entered: Entered) => void;
}

export function SignIn({ api, text, onEntered }: SignInProps) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [said, setSaid] = useState(text);
  const [isBusy, setBusy] = useState(false);
  // What was typed meanwhile stays.
  useEffect(() => {
    setSaid(text);
    setBusy(false);
  }, [text]);
  const enter = async (login: Login): Promise<void> => {
    setBusy(true);
    setSaid(undefined);
    try {
      onEntered(await api.json<Entered>('POST /api/login', { body: login }));
    } catch (error) {
      setSaid(error instanceof AskFault ? error.message : String(error));
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <h1>dovegate</h1>
      <p role="alert" class={said === undefined ? 'said' : 'said bad'}>
        {visible(said ?? '')}
      </p>
      <section>
        <h2>With a link</h2>
        <p>
          On the host of the daemon, run <code>dovegate page open</code> and open the link that it prints. It
          works once, for one minute, for the person whose account ran it.
        </p>
      </section>
      <section>
        <h2>With a password</h2>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void enter({ name, password });
          }}
        >
          <Field label="Name" value={name} onInput={setName} autocomplete="username" isNeeded />
          <Field
            label="Password"
            type="password"
            value={password}
            onInput={setPassword}
            autocomplete="current-password"
            isNeeded
          />
          <Button type="submit" kind="main" isOff={isBusy}>
            {isBusy ? 'Signing in …' : 'Sign in'}
          </Button>
        </form>
      </section>
      <section>
        <h2>With a certificate</h2>
        <p>If this browser has a client certificate for you, it was sent when the page was opened.</p>
        <Button isOff={isBusy} onClick={() => void enter({})}>
          Sign in with the certificate
        </Button>
      </section>
      <p class="faint">Who may come is in the configuration of dovegate, under admin.page.people.</p>
    </main>
  );
}
