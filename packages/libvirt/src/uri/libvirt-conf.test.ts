// libvirt.conf, as libvirt ships and reads it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LibvirtConfError, parseLibvirtConf } from './libvirt-conf.ts';

describe('parseLibvirtConf', () => {
  it('reads the default URI, aliases and mode, and passes over the rest', () => {
    const conf = parseLibvirtConf(`
# comment
uri_aliases = [
  "hail=qemu+ssh://root@hail/system", # one
  'sleet=qemu+ssh://root@sleet/system?a=b',
  "hail=second",
]
uri_default = "qemu:///system"
remote_mode="direct"
tls_priority = """NORMAL
"""
other = 3`);
    expect(conf.uriDefault).toBe('qemu:///system');
    expect(conf.remoteMode).toBe('direct');
    expect([...(conf.uriAliases ?? [])]).toEqual([
      ['hail', 'qemu+ssh://root@hail/system'],
      ['sleet', 'qemu+ssh://root@sleet/system?a=b'],
    ]);
  });

  it('is empty for an empty file, and for one of comments', () => {
    expect(parseLibvirtConf('')).toEqual({});
    expect(parseLibvirtConf('# uri_default = "x"\n\n')).toEqual({});
  });

  it.each([
    ['uri_default = ', 1],
    ['\nuri_default "x"', 2],
    ['\n\nuri_default = "x', 3],
    ['uri_default = "x" ]', 1],
    ['uri_aliases = [ "a=b"', 1],
    ['= "x"', 1],
  ])('names the line of what it cannot read: %j', (text, line) => {
    expect(() => parseLibvirtConf(text, '/f')).toThrow(
      expect.objectContaining({ name: 'LibvirtConfError', file: '/f', line }),
    );
  });

  it('refuses an alias that is none', () => {
    expect(() => parseLibvirtConf('uri_aliases = [ "no alias" ]')).toThrow(LibvirtConfError);
  });

  it('either reads or refuses any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...`a_=[],"'# \n-1`) }), (text) => {
        try {
          parseLibvirtConf(text);
        } catch (error) {
          expect(error).toBeInstanceOf(LibvirtConfError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
