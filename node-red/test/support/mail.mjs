// Dovecot and Postfix of a test's own, as people set them up for OAuth 2.0: Dovecot asks the provider whose token it is, Postfix asks
// Dovecot, and hands what it takes over to it. Both change users, so they need root.
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { freePort, until } from './broker.mjs';
import { startChild } from './child.mjs';

const VIRTUAL = 5000;

export class MailServer {
  /** @param {string} userinfo where the provider says whose token it is */
  static async start(userinfo) {
    const server = new MailServer();
    // Not below a folder that only its owner may enter.
    server.folder = fs.mkdtempSync('/var/tmp/oauth2mqtt-mail-');
    fs.chmodSync(server.folder, 0o755);
    [server.imap, server.smtp] = [await freePort(), await freePort()];
    server.#writeDovecot(userinfo);
    server.#writePostfix();
    server.processes = [
      server.#run('dovecot', ['-F', '-c', path.join(server.folder, 'dovecot.conf')]),
      server.#run('postfix', ['-c', path.join(server.folder, 'postfix'), 'start-fg']),
    ];
    for (const port of [server.imap, server.smtp]) await until(`port ${port}`, () => isOpen(port), 30).catch((error) => { throw new Error(`${error.message}\n${server.log()}`); });
    return server;
  }

  #writeDovecot(userinfo) {
    const at = (name) => path.join(this.folder, name);
    fs.mkdirSync(at('mail'));
    fs.chownSync(at('mail'), VIRTUAL, VIRTUAL);
    fs.writeFileSync(at('oauth2.conf'), `introspection_mode = auth\nintrospection_url = ${userinfo}\nusername_attribute = email\ntimeout_msecs = 5000\n`);
    fs.writeFileSync(at('dovecot.conf'), `
base_dir = ${at('dovecot')}
protocols = imap lmtp
ssl = no
disable_plaintext_auth = no
# Without a mechanism for passwords it says LOGINDISABLED, which the mail node takes for a refusal. No password is taken.
auth_mechanisms = plain xoauth2 oauthbearer
auth_cache_size = 0
# Whoever tries an ended token is not made to wait: the next one would end meanwhile.
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
log_path = ${at('dovecot.log')}
auth_verbose = yes
first_valid_uid = ${VIRTUAL}
mail_location = maildir:${at('mail')}/%u
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = ${at('oauth2.conf')}
}
userdb {
  driver = static
  args = uid=${VIRTUAL} gid=${VIRTUAL} home=${at('mail')}/%u allow_all_users=yes
}
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = ${this.imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service auth {
  unix_listener ${at('auth')} {
    mode = 0666
  }
}
service lmtp {
  unix_listener ${at('lmtp')} {
    mode = 0666
  }
}
`);
  }

  #writePostfix() {
    const at = (name) => path.join(this.folder, name);
    for (const name of ['postfix', 'queue', 'data']) fs.mkdirSync(at(name));
    const owner = Number(fs.readFileSync('/etc/passwd', 'utf8').match(/^postfix:[^:]*:(\d+):/m)[1]);
    fs.chownSync(at('data'), owner, 0);
    fs.writeFileSync(at('postfix/main.cf'), `
compatibility_level = 3.6
queue_directory = ${at('queue')}
data_directory = ${at('data')}
maillog_file = ${at('postfix.log')}
maillog_file_prefixes = ${this.folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.com
mydestination =
virtual_mailbox_domains = example.com
virtual_transport = lmtp:unix:${at('lmtp')}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = ${at('auth')}
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
default_database_type = hash
alias_maps =
local_recipient_maps =
`);
    const service = (name, type, command, isPrivate = 'y', wakeup = '-', maximum = '-') => `${name} ${type} ${isPrivate} - n ${wakeup} ${maximum} ${command}`;
    fs.writeFileSync(at('postfix/master.cf'), `${[
      service(`127.0.0.1:${this.smtp}`, 'inet', 'smtpd', 'n'),
      service('cleanup', 'unix', 'cleanup', 'n', '-', '0'),
      service('qmgr', 'unix', 'qmgr', 'n', '300', '1'),
      service('rewrite', 'unix', 'trivial-rewrite'),
      service('bounce', 'unix', 'bounce', '-', '-', '0'),
      service('defer', 'unix', 'bounce', '-', '-', '0'),
      service('trace', 'unix', 'bounce', '-', '-', '0'),
      service('pickup', 'unix', 'pickup', 'n', '60', '1'),
      service('error', 'unix', 'error'),
      service('retry', 'unix', 'error'),
      service('lmtp', 'unix', 'lmtp'),
      service('anvil', 'unix', 'anvil', '-', '-', '1'),
      service('scache', 'unix', 'scache', '-', '-', '1'),
      service('postlog', 'unix-dgram', 'postlogd', 'n', '-', '1'),
    ].join('\n')}\n`);
  }

  #run(command, args) {
    const child = startChild(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.told = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { child.told += text; });
    // Its own children keep its output open.
    child.ended = once(child, 'exit');
    return child;
  }

  /** What both have logged. */
  log() {
    const read = (name) => (fs.existsSync(path.join(this.folder, name)) ? fs.readFileSync(path.join(this.folder, name), 'utf8') : '');
    return `${this.processes.map(({ told }) => told).join('')}${read('dovecot.log')}${read('postfix.log')}`;
  }

  async stop() {
    for (const child of this.processes) {
      child.kill();
      await child.ended;
    }
    fs.rmSync(this.folder, { recursive: true });
  }
}

function isOpen(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => { socket.end(); resolve(true); });
    socket.on('error', () => resolve(false));
  });
}

export const isRoot = os.userInfo().uid === 0;
