// A machine without Go, or without a way to its modules, skips what needs them, and never waits for long.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { temporaryDirectory } from './lib/fixture.mjs';
import { buildRenderer } from './lib/renderer.mjs';

describe('the renderer is missing', () => {
  let directory, tools;

  before(() => {
    directory = temporaryDirectory();
    tools = path.join(directory, 'bin');
    fs.mkdirSync(tools);
    for (const tool of ['timeout', 'sleep', 'sh']) {
      fs.symlinkSync(execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), path.join(tools, tool));
    }
  });
  after(() => fs.rmSync(directory, { recursive: true, force: true }));

  // A program in place of Go, that has a version and does this when it is to fetch.
  function fakeGo(download) {
    const go = path.join(tools, 'go');
    fs.writeFileSync(go, `#!/bin/sh\ncase "$1" in version) exit 0 ;; mod) ${download} ;; esac\necho "$GOPROXY" > ${directory}/built\nexit 1\n`);
    fs.chmodSync(go, 0o755);
  }
  const build = (options = {}) => buildRenderer(path.join(directory, 'render'), { env: { PATH: tools }, ...options });

  test('without Go', async () => {
    fs.rmSync(path.join(tools, 'go'), { force: true });
    assert.match((await build()).missing, /Go is not installed; .*deploy\/setup/);
  });

  test('without the modules', async () => {
    fakeGo('echo "no such host" >&2; exit 1');
    assert.match((await build()).missing, /cannot be had \(no such host\); .*go mod download/);
  });

  test('where fetching them hangs, what Go has started included', async () => {
    fakeGo('sleep 3600 & wait; exit 0');
    assert.match((await build({ modulesTimeoutMs: 1000 })).missing, /not there within 1 seconds/);
  });

  test('but what does not compile is an error, and nothing is fetched for it', async () => {
    fakeGo('exit 0');
    await assert.rejects(build(), /is not built/);
    assert.equal(fs.readFileSync(path.join(directory, 'built'), 'utf8'), 'off\n');
  });
});
