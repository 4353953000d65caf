// The program tests/kubernetes/render. It is built from Go modules, which Go fetches; a machine that has none goes without.
import path from 'node:path';
import { run } from './process.mjs';

const SOURCE = path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../../kubernetes/render');
const MODULES_TIMEOUT_MS = 180_000;
const BUILD_TIMEOUT_MS = 600_000;
const HOW = 'where modules can be had, `cd tests/kubernetes/render && go mod download` keeps them for later runs';

// coreutils' `timeout` ends whatever the command has started, too.
async function within(timeoutMs, command, options) {
  return run('timeout', ['--kill-after=5', String(timeoutMs / 1000), ...command], { ...options, timeoutMs: timeoutMs + 60_000 });
}

const firstLine = (text) => text.trim().split('\n')[0];

// Builds it to `target`. Answers {missing: REASON} where Go or the modules are not to be had; what does not compile with
// them is an error.
export async function buildRenderer(target, { env = process.env, modulesTimeoutMs = MODULES_TIMEOUT_MS } = {}) {
  const options = { env, cwd: SOURCE };
  if ((await within(modulesTimeoutMs, ['go', 'version'], options)).code !== 0) {
    return { missing: 'Go is not installed; `deploy/setup test` installs it' };
  }
  const modules = await within(modulesTimeoutMs, ['go', 'mod', 'download'], options);
  if (modules.code !== 0) {
    const why = modules.code === 124 ? `not there within ${modulesTimeoutMs / 1000} seconds` : firstLine(modules.stderr);
    return { missing: `the Go modules of tests/kubernetes/render cannot be had (${why}); ${HOW}` };
  }
  const built = await within(BUILD_TIMEOUT_MS, ['go', 'build', '-o', target, '.'], { ...options, env: { ...env, GOPROXY: 'off' } });
  if (built.code !== 0) throw new Error(`tests/kubernetes/render is not built (exit code ${built.code}): ${built.stderr}`);
  return {};
}
