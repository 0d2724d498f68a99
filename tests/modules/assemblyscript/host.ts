// Host calls that version 0.1.8 of the SDK leaves out, or makes with wrong arguments.

import { free } from "@solo-io/proxy-runtime/malloc";
import { get_buffer_bytes } from "@solo-io/proxy-runtime/runtime";

// @ts-ignore: decorator
@external("env", "proxy_set_buffer_bytes")
declare function proxy_set_buffer_bytes(kind: u32, start: u32, size: u32, data: usize, length: u32): u32;
// @ts-ignore: decorator
@external("env", "proxy_get_shared_data")
declare function proxy_get_shared_data(key: usize, length: u32, value: usize, size: usize, cas: usize): u32;
// @ts-ignore: decorator
@external("env", "proxy_set_shared_data")
declare function proxy_set_shared_data(key: usize, length: u32, value: usize, size: u32, cas: u32): u32;
// @ts-ignore: decorator
@external("env", "proxy_get_metric")
declare function proxy_get_metric(metric: u32, value: usize): u32;
// @ts-ignore: decorator
@external("env", "proxy_register_shared_queue")
declare function proxy_register_shared_queue(name: usize, length: u32, queue: usize): u32;
// @ts-ignore: decorator
@external("env", "proxy_dequeue_shared_queue")
declare function proxy_dequeue_shared_queue(queue: u32, value: usize, size: usize): u32;

export const PLUGIN_CONFIGURATION: u32 = 7;
export const REQUEST_BODY: u32 = 0;
export const RESPONSE_BODY: u32 = 1;
export const HTTP_CALL_BODY: u32 = 4;

const results = new Uint32Array(3);
const wide = new Uint64Array(1);

function at(index: i32): usize {
  return results.dataStart + 4 * index;
}

/** What the host wrote into memory that it had this module allocate. */
function taken(): string {
  const value = String.UTF8.decodeUnsafe(results[0], results[1]);
  free(results[0]);
  return value;
}

export function text(buffer: ArrayBuffer): string {
  return String.UTF8.decode(buffer);
}

export function buffer(kind: u32): string {
  return text(get_buffer_bytes(kind, 0, 1 << 20));
}

/** Replaces a whole buffer, and returns the status. */
export function replaceBuffer(kind: u32, content: string): u32 {
  const data = String.UTF8.encode(content);
  return proxy_set_buffer_bytes(kind, 0, 1 << 20, changetype<usize>(data), data.byteLength);
}

/** Adds one to the number that is shared under a key, and returns it; a lost race is tried anew. */
export function countShared(key: string): i32 {
  const name = String.UTF8.encode(key);
  while (true) {
    let count = 0;
    let cas = 0;
    if (proxy_get_shared_data(changetype<usize>(name), name.byteLength, at(0), at(1), at(2)) == 0) {
      cas = results[2];
      count = I32.parseInt(taken());
    }
    const next = String.UTF8.encode((count + 1).toString());
    const status = proxy_set_shared_data(
      changetype<usize>(name), name.byteLength, changetype<usize>(next), next.byteLength, cas
    );
    if (status == 0) {
      return count + 1;
    }
  }
}

export function metric(id: u32): u64 {
  proxy_get_metric(id, wide.dataStart);
  return wide[0];
}

export function registerQueue(name: string): u32 {
  const data = String.UTF8.encode(name);
  proxy_register_shared_queue(changetype<usize>(data), data.byteLength, at(0));
  return results[0];
}

export function dequeue(queue: u32): string {
  return proxy_dequeue_shared_queue(queue, at(0), at(1)) == 0 ? taken() : "";
}
