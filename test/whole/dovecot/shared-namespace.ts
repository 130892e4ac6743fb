// A shared namespace for an instance, in both languages of Dovecot's configuration: below `shared/` stand the mailboxes that other
// users let one see. `mail` is the folder of the mailboxes as Dovecot sees it.
import type { Lab } from '../../kit/plain/dovecot-lab.js';

export const sharedNamespace: Readonly<Record<Lab['series'], (mail: string) => string>> = {
  '2.3': (mail) => `namespace inbox {
  separator = /
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/%%u/
  location = maildir:%%h/Maildir
  list = children
  subscriptions = no
}
plugin {
  acl_shared_dict = file:${mail}/shared-mailboxes
}
`,
  '2.4': (mail) => `namespace shared {
  type = shared
  separator = /
  prefix = shared/$user/
  mail_path = %{owner_home}/Maildir
  list = children
  subscriptions = no
}
acl_sharing_map {
  dict file {
    path = ${mail}/shared-mailboxes
  }
}
`,
};

/** Virtual mailboxes below `virtual/`, each a folder of the user with a file dovecot-virtual. */
export const virtualNamespace: Readonly<Record<Lab['series'], string>> = {
  '2.3': `mail_plugins = $mail_plugins virtual
namespace virtual {
  separator = /
  prefix = virtual/
  location = virtual:~/virtual
  subscriptions = no
}
`,
  '2.4': `mail_plugins {
  virtual = yes
}
namespace virtual {
  separator = /
  prefix = virtual/
  mail_driver = virtual
  mail_path = ~/virtual
  subscriptions = no
}
`,
};
