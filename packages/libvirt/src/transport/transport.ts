// What the RPC layer needs of a transport: a byte stream, an end with a reason, and a way to end it.

import type { Duplex } from 'node:stream';

/** Why a transport's byte stream is over. */
export interface TransportEnd {
  /**
   * In words, for a person: the socket error, or what the far side wrote to stderr (ssh and virt-ssh-helper
   * report their failures there and nowhere else). Empty where there is nothing to say beyond "closed".
   */
  readonly detail: string;
  readonly error?: Error;
}

/** A connected byte stream to a libvirt daemon, speaking RPC from its first byte. */
export interface Transport {
  /** Raw bytes in both directions. The RPC layer is the only reader and writer. */
  readonly stream: Duplex;
  /** What it is, for error messages: "unix socket /run/libvirt/libvirt-sock". */
  readonly description: string;
  /** Resolves once, and never rejects, when the stream is over for good and the reason is complete. */
  readonly ended: Promise<TransportEnd>;
  /** Ends the stream at once, whatever is unsent. Safe to call again; `ended` resolves afterwards. */
  close(): void;
}
