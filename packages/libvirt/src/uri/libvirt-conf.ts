// The client's configuration file, libvirt.conf: the few settings that concern where a connection goes.

export type LibvirtConf = {
  readonly uriDefault?: string;
  /** Alias → URI. */
  readonly uriAliases?: ReadonlyMap<string, string>;
  readonly remoteMode?: string;
};

/** libvirt.conf is not what libvirt would accept; libvirt's own client refuses to connect then, too. */
export class LibvirtConfError extends Error {
  override readonly name = 'LibvirtConfError';
  readonly file: string;
  /** Undefined: there is nothing to read. */
  readonly line: number | undefined;

  constructor(file: string, line: number | undefined, reason: string, options?: ErrorOptions) {
    super(line === undefined ? `${file}: ${reason}` : `${file}, line ${line}: ${reason}`, options);
    this.file = file;
    this.line = line;
  }
}

type Token = { readonly kind: 'word' | 'string' | 'sign'; readonly text: string; readonly line: number };
type Value = string | readonly string[];

/**
 * Reads libvirt.conf: `name = value` with strings in double, single or triple double quotes, numbers, and lists
 * in brackets; `#` begins a comment (libvirt, virconf.c).
 *
 * @throws LibvirtConfError naming the line.
 */
export function parseLibvirtConf(text: string, file = 'libvirt.conf'): LibvirtConf {
  const values = readAssignments(tokenize(text, file), file);
  const single = (name: string): string | undefined => {
    const value = values.get(name);
    return typeof value === 'string' ? value : undefined;
  };
  const listed = values.get('uri_aliases');
  const [uriDefault, remoteMode] = [single('uri_default'), single('remote_mode')];
  return {
    ...(uriDefault === undefined ? {} : { uriDefault }),
    ...(remoteMode === undefined ? {} : { remoteMode }),
    ...(listed === undefined
      ? {}
      : { uriAliases: readAliases(typeof listed === 'string' ? [listed] : listed, file) }),
  };
}

function readAliases(entries: readonly string[], file: string): Map<string, string> {
  const aliases = new Map<string, string>();
  for (const entry of entries) {
    const [, alias, uri] = /^([A-Za-z0-9_-]+)=(.*)$/s.exec(entry) ?? [];
    if (alias === undefined || uri === undefined) {
      throw new LibvirtConfError(
        file,
        0,
        `uri_aliases: expected "alias=uri", found ${JSON.stringify(entry)}`,
      );
    }
    // The first one counts, as in virURIResolveAlias.
    if (!aliases.has(alias)) aliases.set(alias, uri);
  }
  return aliases;
}

const token =
  /(\s+|#[^\n]*)|"""(.*?)"""|"([^"\n]*)"|'([^'\n]*)'|([A-Za-z_][A-Za-z0-9_.-]*|-?\d+)|([=[\],])/sy;

function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null)
      throw new LibvirtConfError(file, line, `unexpected ${JSON.stringify(text.charAt(at))}`);
    const [whole, skipped, triple, double, single, word, sign] = match;
    const string = triple ?? double ?? single;
    if (string !== undefined) tokens.push({ kind: 'string', text: string, line });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word, line });
    else if (sign !== undefined) tokens.push({ kind: 'sign', text: sign, line });
    if (skipped !== undefined || triple !== undefined) line += whole.split('\n').length - 1;
  }
  return tokens;
}

function readAssignments(tokens: readonly Token[], file: string): Map<string, Value> {
  const values = new Map<string, Value>();
  let at = 0;
  const next = (what: string): Token => {
    const found = tokens[at];
    if (found === undefined) throw new LibvirtConfError(file, tokens.at(-1)?.line ?? 1, `${what} is missing`);
    at += 1;
    return found;
  };
  const value = (): Value => {
    const first = next('a value');
    if (first.kind !== 'sign') return first.text;
    if (first.text !== '[') throw new LibvirtConfError(file, first.line, `unexpected ${first.text}`);
    const items: string[] = [];
    for (;;) {
      const one = next('"]"');
      if (one.text === ']' && one.kind === 'sign') return items;
      if (one.kind !== 'sign') items.push(one.text);
      else if (one.text !== ',') throw new LibvirtConfError(file, one.line, `unexpected ${one.text}`);
    }
  };
  while (at < tokens.length) {
    const name = next('a name');
    const sign = next('"="');
    if (name.kind !== 'word' || sign.text !== '=') {
      throw new LibvirtConfError(file, name.line, `expected "name = value" at ${JSON.stringify(name.text)}`);
    }
    values.set(name.text, value());
  }
  return values;
}
