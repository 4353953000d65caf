// The commands of Keyferry's programs that documents show, and what their own help says there is.
import { run } from './process.mjs';

// Other words are places for something else: PROVIDER, ..., $NAME.
const isWord = (text) => /^[a-z][a-z0-9-]*$/.test(text);
const isAlternatives = (text) => text.split('|').every(isWord);

// The code of a Markdown text: [{line, text, block}]. Lines of a block that belong together are one: those that end with
// \, and what is set in below a synopsis.
export function codeOf(markdown) {
  const found = [];
  const prose = [];
  let inBlock = false;
  let continues = false;
  markdown.split('\n').forEach((text, index) => {
    const fence = /^\s*```/.test(text);
    prose.push(fence || inBlock ? '' : text);
    if (fence) {
      inBlock = !inBlock;
      continues = false;
    } else if (inBlock) {
      if (continues || (/^ {8}/.test(text) && /^keyferry/.test(found.at(-1)?.text))) found.at(-1).text += ` ${text.trim()}`;
      else found.push({ line: index + 1, text, block: true });
      continues = text.endsWith('\\');
      found.at(-1).text = found.at(-1).text.replace(/\\$/, '');
    }
  });
  return [...found, ...spansOf(prose)];
}

// Spans may go over the end of a line, never over that of a paragraph.
function spansOf(lines) {
  const spans = [];
  let first = 0;
  for (let index = 0; index <= lines.length; ++index) {
    if (index < lines.length && lines[index].trim() !== '') continue;
    const paragraph = lines.slice(first, index).join('\n');
    for (const match of paragraph.matchAll(/(`+)(.+?)\1/gs)) {
      const line = first + paragraph.slice(0, match.index).split('\n').length;
      spans.push({ line, text: match[2].replace(/\s+/g, ' '), block: false });
    }
    first = index + 1;
  }
  return spans;
}

// Words and the signs between commands, as a shell would see them; quotes keep words together and are kept.
function tokensOf(text) {
  return text.match(/\$\(|<\(|&&|\|\||[|;()`[\]{}<>]|(?:'[^']*'|"[^"]*"|[^\s|;()`[\]{}<>'"]|(?<=\S)\|(?=\w|-))+|['"]/g) ?? [];
}

const isSign = (token) => /^(\$\(|<\(|&&|\|\||[|;()`[\]{}<>'"])$/.test(token);
const startsCommand = (before, inComment) =>
  before === '#' || before === '`' || before?.endsWith(':') ||
  (!inComment &&
    (before === undefined || before === '--' || before === '$' || /^[A-Za-z_]+=/.test(before) ||
      (isSign(before) && !/^[<>)\]}]$/.test(before))));

// The commands of `programs` (names) in a piece of code: [{program, words}]. `|` is a pipe after a prompt and in a span;
// in a block without one it stands between alternatives, and the words go on.
export function commandsIn({ text, block }, programs) {
  const shell = !block || /^\s*\$ /.test(text);
  const list = /\bcommand"?: *\[/.test(text) ? text.replaceAll(',', ' ') : text;
  const commands = [];
  let current = null;
  let inComment = false;
  let before;
  for (const token of tokensOf(list)) {
    if (programs.includes(token.replace(/^.*\//, '')) && startsCommand(before, inComment)) {
      current = { program: token.replace(/^.*\//, ''), words: [] };
      commands.push(current);
    } else if (token === '--' || token === '#' || token === '`' || (shell && isSign(token) && !/^[[\]{}]$/.test(token))) {
      current = null;
    } else {
      current?.words.push(token);
    }
    inComment ||= token === '#';
    before = token;
  }
  return commands;
}

// The commands of JSON as MCP clients are configured with: "command": PROGRAM, "args": [...].
export function commandsInJson(markdown, programs) {
  const commands = [];
  for (const match of markdown.matchAll(/"command": *"([^"]*)",\s*"args": *(\[[^\]]*\])/g)) {
    const words = JSON.parse(match[2]);
    const end = words.indexOf('--');
    if (programs.includes(match[1])) commands.push({ program: match[1], words: end < 0 ? words : words.slice(0, end) });
  }
  return commands;
}

// What a program's help says of one of its commands: {commands: Set, options: Map from name to whether it takes a value}.
export function readHelp(text) {
  const commands = new Set();
  const options = new Map();
  let section = '';
  for (const line of text.split('\n')) {
    const title = /^(\S.*):$/.exec(line);
    if (title) section = title[1];
    const command = /^ {2}([a-z][a-z0-9-]*)(\s|$)/.exec(line);
    if (command && /^(Subc|C)ommands$/.test(section)) commands.add(command[1]);
    const option = /^ +((?:-\w, ?)?--?[a-z][a-z0-9-]*|-\w,--[a-z-]+)( \S)?/.exec(line);
    if (option) for (const name of option[1].split(/, ?/)) options.set(name, option[2] !== undefined);
  }
  return { commands, options };
}

// Asks the programs, each command once.
export class Helps {
  #programs;
  #known = new Map();

  // From names to files.
  constructor(programs) {
    this.#programs = programs;
  }

  get programs() {
    return Object.keys(this.#programs);
  }

  of(program, path) {
    const key = [program, ...path].join(' ');
    if (!this.#known.has(key)) {
      this.#known.set(
        key,
        run(this.#programs[program], [...path, '--help'], { env: { PATH: process.env.PATH } }).then(({ code, stdout, stderr }) => {
          if (code !== 0) throw new Error(`${key} --help exited ${code}: ${stderr}`);
          return readHelp(stdout);
        }),
      );
    }
    return this.#known.get(key);
  }

  // What is wrong with a command, in words; none if nothing is.
  async problemsOf({ program, words }) {
    const problems = [];
    let path = [];
    const options = new Map((await this.of(program, path)).options);
    const enter = async (parents, word) => {
      const known = (await this.of(program, parents)).commands;
      for (const name of word.split('|').filter((one) => !known.has(one))) {
        problems.push(`${[program, ...parents].join(' ')} has no command ${name}`);
      }
      const entered = known.has(word) ? [...parents, word] : parents;
      for (const [name, takesValue] of (await this.of(program, entered)).options) options.set(name, takesValue);
      return entered;
    };
    // Set by a word that is none of the program's: what follows are arguments.
    let inArguments = false;
    for (let index = 0; index < words.length; ++index) {
      const word = words[index];
      if (/^-./.test(word)) {
        const names = word.replace(/=.*$/, '').split('|').map((name) => name.replace(/[,.:]+$/, ''));
        for (const name of names.filter((one) => !options.has(one))) {
          problems.push(`${[program, ...path].join(' ')} has no option ${name}`);
        }
        if (names.some((name) => options.get(name)) && !word.includes('=') && !isSign(words[index + 1] ?? ')')) ++index;
      } else if (words[index - 1] === '|' && path.length > 0 && isAlternatives(word)) {
        await enter(path.slice(0, -1), word);
      } else if (!inArguments && isAlternatives(word) && (await this.of(program, path)).commands.size > 0) {
        const entered = await enter(path, word);
        inArguments = entered === path;
        path = entered;
      } else if (!isSign(word)) {
        inArguments = true;
      }
    }
    return problems;
  }
}
