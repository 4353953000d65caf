// The documents show commands that the programs have: each subcommand and option of README.md and docs/ is one that the
// program's own help names.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Helps, codeOf, commandsIn, commandsInJson } from './lib/doc_commands.mjs';
import { programs } from './lib/platform.mjs';

const ROOT = path.resolve(new URL('.', import.meta.url).pathname, '../..');
const PAGES = ['README.md', ...fs.readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
const helps = new Helps({
  keyferry: programs.keyferry,
  keyferryd: programs.keyferryd,
  'keyferry-injector': programs.injector,
  'keyferry-launch': programs.launch,
});
const read = (page) => fs.readFileSync(path.join(ROOT, page), 'utf8');

// {count, problems: ["LINE: ..."]}
async function check(markdown) {
  const commands = [
    ...codeOf(markdown).flatMap((code) => commandsIn(code, helps.programs).map((command) => ({ ...command, line: code.line }))),
    ...commandsInJson(markdown, helps.programs).map((command) => ({ ...command, line: 'JSON' })),
  ];
  const problems = [];
  for (const command of commands) problems.push(...(await helps.problemsOf(command)).map((problem) => `${command.line}: ${problem}`));
  return { count: commands.length, problems };
}

describe('the commands in documents', () => {
  let all = 0;
  for (const page of PAGES) {
    test(page, async () => {
      const { count, problems } = await check(read(page));
      all += count;
      assert.deepEqual(problems, []);
    });
  }

  // So that a change of how they are found does not leave them unfound.
  test('are many', () => assert.ok(all >= 200, `${all}`));
});

describe('the settings that the runbook names', () => {
  test('are flags of keyferryd or keys of a provider', async () => {
    const { options } = await helps.of('keyferryd', []);
    const providers = codeOf(read('docs/oauth.md')).map((code) => code.text);
    const keys = codeOf(read('docs/runbook.md')).map((code) => code.text)
      .filter((text) => /^[a-z_]+(\.[A-Za-z_]+)+$/.test(text) && !/\.(crt|key|md|pem|yaml)$/.test(text));
    assert.ok(keys.length > 0);
    for (const key of keys) {
      const isFlag = options.has(`--${key.replace(/[._]/g, '-')}`);
      const isOfProvider = providers.some((text) => new RegExp(`^ +${key.split('.').at(-1)}:`).test(text));
      assert.ok(isFlag || isOfProvider, `${key} is neither`);
    }
  });
});

describe('a command that a program does not have is found', () => {
  const block = (text) => ['```', text, '```'].join('\n');
  for (const [name, markdown, ...problems] of [
    ['in a span', 'see `keyferry oauth-provider apply`', '1: keyferry oauth-provider has no command apply'],
    ['in a span over two lines', 'see `keyferry oauth-provider\napply` and `x`', '1: keyferry oauth-provider has no command apply'],
    ['in a block', block('$ keyferry credential get X'), '2: keyferry credential has no command get'],
    ['after another one', block('$ A=b keyferry audit export | keyferry audt verify'), '2: keyferry has no command audt'],
    ['within another one', block('$ kubectl exec keyferry-0 -- keyferry stat'), '2: keyferry has no command stat'],
    ['in a substitution', block('$ . <(keyferry complete bash)'), '2: keyferry has no command complete'],
    ['in a comment', block('$ true  # if it runs: keyferryd check'), '2: keyferryd has no command check'],
    ['as an alternative', block('keyferry team  create | list | rename'), '2: keyferry team has no command rename'],
    ['in the next line of a synopsis', block('keyferry team  create |\n               rename'), '2: keyferry team has no command rename'],
    ['an option', block('$ keyferryd serve --tls-cert x'), '2: keyferryd serve has no option --tls-cert'],
    ['an option in the next line', block('$ keyferry token create \\\n    --usr ada'), '2: keyferry token create has no option --usr'],
    ['a short option', '`keyferry whoami -x`', '1: keyferry whoami has no option -x'],
    ['an option of another command', '`keyferry-injector agent --supervise`', '1: keyferry-injector agent has no option --supervise'],
    ['an option in brackets', block('keyferry explain MCP_SERVER [--usr ID | --team T]'), '2: keyferry explain has no option --usr'],
    ['in YAML', block('command: [keyferry-injector, exec, --mcp-srv, github, --, x]'), '2: keyferry-injector exec has no option --mcp-srv'],
    ['in JSON', block('{"command": "keyferry-injector", "args": ["exce", "--", "x"]}'), 'JSON: keyferry-injector has no command exce'],
    ['the launcher', '`/keyferry/bin/keyferry-launch --sock PATH -- CMD`', '1: keyferry-launch has no option --sock'],
  ]) {
    test(name, async () => assert.deepEqual((await check(markdown)).problems, problems));
  }

  test('and what belongs to other programs is not', async () => {
    const text = block('$ kubectl -n keyferry create secret generic x\n$ keyferry credential list --mine | jq -r .x\n$ keyferry-injector exec --mcp-server x -- npx -y z');
    assert.deepEqual(await check(`${text}\n\nthe namespace \`keyferry\`, \`keyferry/server\`, \`keyferry COMMAND --help\``), { count: 4, problems: [] });
  });
});
