// The processes that the tests start. Whichever of them still run when the tests end are ended too, by one listener for all.
import { spawn } from 'node:child_process';

const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill()));

/** Starts a program, which Debian may have put where only root looks. */
export function startChild(command, args, { env = process.env, ...options } = {}) {
  const child = spawn(command, args, { ...options, env: { ...env, PATH: `${env.PATH}:/usr/sbin` } });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}
