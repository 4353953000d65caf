// Runs programs to their end, with a time limit, and looks into running ones.
import { spawn } from 'node:child_process';
import fs from 'node:fs';

// Runs `command` and answers {code, signal, stdout, stderr}. `input` is its standard input; it never inherits ours.
export function run(command, args, { env, input = '', cwd, uid, gid, timeoutMs = 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, cwd, uid, gid, stdio: ['pipe', 'pipe', 'pipe'] });
    const out = [];
    const err = [];
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => err.push(chunk));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
  });
}

// The environment of a running process as an object.
export function environOf(pid) {
  const entries = fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter((entry) => entry !== '');
  return Object.fromEntries(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
}

export function childrenOf(pid) {
  return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
}

// The environments of a process's children, without those that end at this moment.
export function childEnvironmentsOf(pid) {
  return childrenOf(pid).flatMap((child) => {
    try {
      return [environOf(child)];
    } catch (error) {
      if (error.code === 'ENOENT' || error.code === 'ESRCH') return [];
      throw error;
    }
  });
}

export function commandLineOf(pid) {
  return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
}

// Soft limit of core files of a running process, as /proc shows it.
export function coreLimitOf(pid) {
  return /^Max core file size\s+(\S+)/m.exec(fs.readFileSync(`/proc/${pid}/limits`, 'utf8'))[1];
}

// Base names of the shared libraries that a running process has mapped.
export function mappedLibrariesOf(pid) {
  const maps = fs.readFileSync(`/proc/${pid}/maps`, 'utf8');
  return [...new Set([...maps.matchAll(/\/([^/\n]+\.so[^/\n]*)$/gm)].map((match) => match[1]))];
}

// Names of the shared libraries that the dynamic loader brings in for a program.
export async function linkedLibrariesOf(program) {
  const { stdout } = await run('ldd', [program], { env: { PATH: process.env.PATH } });
  return [...stdout.matchAll(/^\s*(\S+)/gm)].map((match) => match[1].replace(/.*\//, ''));
}

// A secret as it may be shown: its first four characters and its length.
export function mask(value) {
  return `${value.slice(0, 4)}${'*'.repeat(8)} (${value.length} characters)`;
}
