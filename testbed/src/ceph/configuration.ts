// The ceph.conf of a one-machine cluster, everything of it below one directory.

export type CephPorts = { readonly v2: number; readonly v1: number };

export type CephConfiguration = {
  readonly directory: string;
  readonly fsid: string;
  readonly ports: CephPorts;
  /** Bytes that the OSD can hold, in memory. */
  readonly bytes: bigint;
  /** Whether clients need a key. */
  readonly auth: 'cephx' | 'none';
};

/** What clients are given, as an operator would: nothing that bounds how long librados waits. */
export function cephConf({ directory, fsid, ports, bytes, auth }: CephConfiguration): string {
  return `[global]
fsid = ${fsid}
mon host = ${monitorAddress(ports)}
mon initial members = a
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
auth cluster required = ${auth}
auth service required = ${auth}
auth client required = ${auth}
run dir = ${directory}
admin socket = ${directory}/$name.asok
pid file = ${directory}/$name.pid
log file = ${directory}/$name.log
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd crush chooseleaf type = 0
osd pool default pg autoscale mode = off
# fast-diff among them: without it, a copy out of the image would find no holes.
rbd default features = 61
[mon]
mon data = ${directory}/mon.a
[osd]
osd data = ${directory}/osd.0
osd objectstore = memstore
memstore device bytes = ${bytes}
# For so long a client that was killed counts as one that has its images open; 30 by default.
osd client watch timeout = 8
# It measures its storage at the start otherwise.
osd mclock skip benchmark = true
[client]
keyring = ${directory}/$name.keyring
admin socket =
log file =
`;
}

/** The same for the testbed's own commands, which must not wait for a cluster that hangs. */
export function impatient(conf: string): string {
  return `${conf}client mount timeout = 4\nrados mon op timeout = 4\nrados osd op timeout = 4\n`;
}

export function monitorAddress({ v2, v1 }: CephPorts): string {
  return `[v2:127.0.0.1:${v2},v1:127.0.0.1:${v1}]`;
}
